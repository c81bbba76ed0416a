/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_EROFS_PLAN_H
#define LAYER_EROFS_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"
#include "layer/erofs_tree.h"

/*
 * Where everything of an image lies: the first of the two rounds.  Inodes come one behind the other, the tree's own first, in the
 * order of the walk, each with its attributes and what is inline; then the data, in the same order.
 */

#define EROFS_PLAN_BLOCK 4096u
#define EROFS_PLAN_FILES (1u << 20) /* of a tree, a file of several names being one: else E2BIG */

struct erofs_plan {
	struct erofs_nodes nodes;
	struct link_table links;
	struct timespec time; /* of the tree's own directory: inodes with another one are larger */
	bool chunks;          /* there is a file of the layout EROFS_CHUNKS */
	uint32_t blocks;      /* of the image */
};

/* Zero-initialised is empty.  ERROR_LAYER for what no image can say and for limits, with the name in the message; ERROR_INTERNAL.
 */
must_check int erofs_plan_make(struct erofs_plan *plan, int tree, struct error *err);
void erofs_plan_free(struct erofs_plan *plan);

/* Where a file's inode is in the image, and what of its content comes inline. */
uint64_t erofs_plan_inode_at(const struct erofs_node *node);
uint32_t erofs_plan_inline(const struct erofs_node *node);

#endif
