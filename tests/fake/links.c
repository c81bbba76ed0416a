/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/links.c: remembers, and touches no network. */
#include "fake/links.h"

#include <stdio.h>

#include "sys/links.h"

struct fake_links fake_links;

int links_remove(const char *name, struct error *err)
{
	(void)err;
	snprintf(fake_links.removed, sizeof(fake_links.removed), "%s", name);
	return 0;
}

int links_remove_bridge(const char *name, struct error *err)
{
	(void)err;
	snprintf(fake_links.removed_bridge, sizeof(fake_links.removed_bridge), "%s", name);
	return 0;
}
