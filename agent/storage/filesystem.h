/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_FILESYSTEM_H
#define STORAGE_FILESYSTEM_H

#include <stdbool.h>

#include "base/error.h"
#include "base/undo.h"

/* The read-only image file systems that are accepted.  NULL: not one of them. */
bool filesystem_is_known(const char *type);

/* Names the file system on a *verified* device by libblkid, among those accepted.  `type` is a constant string.  ERROR_MOUNT. */
must_check int filesystem_detect(const char *node, const char **type, struct error *err);

/* Makes `target` and mounts the device there, read-only, nodev, nosuid as an image's files get their modes through the overlay. */
must_check int filesystem_mount_image(const char *node, const char *target, const char *type, struct undo *undo, struct error *err);

#endif
