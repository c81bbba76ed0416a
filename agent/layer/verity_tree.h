/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_VERITY_TREE_H
#define LAYER_VERITY_TREE_H

#include <stdint.h>

#include "base/error.h"
#include "layer/digest.h"

/*
 * The hash area of dm-verity, made in the guest: format 1, SHA-256, data and hash blocks of 4096 bytes, a salt of 32 bytes, no
 * superblock, what is left of a block is zero.  The tree's top comes first.  Linux:
 * Documentation/admin-guide/device-mapper/verity.rst; https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity
 */

#define VERITY_TREE_BLOCK 4096u
#define VERITY_TREE_SALT  32u

struct verity_tree {
	uint8_t root[DIGEST_SIZE];
	uint64_t blocks;      /* of data */
	uint64_t hash_offset; /* bytes: where the hash area begins, behind the data */
	uint64_t bytes;       /* of data and hash area.  One block of data has none: the root hash is its own */
};

/*
 * Sums up the first `size` bytes of the file, a multiple of the block and not 0, and writes the hash area behind them, where
 * nothing may be yet.  Each byte is read once; the memory does not depend on the size.  `image`: read-write, not flushed.
 * ERROR_INTERNAL.
 */
must_check int verity_tree_append(int image, uint64_t size, const uint8_t salt[VERITY_TREE_SALT], struct verity_tree *made,
				  struct error *err);

#endif
