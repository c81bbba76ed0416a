/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BOOT_H
#define BOOT_H

#include "agent.h"

/*
 * From the kernel's first call to a system that can serve.
 *
 * Stage 1, on the initial ramfs: copies itself into a fresh tmpfs, empties the ramfs, makes the tmpfs the root and executes itself
 * there.  A pivot_root out of the initial ramfs is impossible, and whatever stayed there could be reached by a container that has
 * CAP_SYS_ADMIN: so nothing stays.  Stage 2: early mounts, modules, the containers' cgroup.
 */

/* Is "/" the kernel's initial ramfs? */
bool boot_on_initramfs(void);
/* Stage 1.  Returns only on failure. */
must_check int boot_switch_root(char *const *argv, struct error *err);
/* Stage 2.  Mounts what is not mounted yet; with `modules`, loads the drivers of transport and disks. */
must_check int boot_prepare(bool modules, struct error *err);
/* coffer.* keys of the kernel command line: see docs/BOOT.md.  Unknown ones are logged. */
void boot_read_command_line(struct agent *agent);

#endif
