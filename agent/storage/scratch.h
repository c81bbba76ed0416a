/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCRATCH_H
#define STORAGE_SCRATCH_H

#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "sys/blockdev.h"
#include "sys/steps.h"

/*
 * A scratch disk: authenticated encryption (storage/integrity.h), an ext4 made in memory and copied sparsely, mounted.
 * Nothing of the disk is read, and a few hundred KiB are written, whatever its size.  The data die with the mapping.
 */

/*
 * Makes mapping NAME and mounts it on `target`, which this creates.  The disk must be open for exclusive use; it is closed
 * before the mapping takes it.  *size is the file system's.  Everything that lasts is in `undo`.
 */
must_check int scratch_open(const char *name, struct blockdev *disk, const char *target, struct undo *undo, struct steps *steps,
			    uint64_t *size, struct error *err);

#endif
