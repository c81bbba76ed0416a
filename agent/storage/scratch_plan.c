/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/scratch_plan.h"

#include <string.h>

static const char *const names[SCRATCH_USES] = { [SCRATCH_FILESYSTEM] = "filesystem", [SCRATCH_SWAP] = "swap" };

const char *scratch_plan_use_name(enum scratch_use use)
{
	return names[use];
}

enum scratch_use scratch_plan_find_use(const char *name)
{
	int use = 0;

	while (use < SCRATCH_USES && strcmp(names[use], name) != 0)
		use++;
	return (enum scratch_use)use;
}
