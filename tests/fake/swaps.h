/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_SWAPS_H
#define FAKE_SWAPS_H

/* Fake of sys/swaps.c: remembers the last path; nothing is swapped. */
extern struct fake_swaps {
	char on[160], off[160];
} fake_swaps;

#endif
