/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_EROFS_CHUNKS_H
#define LAYER_EROFS_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

/*
 * Files with holes in EROFS: chunks of 2^n blocks, and an index of four bytes for each, in which a chunk that is all hole has no
 * block.  Holes are what the file system below says that they are (SEEK_HOLE).
 */

#define EROFS_CHUNKS_INDEX_MAX (1u << 20) /* bytes of one file's index: the larger the file, the larger the chunks */

struct erofs_chunks {
	uint64_t size;   /* of the file */
	uint64_t blocks; /* of 4096 bytes, for the chunks with data */
	uint8_t bits;    /* 2^n blocks in a chunk */
};

/* Could it have holes that are worth an index? */
bool erofs_chunks_likely(const struct stat *status);
/* *chunks for a file of `size` bytes; no `bits` and `blocks` of all, if chunks save nothing.  1: they do; 0; ERROR_INTERNAL. */
must_check int erofs_chunks_measure(int file, uint64_t size, struct erofs_chunks *chunks, struct error *err);
/* Entries in the index. */
uint32_t erofs_chunks_count(const struct erofs_chunks *chunks);
/*
 * Copies the data into the image's blocks from `block` on, of which there are chunks->blocks; holes within are left out, as the
 * image is new.  `index`: as it is on the disk.  ERROR_INTERNAL.
 */
must_check int erofs_chunks_write(int file, const struct erofs_chunks *chunks, int image, uint32_t block, uint32_t *index,
				  struct error *err);

/* `size` bytes from one file to the other, by the kernel if it can: both descriptors' offsets stay.  ERROR_INTERNAL. */
must_check int erofs_chunks_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size, struct error *err);

#endif
