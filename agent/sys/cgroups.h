/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_CGROUPS_H
#define SYS_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * Control groups, of either version.  The VM boots with one: v2 at CGROUPS_MOUNT, or on request v1, with a hierarchy for each
 * controller at CGROUPS_MOUNT/CONTROLLER.  A container's group is named by its path on v2, CGROUPS_ROOT/ID, also where v1 is
 * mounted: there it stands for CGROUPS_MOUNT/CONTROLLER/coffer/ID in every hierarchy.
 */
#define CGROUPS_MOUNT "/sys/fs/cgroup"
#define CGROUPS_ROOT  CGROUPS_MOUNT "/coffer"

enum cgroups_version { CGROUPS_V1 = 1, CGROUPS_V2 = 2 };

/* What is mounted. */
enum cgroups_version cgroups_version(void);
/* Mounts the one or the other, if nothing is mounted yet, and makes CGROUPS_ROOT with all the controllers that the kernel has. */
must_check int cgroups_mount(enum cgroups_version version, struct error *err);

/* The folder of the group where the controller's files are; on v2 the controller does not matter.  `path` has `size` bytes. */
must_check int cgroups_path(const char *group, const char *controller, char *path, size_t size, struct error *err);

/* Writes one value into an interface file of the folder. */
must_check int cgroups_write(const char *folder, const char *file, const char *value, struct error *err);
/* The text of an interface file without its last newline, at most size - 1 bytes: its length, or -errno. */
must_check long cgroups_read(const char *folder, const char *file, char *text, size_t size);

/* Of an undo record "FOLDER/FILE=VALUE": writes the value.  A file that is gone needs none. */
must_check int cgroups_restore(const char *record, struct error *err);

/* Makes the group: -EEXIST when there is one.  On v1 in every hierarchy, with the parent's CPUs and memory nodes. */
must_check int cgroups_make(const char *group, struct error *err);
/*
 * v1: moves the calling process into the group, in every hierarchy; CGROUPS_MOUNT is the root of each.  `mount` is a descriptor of
 * CGROUPS_MOUNT, which still leads there when the process has joined the mount namespace of a container.
 */
must_check int cgroups_enter(int mount, const char *group, struct error *err);
/*
 * Kills everything in the group and below it (frozen or not), waits until it is empty, at most 10 s, and removes it with its
 * children.  Absent is success.  Blocks: for workers.
 */
must_check int cgroups_remove(const char *group, struct error *err);
/* Sends the signal once to every process that is in the group or below it now.  SIGKILL reaches frozen ones too. */
must_check int cgroups_signal(const char *group, int signal, struct error *err);
/* Begins to freeze or to thaw: cgroups_frozen tells when it is done. */
must_check int cgroups_freeze(const char *group, bool freeze, struct error *err);
/* 1 when every process in the group stands still, 0 when not, or -errno. */
must_check int cgroups_frozen(const char *group);
/* Groups of containers that exist. */
unsigned cgroups_count(void);

#endif
