/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_CHANGES_H
#define LAYER_CHANGES_H

#include "base/error.h"

/*
 * What a layer changed against the layers below it: what moby's overlay2 finds by comparing two mounts, with and without the layer
 * (moby/go-archive, ChangesDirs), found with the layer's own tree (layer/whiteout.h) and one view of the layers below.  For
 * workers; needs /proc.
 *
 * A name that only the layer has is added, and so is everything in such a directory.
 *
 * A name that both have is modified if one of these differs: type, mode, owner, device number, the extended attributes that belong
 * to a layer (layer/xattrs.h; moby looks at security.capability alone); and, but for directories, size and time of modification,
 * and where a symbolic link leads to.  Content is not read: whoever puts size and time back hides a change.  Times are the same,
 * too, if one of the two has no fraction: archives may have cut it off.  A directory's own time counts for nothing.
 *
 * A name is deleted if the layer has a whiteout of it, or if it is in an opaque directory that does not have it.  What was in a
 * deleted directory is not listed.  A whiteout of what is not below is nothing.
 *
 * A directory in the place of something else is modified, and what is in it added; something else in the place of a directory is
 * modified, and what was in that is not listed.
 *
 * A directory in which something is listed, at any depth, is listed itself, as modified if nothing else: so is what GH #13590 of
 * moby asks for.  The tree's own directory is never listed.
 *
 * Order: a directory before what is in it, names in the order of their bytes.  (Not that of the paths' bytes: "/a", "/a/b",
 * "/a.b".)
 */

enum change_kind { CHANGE_MODIFIED, CHANGE_ADDED, CHANGE_DELETED };

/* `path` is "/a/b", valid during the call.  A negative errno, with `err` set, ends the list. */
typedef int changes_found(void *context, enum change_kind kind, const char *path, struct error *err);

/*
 * `tree`: the layer's; `lower`: what the layers below show together (a mount of them, or the tree of the only one), or -1 if there
 * is none.  ERROR_LAYER for limits and what the tree does not tell, ERROR_INTERNAL, or what `found` gave.
 */
must_check int changes_list(int tree, int lower, changes_found *found, void *context, struct error *err);

#endif
