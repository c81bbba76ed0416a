/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCRATCH_H
#define STORAGE_SCRATCH_H

#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "storage/scratch_plan.h"
#include "sys/blockdev.h"
#include "sys/steps.h"

/*
 * A scratch disk: authenticated encryption (storage/integrity.h) with a key that nobody keeps, and on it an ext4 made in memory and
 * copied sparsely, mounted; or swap space.  Nothing of the disk is read, and a few hundred KiB are written, whatever its size.  The
 * data die with the mapping.
 */

/*
 * Makes mapping NAME, and mounts it on `target`, which this creates, or swaps to it (then `target` is not used).  The disk must be
 * open for exclusive use; it is closed before the mapping takes it, and disk->size is then what is used of it.  *size is the file
 * system's, or the swap's.  Everything that lasts is in `undo`.  ERROR_DEVICE when the disk is smaller than asked for, or too
 * large for the swap of so small a machine; ERROR_KERNEL names what the kernel lacks for the cipher.
 */
must_check int scratch_open(const char *name, struct blockdev *disk, const struct scratch_plan *plan, const char *target,
			    struct undo *undo, struct steps *steps, uint64_t *size, struct error *err);

#endif
