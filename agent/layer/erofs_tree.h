/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_EROFS_TREE_H
#define LAYER_EROFS_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "layer/link_table.h"
#include "layer/xattrs.h"

/*
 * A layer's tree in the order in which an EROFS image has it, for the two rounds that one takes: first everything is measured and
 * then, when each file's place is known, written.  Both see the same, as long as nobody changes the tree.
 */

/* What is remembered of a file between the rounds: 32 bytes of memory each. */
struct erofs_node {
	uint64_t size;   /* of the content */
	uint32_t slot;   /* the inode number */
	uint32_t block;  /* the first of its own, of which there are */
	uint32_t blocks; /* so many */
	uint32_t head;   /* bytes of the inode and its extended attributes */
	uint32_t links;
	uint8_t layout, chunk_bits; /* EROFS_CHUNKS: 2^n blocks in a chunk */
	uint8_t extended;
	uint8_t type; /* of its mode: S_IFMT >> 12 */
};

struct erofs_nodes {
	struct erofs_node *items; /* the tree's own directory is the first */
	uint32_t count, room;
};

struct erofs_file {
	int directory;
	const char *name; /* in that; "." for the tree's own directory */
	const char *path; /* without the slash before it; "" for the tree */
	const struct stat *status;
	const struct xattrs *xattrs;
	uint32_t node; /* counts up */
};

struct erofs_visitor {
	void *context;
	/* A file, when the first of its names is met. */
	int (*file)(void *context, const struct erofs_file *file, struct error *err);
	/* Each name of a file, after that; may be NULL. */
	void (*name)(void *context, uint32_t directory, uint32_t node, bool is_directory);
	/* `size` bytes of a directory's content at `offset`, in the order of the offsets; all but the last are whole blocks. */
	int (*block)(void *context, uint32_t node, uint64_t offset, const uint8_t *bytes, unsigned size, struct error *err);
};

/*
 * Sockets are passed over.  `links` is for both rounds, empty at first.  In the first round `file` adds to `nodes`.  ERROR_LAYER
 * for what no image can say, with the name in the message; ERROR_INTERNAL, ESTALE when the tree is another one in the second round.
 */
must_check int erofs_tree_visit(int tree, const struct erofs_nodes *nodes, struct link_table *links,
				const struct erofs_visitor *visitor, struct error *err);

#endif
