/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_MOUNTS_H
#define FAKE_MOUNTS_H

#include "base/error.h"

/* What tests/fake/mounts.c was asked to mount and unmount, and what it shall refuse. */
struct fake_mounts {
	char unmounted[8][256];
	unsigned unmounted_count;
	char source[256], target[256], type[32], data[4200], folder[256]; /* of the last mount, and the working directory then */
	unsigned long flags;
	unsigned mounted_count;
	/* The new way: mounts_new, mounts_attach. */
	char new_type[32], new_source[256], new_data[64 * 1024];
	unsigned long new_flags;
	unsigned new_count, attached_count;
	int new_fails;      /* errno of mounts_new */
	const char *refuse; /* this path's mount or unmount fails */
	enum error_code refuse_code;
};

extern struct fake_mounts fake_mounts;

#endif
