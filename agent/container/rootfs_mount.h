/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_ROOTFS_MOUNT_H
#define CONTAINER_ROOTFS_MOUNT_H

#include "coffer/protocol.h"
#include "container/rootfs.h"

/*
 * Which volume or scratch a bind mount's source lies in: its id, by `id` of COFFER_ID_MAX + 1 bytes, and the path in it by *inside
 * ("" for its root), which points into `source`.  -EPERM, without an error set: in neither.
 */
must_check int rootfs_mount_base(const char *source, bool *scratch, char *id, const char **inside);
/* What a bind mount's source names, as O_PATH; only volumes and scratches can be named. */
must_check int rootfs_mount_source(const struct config_mount *wanted, struct error *err);

/*
 * Makes mount number `index` of the config, with its commands.  Everything is reached by descriptor: what the image's links and
 * other containers' renames do meanwhile changes nothing about where it lands.
 */
must_check int rootfs_mount(const struct rootfs *rootfs, size_t index, struct error *err);

#endif
