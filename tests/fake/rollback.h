/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_ROLLBACK_H
#define FAKE_ROLLBACK_H

#include "base/undo.h"

#define FAKE_ROLLBACK_MAX 64

/* What tests/fake/rollback.c has played, in memory that is shared with the workers that play it. */
struct fake_rollback {
	unsigned runs;
	unsigned count; /* records of all runs, in the order in which they were undone */
	struct undo_record records[FAKE_ROLLBACK_MAX];
	int fail;  /* errno: every run fails, at its end */
	int crash; /* every run dies at its first record */
	int hang;
};

extern struct fake_rollback *fake_rollback;

/* Makes the memory, or clears it. */
void fake_rollback_reset(void);

#endif
