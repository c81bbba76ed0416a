/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_LOOPDEV_H
#define SYS_LOOPDEV_H

#include <stdbool.h>

#include "base/error.h"
#include "sys/blockdev.h"

/*
 * Makes a read-only loop device of 512-byte sectors over an open file, by LOOP_CONFIGURE.  The kernel takes it apart with its last
 * opener: when the descriptor that is returned is closed and nothing is mounted from it.  So it needs no undo record, and a
 * worker's death leaves none behind.  `node` has room for 32 bytes.  For workers.  ERROR_MOUNT.
 */
must_check int loopdev_open(int file, char *node, struct error *err);

/*
 * The same for a mapping: of 4096-byte sectors and past the page cache, as what lies above the device has a cache of its own.  The
 * file system of `file` must allow O_DIRECT with such blocks, or the cache is used after all.  The device is open for exclusive
 * use, and is the caller's to close; as long as nothing maps it, what keeps it is *guard, a second descriptor.
 */
must_check int loopdev_attach(int file, bool writable, struct blockdev *device, int *guard, struct error *err);
/* The same of 512-byte sectors, only to be read: for file systems with blocks below 4096 bytes. */
must_check int loopdev_attach_small(int file, struct blockdev *device, int *guard, struct error *err);

#endif
