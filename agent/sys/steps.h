/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_STEPS_H
#define SYS_STEPS_H

#include <stdint.h>
#include <sys/types.h>

/* What a request did, in order, with time and bytes written: part of its answer.  A plain value, to be sent through a pipe. */
#define STEPS_MAX 16

struct step {
	char name[24];
	uint32_t us;
	uint64_t written;
};

struct steps {
	struct step items[STEPS_MAX];
	uint32_t count;
	dev_t disk; /* whose counter `written` comes from; 0: none */
	uint64_t started_us;
	uint64_t written_before;
};

/* From now on writes to this disk are counted. */
void steps_watch(struct steps *steps, dev_t disk);
/* Ends the step that began at the last call of either function (or at `steps_begin`), under this name.  Steps past the last place
 * are merged into it. */
void steps_done(struct steps *steps, const char *name);
void steps_begin(struct steps *steps);
/* Bytes written in all steps. */
uint64_t steps_written(const struct steps *steps);

#endif
