/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_TAR_READER_H
#define LAYER_TAR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "layer/digest.h"

/*
 * Entry by entry through a tar that may be packed by gzip or zstd (layer/unpack.h).  The formats are libarchive's: old tar,
 * ustar, pax and GNU's, which includes sparse files.  What is in an entry is as it stood there but for what the types here say, and
 * nothing is ever written.  Errors are ERROR_LAYER, and ERROR_INTERNAL for what is the machine's.
 */

enum tar_reader_kind { TAR_FILE, TAR_DIRECTORY, TAR_SYMLINK, TAR_HARD_LINK, TAR_CHARACTER, TAR_BLOCK, TAR_FIFO };

struct tar_reader_entry {
	const char *path, *link; /* bytes, not empty; the link of TAR_SYMLINK and TAR_HARD_LINK */
	enum tar_reader_kind kind;
	mode_t mode; /* the twelve bits */
	uint32_t uid, gid;
	uint64_t size;                     /* of TAR_FILE, holes included */
	struct timespec accessed, changed; /* from 1970 to the end of 64 bits of nanoseconds, or 1970 */
	uint32_t major, minor;             /* of TAR_CHARACTER and TAR_BLOCK, within what Linux has */
};

struct tar_reader;

/* Opens libraries, and reads nothing: the rest may come in a sandbox.  `most` is how many bytes the tar may have, `most_ratio` as
 * for unpack_open().  The descriptor stays the caller's. */
must_check int tar_reader_open(struct tar_reader **reader, int from, uint64_t most, uint64_t most_ratio, struct error *err);
/* NULL is nothing. */
void tar_reader_close(struct tar_reader *reader);

/* 1: an entry, good until the next call.  0: there are no more. */
must_check int tar_reader_next(struct tar_reader *reader, struct tar_reader_entry *entry, struct error *err);
/* The entry's extended attributes, one after the other. */
bool tar_reader_attribute(struct tar_reader *reader, const char **name, const void **value, size_t *size);
/* 1: the next piece of a file that is no hole, in the order of offsets; it lies within the entry's size.  0: there are no more. */
must_check int tar_reader_data(struct tar_reader *reader, const void **bytes, size_t *size, uint64_t *offset, struct error *err);

/* After the last entry: reads on to the stream's end, and says what all of the tar came to. */
must_check int tar_reader_finish(struct tar_reader *reader, uint8_t diff_id[DIGEST_SIZE], uint64_t *bytes, struct error *err);

#endif
