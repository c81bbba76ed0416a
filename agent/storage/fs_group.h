/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_FS_GROUP_H
#define STORAGE_FS_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* A pod's fsGroup: the group that every file of a volume shall belong to, as Kubernetes means it (securityContext.fsGroup). */
struct fs_group {
	gid_t gid;
	bool on_mismatch_only; /* OnRootMismatch: nothing is walked when the root of the volume has the group and its modes already
				*/
};

/*
 * Gives everything on the file system at `path` to the group: files become readable and writable for it (0660), directories
 * passable and set-group-id too (02770).  Symbolic links are neither followed nor changed, other file systems not entered, and
 * set-id bits of files are lost as chown(2) takes them.  At most FS_GROUP_DEPTH directories deep.  For workers.  ERROR_MOUNT.
 */
#define FS_GROUP_DEPTH 256
must_check int fs_group_apply(const char *path, const struct fs_group *group, struct error *err);

#endif
