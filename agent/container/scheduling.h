/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_SCHEDULING_H
#define CONTAINER_SCHEDULING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/decode.h"
#include "base/error.h"

/* How the kernel runs a container's processes: libcontainer's scheduler, io_priority and personality. */

struct scheduling {
	struct {
		const char *policy; /* "SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE" */
		int64_t nice, priority;
		struct decode_list flags;           /* const char *: "SCHED_FLAG_RESET_ON_FORK" */
		uint64_t runtime, deadline, period; /* ns */
	} scheduler;
	struct {
		const char *class; /* "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE" */
		int64_t priority;
	} io_priority;
	struct {
		uint64_t domain; /* 0: PER_LINUX, 8: PER_LINUX32 */
	} personality;
	bool has_scheduler, has_io_priority, has_personality;
};

extern const struct decode_schema scheduling_scheduler_schema, scheduling_io_priority_schema, scheduling_personality_schema;

/* Fields in errors begin with the key of the config. */
must_check int scheduling_check(const struct scheduling *scheduling, struct error *err);
/* For the calling process, which still has its privileges. */
must_check int scheduling_apply(const struct scheduling *scheduling, struct error *err);

#endif
