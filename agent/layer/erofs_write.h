/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_EROFS_WRITE_H
#define LAYER_EROFS_WRITE_H

#include <stdint.h>

#include "base/error.h"

/*
 * A layer's tree, in overlayfs' form (layer/whiteout.h), as an EROFS image: blocks of 4096 bytes, not compressed, nothing that
 * Linux 6.1 does not mount (storage/erofs_format.h).  For workers; needs /proc.
 *
 * The image has what the tree has: types, modes, ids, device numbers, links (of one file, as far as the tree has them), times of
 * modification with their nanoseconds, the extended attributes of layer/xattrs.h and the mark of an opaque directory.  Sockets are
 * left out; another file system mounted in the tree is an error (EXDEV).  A file with 64 KiB of holes or more keeps them.
 *
 * The same tree with the same options gives the same bytes; where its holes are is part of a tree.
 *
 * Memory: 32 bytes a file, of which there may be 2^20; layer/walk.h's for the names of one path, 4 KiB for each directory of it;
 * layer/link_table.h's for files of several names; 1.3 MiB.  So 100 000 files take some 6 MiB.
 */

struct erofs_options {
	uint8_t uuid[16]; /* of the image */
};

struct erofs_written {
	uint64_t bytes; /* of the image: whole blocks */
	uint64_t files; /* inodes */
};

/*
 * `tree`: a directory, O_PATH is enough.  `image`: read-write, becomes this and nothing else, and is not flushed; after a failure
 * it is of no use.  ERROR_LAYER for what no image can say and for limits, with the name in the message; ERROR_INTERNAL, with ESTALE
 * when somebody changes the tree meanwhile, ENOSPC.
 */
must_check int erofs_write(int tree, int image, const struct erofs_options *options, struct erofs_written *written,
			   struct error *err);

#endif
