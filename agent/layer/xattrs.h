/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_XATTRS_H
#define LAYER_XATTRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * The extended attributes of a file that belong to the layer: security.capability, system.posix_acl_* and user.*, but not
 * user.overlay.*.  All others are the system's that the tree lies on.  For workers; needs /proc.
 */

#define XATTRS_MAX (1u << 20) /* bytes of the values of one file: else E2BIG */

struct xattr {
	const char *name;
	uint8_t *value;
	size_t size;
};

/* Zero-initialised is empty; used for one file after the other, it takes no memory anew. */
struct xattrs {
	struct xattr *items; /* sorted by name */
	size_t count;
	bool opaque; /* a directory of which nothing below is seen (layer/whiteout.h) */
	size_t room;
	struct buf names, values;
};

/*
 * Of the file `name` of the directory, "." being that itself; a symbolic link is not followed.  A file system without extended
 * attributes has none.  ERROR_INTERNAL, or ERROR_LAYER for the limit and for what overlayfs says in ways that coffer never mounts
 * with (redirect_dir, metacopy, whiteouts in overlays of overlays): the tree alone does not tell the layer then.
 */
must_check int xattrs_read(struct xattrs *xattrs, int directory, const char *name, struct error *err);
bool xattrs_equal(const struct xattrs *a, const struct xattrs *b);
void xattrs_free(struct xattrs *xattrs);

#endif
