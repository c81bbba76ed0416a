/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_WHITEOUT_H
#define LAYER_WHITEOUT_H

#include <stdbool.h>
#include <sys/stat.h>

/*
 * How a layer says that something of the layers below is gone.  In a tar (OCI image-spec, layer.md; AUFS before it): an empty file
 * with a prefix to the name of what is gone, or one in a directory of which nothing below is seen.  In a layer's tree (Linux
 * Documentation/filesystems/overlayfs.rst): a character device 0:0 of that name, and an extended attribute of the directory.
 */
#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META   ".wh..wh." /* AUFS' own files begin so: never part of a tree */
#define WHITEOUT_OPAQUE ".wh..wh..opq"
#define WHITEOUT_LINKS  ".wh..wh.plnk" /* AUFS: a directory of what is hard-linked */

#define WHITEOUT_OPAQUE_XATTR "trusted.overlay.opaque"
#define WHITEOUT_OPAQUE_VALUE "y"

/* In a layer's tree. */
static inline bool whiteout_is(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && status->st_rdev == 0;
}

#endif
