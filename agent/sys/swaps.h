/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_SWAPS_H
#define SYS_SWAPS_H

#include "base/error.h"

/* swapon(2), swapoff(2).  The path is that of a block device with a swap's header (storage/mkswap.h). */

/* All of them have one priority: the kernel then writes to each in turn.  ERROR_MOUNT.  For workers. */
must_check int swaps_on(const char *path, struct error *err);

/*
 * Brings back what has been swapped out, and ends it.  What is not there, or is no swap, is success.  ERROR_TEARDOWN: with ENOMEM
 * the pages that are out would not fit, and it goes on as before.  For workers: it reads all that is out.
 */
must_check int swaps_off(const char *path, struct error *err);

/*
 * The calling process is not swapped out from now on: its pages stay where they are as soon as they have been touched, and it
 * takes no more memory by that.  Its children are not meant.  ERROR_INTERNAL.
 */
must_check int swaps_exempt_self(struct error *err);

#endif
