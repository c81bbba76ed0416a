/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCRATCH_PLAN_H
#define STORAGE_SCRATCH_PLAN_H

#include <stdint.h>

#include "storage/integrity_layout.h"

/* What a scratch disk is to become: storage/scratch.h makes it. */

enum scratch_use { SCRATCH_FILESYSTEM, SCRATCH_SWAP, SCRATCH_USES };

struct scratch_plan {
	enum scratch_use use;
	const struct integrity_layout *layout; /* a row of integrity_scratch */
	uint64_t disk_size;                    /* bytes of the disk, from its beginning, that are used; 0: all */
};

/* As requests and lists say it: "filesystem", "swap". */
const char *scratch_plan_use_name(enum scratch_use use);
/* SCRATCH_USES: none is called so. */
enum scratch_use scratch_plan_find_use(const char *name);

#endif
