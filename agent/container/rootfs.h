/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_ROOTFS_H
#define CONTAINER_ROOTFS_H

#include "container/config.h"

/*
 * The container's view of files, made by its first process in its own mount namespace.  Everything in the root file system is
 * reached through openat2(RESOLVE_IN_ROOT) and mounted by descriptor, so no link in an image leads a mount elsewhere.
 *
 *   rootfs_open      what lies in the agent's own files: the root and the sources of bind mounts, as long as the process may
 *   rootfs_prepare   mounts, devices, links, /dev/console's place, masked and read-only paths, below the old root
 *   rootfs_enter     pivot_root; the old root is gone; read-only if asked for
 */
struct rootfs {
	const char *path; /* "": an empty one, which cannot be written to */
	const struct config *config;
	const char *cgroup;             /* the container's, for a mount of cgroups without a namespace of them */
	int root;                       /* -1 before rootfs_prepare */
	int original;                   /* the root file system, as the agent has it */
	int sources[CONFIG_MOUNTS_MAX]; /* of bind mounts, or -1 */
};

must_check int rootfs_open(struct rootfs *rootfs, struct error *err);
must_check int rootfs_prepare(struct rootfs *rootfs, struct error *err);
must_check int rootfs_enter(const struct rootfs *rootfs, struct error *err);
void rootfs_close(struct rootfs *rootfs);

#endif
