/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_FORMAT_H
#define STORAGE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "storage/mkfs.h"
#include "sys/steps.h"

/*
 * An ext4 of the agent's own on an encrypted mapping (storage/integrity.h), where a block that was never written cannot be read.
 */

/* Makes one in memory (storage/mkfs.h) and copies its data extents to `node`, flushed.  ERROR_FORMAT. */
must_check int format_ext4(const char *node, uint64_t size, enum mkfs_use use, struct steps *steps, struct error *err);

/* Makes the directory `target` and mounts it there, nodev and nosuid.  Not lasting: without barriers.  ERROR_MOUNT. */
must_check int format_mount(const char *node, const char *target, bool lasting, bool read_only, struct undo *undo,
			    struct error *err);

/* Bytes of the one on this mapping, by its superblock: it may be smaller than the mapping. */
must_check int format_size(const char *node, uint64_t *size, struct error *err);

/* Grows a mounted one to at most `size` bytes.  Killed, it has grown in part; it may be called again.  ERROR_FORMAT. */
must_check int format_grow(const char *node, const char *target, uint64_t size, struct error *err);

#endif
