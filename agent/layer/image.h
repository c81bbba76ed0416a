/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_IMAGE_H
#define LAYER_IMAGE_H

#include <stdint.h>

#include "base/error.h"
#include "sys/blockdev.h"

/*
 * A layer with a key of its own lies in an encrypted volume (storage/encrypted.h) in place of the store's directory: on a disk, or
 * in a file of the store, which is what is here.  The volume's root has the layer's tree, and overlayfs' work directory if it is
 * written to:
 *
 *   tree/  work/
 */
#define IMAGE_FILE "image" /* beside layer.json */
#define IMAGE_TREE "tree"
#define IMAGE_WORK "work"

#define IMAGE_LEAST    ((uint64_t)32 << 20) /* bytes */
#define IMAGE_MOST     ((uint64_t)8 << 40)
#define IMAGE_OVERHEAD ((uint64_t)16 << 20) /* headers, journals */

/*
 * How large an image must be for `content` bytes in files and directories: half as much again (tags, inodes, the rests of blocks)
 * and IMAGE_OVERHEAD, IMAGE_LEAST at least.  The file is sparse: what is not used is not there.  0: more than IMAGE_MOST.
 */
uint64_t image_size(uint64_t content);

/* A new file.  ERROR_MOUNT. */
must_check int image_make(const char *path, uint64_t size, struct error *err);

/*
 * The file as a block device, open for exclusive use.  It goes away with its last user; as long as nothing maps it, that is *guard,
 * a second descriptor.  ERROR_MOUNT.
 */
must_check int image_attach(const char *path, struct blockdev *device, int *guard, struct error *err);

#endif
