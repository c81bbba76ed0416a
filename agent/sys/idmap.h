/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_IDMAP_H
#define SYS_IDMAP_H

#include <stddef.h>

#include "base/id_range.h"

/*
 * Mounts that show other owners than the file system has (idmapped mounts, Linux 5.12).  What is outside of all ranges is shown as
 * the overflow ids, and cannot be created.
 */
struct idmap {
	const struct id_range *uids, *gids; /* of the file system -> as they are shown */
	size_t uid_count, gid_count;        /* at least one of each, or none of both: nothing is mapped */
};

/*
 * A user namespace that says this, for idmap_clone: a descriptor of the caller's.  For workers: a process lives for the time of it.
 * ERROR_PARAMS naming "uids" or "gids" when the kernel refuses the ranges, as they overlap.
 */
must_check int idmap_open(const struct idmap *map, struct error *err);

/* A detached copy of the mount that the directory is on, with the directory as its root.  ERROR_KERNEL: it cannot be mapped. */
must_check int idmap_clone(int directory, int namespace, struct error *err);

#endif
