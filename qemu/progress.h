/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_PROGRESS_H
#define QEMU_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * One line on standard error, if that is a terminal, for what takes longer than a second: "what 3 s".  It is
 * wiped when the work ends.  Zero-initialised is "nothing going on".
 */
struct progress {
	char text[96];
	int64_t began; /* 0: nothing going on */
	int64_t shown; /* the second that stands on the screen */
};

void progress_begin(struct progress *progress, const char *format, ...) printf_like(2, 3);
/* To be called several times a second while waiting. */
void progress_tick(struct progress *progress);
void progress_end(struct progress *progress);

#define PROGRESS_TICK_MS 200

#endif
