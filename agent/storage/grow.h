/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_GROW_H
#define STORAGE_GROW_H

#include <stdint.h>

#include "base/error.h"

/*
 * Grows a mounted ext4 or xfs to the size that its disk has now, while it is in use.  *size is the disk's bytes then.  What is as
 * large already stays as it is.  Killed, it has grown in part, and may be called again.  ERROR_FORMAT; ERROR_STATE when it is
 * mounted read-only; ERROR_UNSUPPORTED_VOLUME for other file systems.
 */
must_check int grow_filesystem(const char *target, const char *type, uint64_t *size, struct error *err);

/* Grows the mounted ext4 that `fd` is a file of to that many of its blocks.  ERROR_FORMAT. */
must_check int grow_ext4(int fd, uint64_t blocks, struct error *err);

#endif
