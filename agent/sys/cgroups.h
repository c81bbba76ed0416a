/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_CGROUPS_H
#define SYS_CGROUPS_H

#include "base/error.h"

/* cgroup v2, mounted at CGROUPS_MOUNT.  Containers live in CGROUPS_ROOT/ID. */
#define CGROUPS_MOUNT "/sys/fs/cgroup"
#define CGROUPS_ROOT  CGROUPS_MOUNT "/coffer"

/* Writes one value into an interface file of the cgroup at `path`. */
must_check int cgroups_write(const char *path, const char *file, const char *value, struct error *err);
/* Enables those of memory, pids, cpu, io, cpuset that the kernel has for the children of the cgroup at `path`. */
must_check int cgroups_delegate(const char *path, struct error *err);
/*
 * Kills everything in the cgroup and below it (frozen or not), waits until it is empty, at most 10 s, and removes it with its
 * children.  Absent is success.  Blocks: for workers.
 */
must_check int cgroups_remove(const char *path, struct error *err);

#endif
