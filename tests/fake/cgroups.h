/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_CGROUPS_H
#define FAKE_CGROUPS_H

#include <stdbool.h>

/* What tests/fake/cgroups.c was asked, and what it shall refuse. */
struct fake_cgroups {
	char written[2048]; /* "file=value\n" of each write */
	const char *refuse; /* this file's write fails */
	bool filter_fails;
	int filtered; /* the descriptor that the device filter was attached to */
	char removed[256];
};

extern struct fake_cgroups fake_cgroups;

#endif
