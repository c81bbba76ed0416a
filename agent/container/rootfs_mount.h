/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_ROOTFS_MOUNT_H
#define CONTAINER_ROOTFS_MOUNT_H

#include "container/config.h"

/*
 * One row of `mounts`, below the root descriptor.  Kinds: proc, sysfs, tmpfs, devpts, mqueue, cgroup2 (and "cgroup", which is the
 * same where the VM has cgroup v2), bind.  proc and sysfs go onto an ordinary directory only, and nothing else onto or into /proc.
 */
must_check int rootfs_mount(int root, const struct config_mount *mount, struct error *err);

#endif
