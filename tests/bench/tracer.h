/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_BENCH_TRACER_H
#define TESTS_BENCH_TRACER_H

#include <sys/types.h>

/* What the processes of one run did, from the first one's start to its end. */
struct tracer_count {
	unsigned long calls;     /* system calls entered, as `strace -f -c` counts them */
	unsigned long processes; /* processes (threads not counted) that were born and ended meanwhile */
	unsigned long peak_kib;  /* what the largest of these processes had in memory at most, read when it executes another program
				    or ends */
};

/*
 * Runs a program to its end, with all that it makes.  Returns its wait status, or -1.
 */
int tracer_run(char *const *args, struct tracer_count *count);

/*
 * Follows a process that runs already, and all that it makes, while `work` runs in a process of its own that is not followed; then
 * lets go of all of them.  The process itself counts with its calls, and not with its memory.  Returns what `work` returns, 0 or 1.
 */
int tracer_follow(pid_t pid, int (*work)(void *context), void *context, struct tracer_count *count);

#endif
