/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_MOUNTS_H
#define SYS_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"

/*
 * Mounting by descriptor: a detached mount is made first and then put on an O_PATH descriptor of the place, so no path is resolved
 * twice. Flags are MS_* words of mount(2); data is its "key=value,flag" text.  Errors carry `code` of the caller's choice.
 */

/* A detached mount of a new file system instance.  `source` may be NULL.  A descriptor, or a negative errno. */
must_check int mounts_new(const char *type, const char *source, unsigned long flags, const char *data, enum error_code code,
			  struct error *err);
/* A detached copy of the mount at the descriptor (with its submounts if `recursive`). */
must_check int mounts_clone(int fd, bool recursive, enum error_code code, struct error *err);
/* Sets the MS_RDONLY, NOSUID, NODEV, NOEXEC, *ATIME bits of a detached or attached mount; of all below it too if `recursive`. */
must_check int mounts_set_flags(int mount, unsigned long flags, bool recursive, enum error_code code, struct error *err);
/* MOUNT_ATTR_* bits and a propagation (MS_SHARED, ...; 0: as it is) of a mount, and with `recursive` of all below it. */
must_check int mounts_set_attributes(int mount, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive,
				     enum error_code code, struct error *err);
/* The MOUNT_ATTR_* bits that say what MS_* words say. */
uint64_t mounts_attributes(unsigned long flags);
must_check int mounts_attach(int mount, int target, enum error_code code, struct error *err);
/* Makes the directory `target`, one of the agent's own, and attaches a detached mount there. */
must_check int mounts_place(int mount, const char *target, struct undo *undo, enum error_code code, struct error *err);

/* mount(2) for the agent's own paths. */
must_check int mounts_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data,
			    enum error_code code, struct error *err);
/* The topmost mount at the path; not a mount point, or absent, is success.  Retries while it is busy, at most 2 s. */
must_check int mounts_unmount(const char *path, struct error *err);

#endif
