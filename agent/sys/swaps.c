/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/swaps.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/swap.h>

/* Any that is given comes before the negative ones which the kernel gives. */
#define PRIORITY 100

int swaps_on(const char *path, struct error *err)
{
	if (swapon(path, SWAP_FLAG_PREFER | PRIORITY) < 0)
		return error_set(err, ERROR_MOUNT, errno, "swap to %s", path);
	return 0;
}

int swaps_off(const char *path, struct error *err)
{
	if (swapoff(path) < 0 && errno != ENOENT && errno != ENXIO && errno != EINVAL)
		return error_set(err, ERROR_TEARDOWN, errno, "end swapping to %s", path);
	return 0;
}

int swaps_exempt_self(struct error *err)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "keep the agent in memory");
	return 0;
}
