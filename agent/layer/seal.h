/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_SEAL_H
#define LAYER_SEAL_H

#include <stdint.h>

#include "base/error.h"
#include "layer/verity_tree.h"

/*
 * A layer in one file that nobody changes unnoticed: an EROFS image (layer/erofs_write.h), and dm-verity's hash area behind it
 * (layer/verity_tree.h).  docs/LAYERS.md, "Sealed layers".
 */

/* What opens it, and is kept apart from it. */
struct seal {
	uint8_t root[DIGEST_SIZE], salt[VERITY_TREE_SALT];
	uint64_t blocks; /* of VERITY_TREE_BLOCK bytes: the image */
	uint64_t bytes;  /* image and hash area: all of the file.  The hash area begins where the image ends */
};

/*
 * `tree` becomes `file`, an empty one that is open for reading and writing, and that is not flushed.  The salt is a new one, so the
 * same tree has another root hash each time.  `id`: the image's UUID is made of its first bytes.  After a failure the file is of no
 * use.  Errors are erofs_write's.
 */
must_check int seal_tree(int tree, int file, const uint8_t id[DIGEST_SIZE], struct seal *seal, struct error *err);

#endif
