/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/swaps.c: see the header. */
#include "fake/swaps.h"

#include <stdio.h>

#include "sys/swaps.h"

struct fake_swaps fake_swaps;

int swaps_on(const char *path, struct error *err)
{
	(void)err;
	snprintf(fake_swaps.on, sizeof(fake_swaps.on), "%s", path);
	return 0;
}

int swaps_off(const char *path, struct error *err)
{
	(void)err;
	snprintf(fake_swaps.off, sizeof(fake_swaps.off), "%s", path);
	return 0;
}
