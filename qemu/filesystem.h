/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_FILESYSTEM_H
#define QEMU_FILESYSTEM_H

#include <stdbool.h>

#include "qemu/progress.h"

/* What making an image takes from step to step. */
struct filesystem {
	const char *type; /* "erofs", "squashfs" or "ext4" */
	struct progress *progress;
	int interrupt;
	bool is_brief; /* soon thrown away: made quickly rather than small */
};

/* Fails for a type that has no row here, naming those that have. */
must_check int filesystem_check(const char *type, struct error *err);

/*
 * Makes a file system of the folder's content in the existing file `out`: the same bytes for the same content, with a fixed UUID
 * and time of making.  Owners and extended attributes are kept for root; for others every file is root's.
 */
must_check int filesystem_make(const struct filesystem *fs, const char *folder, const char *out, struct error *err);

/* Copies a file or a folder with all that is in it, owners and extended attributes too, to the new name `to`. */
must_check int filesystem_copy(const struct filesystem *fs, const char *from, const char *to, struct error *err);
/* Unpacks a tar archive, compressed or not, into the folder. */
must_check int filesystem_unpack(const struct filesystem *fs, const char *tar, const char *folder, struct error *err);
/* Removes a folder with all that is in it. */
must_check int filesystem_remove_tree(const char *folder, struct error *err);

#endif
