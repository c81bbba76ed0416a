/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_LIBRARIES_H
#define SYS_LIBRARIES_H

#include <archive.h>
#include <archive_entry.h>
#include <blkid/blkid.h>
#include <ext2fs/ext2fs.h>
#include <libcryptsetup.h>
#include <libdevmapper.h>
#include <libkmod.h>
#include <openssl/evp.h>
#include <seccomp.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/error.h"

/*
 * The functions that sys/libraries.def names, as pointers under their own names:
 *
 *     struct libraries lib;
 *     result = libraries_open(&lib, LIBRARY_kmod, err);
 *     lib.kmod_new(...)
 *
 * Only for workers: a library stays mapped until its process ends.  Opening one twice costs nothing.
 */

enum library {
#define LIBRARY(library, soname) LIBRARY_##library,
#define FUNCTION(library, function)
#include "sys/libraries.def"
#undef LIBRARY
#undef FUNCTION
	LIBRARY_COUNT,
};

struct libraries {
#define LIBRARY(library, soname)
#define FUNCTION(library, function) typeof(function) *function;
#include "sys/libraries.def"
#undef LIBRARY
#undef FUNCTION
};

/* Fills the pointers of one library.  ERROR_INTERNAL when the initramfs lacks it or a function of it. */
must_check int libraries_open(struct libraries *lib, enum library library, struct error *err);

/* A data symbol of a library that is open (libext2fs' unix_io_manager); NULL when there is none. */
void *libraries_data(enum library library, const char *symbol);

#endif
