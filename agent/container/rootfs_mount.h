/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_ROOTFS_MOUNT_H
#define CONTAINER_ROOTFS_MOUNT_H

#include "container/rootfs.h"

/*
 * Makes mount number `index` of the config, with its commands.  Everything is reached by descriptor: what the image's links and
 * other containers' renames do meanwhile changes nothing about where it lands.
 */
must_check int rootfs_mount(const struct rootfs *rootfs, size_t index, struct error *err);

#endif
