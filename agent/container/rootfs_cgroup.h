/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_ROOTFS_CGROUP_H
#define CONTAINER_ROOTFS_CGROUP_H

#include "base/error.h"

/* A container's own cgroup, shown to it.  `target`: O_PATH of the place, which has been checked; `flags`: MS_* with MS_RDONLY. */

/* The folder as it is. */
must_check int rootfs_cgroup_bind(const char *folder, unsigned long flags, int target, struct error *err);
/* v1: a tmpfs with the group's folder of each hierarchy, and links for those that hold two controllers. */
must_check int rootfs_cgroup_v1(const char *group, unsigned long flags, int target, struct error *err);

#endif
