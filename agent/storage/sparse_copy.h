/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SPARSE_COPY_H
#define STORAGE_SPARSE_COPY_H

#include <stdint.h>

#include "base/error.h"

/* Both ends of a piece are multiples of this, so that O_DIRECT takes it and no block is read in order to be written. */
#define SPARSE_COPY_BLOCK 4096u

/*
 * Copies the data extents of `from` (found with SEEK_DATA and SEEK_HOLE) to the same offsets of `to`; holes are not touched.
 * `size` is the source's length, a multiple of SPARSE_COPY_BLOCK; nothing is written at or behind it.  The buffer is 1 MiB
 * whatever the size.  *copied counts the bytes written.  On failure `to` is left half-written.  ERROR_FORMAT.
 */
must_check int sparse_copy(int from, int to, uint64_t size, uint64_t *copied, struct error *err);

#endif
