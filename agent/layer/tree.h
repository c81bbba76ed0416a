/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_TREE_H
#define LAYER_TREE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"
#include "layer/import.h"
#include "layer/tar_reader.h"

/*
 * Writes the entries of a layer's archive below a directory, the upper one, over what the layers below show together, the lower
 * one. Nothing else may write there meanwhile.  Memory does not grow with the archive: what is to be known later is in the tree
 * itself, or in the spool.  Errors are ERROR_LAYER, and ERROR_INTERNAL with the errno for what the kernel refused.
 */

#define TREE_PATH      4096u /* of a name in the archive and of one in the tree, the zero included */
#define TREE_COMPONENT 255u
#define TREE_DEPTH     512u

/* A directory of the tree, which is there, and the same directory below. */
struct tree_place {
	int upper, lower; /* lower: -1 when nothing of what is below shows here */
	unsigned depth;
	char path[TREE_PATH]; /* from the tree's top, without a symbolic link in it; "" is the top */
};

struct tree {
	const struct import_request *request; /* descriptors, limits and maps */
	int lower;                            /* request->lower, or -1 once the archive has made the top opaque */
	struct timespec now;                  /* the entry's: what it implies gets it too */
	uint64_t bytes, files;
	int64_t spooled;
	struct tree_place last; /* where the last entry went: the next one is often its neighbour */
	char last_name[TREE_PATH];
	char rest[2 * TREE_PATH], scratch[2 * TREE_PATH]; /* tree_walk */
	_Alignas(8) char buffer[64 * 1024];               /* of directories, too */
};

/* The top gets the lower directory's attributes, or 0755 root.  `request` must outlive it. */
must_check int tree_begin(struct tree **tree, const struct import_request *request, struct error *err);
/* The reader is for the entry's data and extended attributes. */
must_check int tree_add(struct tree *tree, struct tar_reader *reader, const struct tar_reader_entry *entry, struct error *err);
/* Gives directories their times, when nothing is written into them any more. */
must_check int tree_finish(struct tree *tree, struct error *err);
/* NULL is nothing. */
void tree_end(struct tree *tree);

#endif
