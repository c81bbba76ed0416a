/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_FILESYSTEM_H
#define STORAGE_FILESYSTEM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/undo.h"

/* The file systems that a volume may hold.  Their modules and options are constants: never words of a request. */

/* One of those that are mounted read-only from a verified device: erofs, squashfs, ext4. */
bool filesystem_is_image(const char *type);
/* One of all: xfs too. */
bool filesystem_is_known(const char *type);

/* Names the file system on a *verified* device by libblkid, among the images.  `type` is a constant string.  ERROR_MOUNT. */
must_check int filesystem_detect(const char *node, const char **type, struct error *err);
/* ERROR_MOUNT unless libblkid finds exactly this file system on the device.  For workers: it parses what the disk says. */
must_check int filesystem_confirm(const char *node, const char *type, struct error *err);

struct filesystem_mount {
	const char *source; /* a device's node, or a file (erofs on newer kernels) */
	dev_t device;       /* the file system must turn out to lie on this one; 0: not checked */
	const char *type;
	unsigned long flags; /* MS_*: nosuid and nodev are added */
	bool discard;        /* ext4 and xfs: tell the disk of freed blocks */
	const char *options; /* further ones, the agent's own, "device=/dev/..."; may be NULL */
};

/* Makes `target` and mounts there.  ERROR_MOUNT. */
must_check int filesystem_mount(const struct filesystem_mount *mount, const char *target, struct undo *undo, struct error *err);

#endif
