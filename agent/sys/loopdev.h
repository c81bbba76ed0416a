/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_LOOPDEV_H
#define SYS_LOOPDEV_H

#include "base/error.h"

/*
 * Makes a read-only loop device of 512-byte sectors over an open file, by LOOP_CONFIGURE.  The kernel takes it apart with its last
 * opener: when the descriptor that is returned is closed and nothing is mounted from it.  So it needs no undo record, and a
 * worker's death leaves none behind.  `node` has room for 32 bytes.  For workers.  ERROR_MOUNT.
 */
must_check int loopdev_open(int file, char *node, struct error *err);

/*
 * The same for writing, of 4096-byte sectors and past the page cache: what lies above the device has a cache of its own.  The file
 * system of `file` must allow O_DIRECT with such blocks, or the cache is used after all.
 */
must_check int loopdev_open_writable(int file, char *node, struct error *err);

#endif
