/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_CGROUPS_H
#define FAKE_CGROUPS_H

#include <stdbool.h>

/* What tests/fake/cgroups.c was asked, and what it shall refuse. */
struct fake_cgroups {
	char written[2048]; /* "file=value\n" of each write */
	const char *refuse; /* this file's write fails */
	int refuse_errno;   /* with this; 0: EIO */
	bool refuse_once;
	bool filter_fails, v1;
	int filtered; /* the descriptor that the device filter was attached to */
	struct {
		const char *name, *content;
	} files[8]; /* what can be read */
	char removed[256], restored[256], entered[256];
};

extern struct fake_cgroups fake_cgroups;

#endif
