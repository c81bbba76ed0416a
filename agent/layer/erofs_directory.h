/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_EROFS_DIRECTORY_H
#define LAYER_EROFS_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define EROFS_DIRECTORY_BLOCK 4096u

/*
 * The content of an EROFS directory (storage/erofs_format.h), block by block, from names that come in the order of their bytes. "."
 * and ".." are put where that order has them, as the kernel searches by halves.  Adding cannot fail.
 */
struct erofs_directory {
	uint64_t self, parent; /* inode numbers */
	uint64_t done;         /* bytes in blocks that have been given */
	unsigned dots;         /* of the two, so many are in */
	unsigned count, names; /* entries in this block, and bytes of their names */
	/* Entries from the front on; names from the end backwards, where each entry says, until the block is given. */
	uint8_t block[EROFS_DIRECTORY_BLOCK];
};

void erofs_directory_begin(struct erofs_directory *directory, uint64_t self, uint64_t parent);
/* `name`: 1 to 255 bytes.  True: a block of the content, the one that ends at `done`, is in `full`. */
bool erofs_directory_add(struct erofs_directory *directory, const char *name, uint64_t inode, mode_t mode,
			 uint8_t full[EROFS_DIRECTORY_BLOCK]);
/* There are no more names.  True: as above, and the last block is another one. */
bool erofs_directory_close(struct erofs_directory *directory, uint8_t full[EROFS_DIRECTORY_BLOCK]);
/* Then: the bytes of the last block, which are in `last`, zeros behind them; never none. */
unsigned erofs_directory_last(struct erofs_directory *directory, uint8_t last[EROFS_DIRECTORY_BLOCK]);

#endif
