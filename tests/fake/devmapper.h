/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_DEVMAPPER_H
#define FAKE_DEVMAPPER_H

#include <stdbool.h>
#include <stdint.h>

/* What tests/fake/devmapper.c was asked to make, and what it shall answer. */
struct fake_devmapper {
	struct {
		char name[128], type[32], params[2048];
		uint64_t sectors;
		bool read_only;
	} made[8];
	unsigned count;
	const char *table; /* what devmapper_status answers; NULL: the parameters of the mapping */
	int fail_at;       /* the mapping, counted from 1, whose creation fails */
	int fail_errno;    /* with this; 0: EINVAL */
	struct {
		char name[128], params[2048];
		uint64_t sectors;
	} loaded; /* the last table beside a live one */
	unsigned loads, swaps, drops;
	char removed[8][128];
	unsigned removed_count;
};

extern struct fake_devmapper fake_devmapper;

#endif
