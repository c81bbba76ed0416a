/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/scheduling.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The members of one struct in struct scheduling, by their place in that. */
#define FIELD(owner, key, decode_kind)                                                                                             \
	.name = #key, .kind = decode_kind, .offset = offsetof(struct scheduling, owner.key) - offsetof(struct scheduling, owner)
#define SCHEMA(fields, owner)                                                                                                      \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(((struct scheduling *)0)->owner), NULL                                         \
	}

static const struct decode_field flag_item = { .kind = DECODE_STRING, .flags = DECODE_NONZERO, .max = 64 };

static const struct decode_field scheduler_fields[] = {
	{ FIELD(scheduler, policy, DECODE_STRING), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 32 },
	{ FIELD(scheduler, nice, DECODE_INT), .min = -20, .max = 19 },
	{ FIELD(scheduler, priority, DECODE_INT), .min = 0, .max = 99 },
	{ FIELD(scheduler, flags, DECODE_LIST), .item = &flag_item, .max = 8 },
	{ FIELD(scheduler, runtime, DECODE_UINT), .max = UINT64_MAX },
	{ FIELD(scheduler, deadline, DECODE_UINT), .max = UINT64_MAX },
	{ FIELD(scheduler, period, DECODE_UINT), .max = UINT64_MAX },
};
const struct decode_schema scheduling_scheduler_schema = SCHEMA(scheduler_fields, scheduler);

static const struct decode_field io_priority_fields[] = {
	{ FIELD(io_priority, class, DECODE_STRING), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 32 },
	{ FIELD(io_priority, priority, DECODE_INT), .min = 0, .max = 7 },
};
const struct decode_schema scheduling_io_priority_schema = SCHEMA(io_priority_fields, io_priority);

static const struct decode_field personality_fields[] = {
	{ FIELD(personality, domain, DECODE_UINT), .max = PER_LINUX32 },
};
const struct decode_schema scheduling_personality_schema = SCHEMA(personality_fields, personality);

struct name {
	const char *name;
	unsigned value;
};

static const struct name policies[] = { { "SCHED_OTHER", SCHED_NORMAL }, { "SCHED_BATCH", SCHED_BATCH },
					{ "SCHED_IDLE", SCHED_IDLE },    { "SCHED_FIFO", SCHED_FIFO },
					{ "SCHED_RR", SCHED_RR },        { "SCHED_DEADLINE", SCHED_DEADLINE } };
static const struct name policy_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },  { "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },        { "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },      { "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX }
};
static const struct name classes[] = { { "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
				       { "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
				       { "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE } };

static const struct name *find(const struct name *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	}
	return NULL;
}

static int check_scheduler(const struct scheduling *scheduling, struct error *err)
{
	const struct name *policy = find(policies, array_count(policies), scheduling->scheduler.policy);
	const char *const *flags = scheduling->scheduler.flags.items;

	if (!policy)
		return error_field(err, "scheduler.policy", "unknown policy");
	bool real_time = policy->value == SCHED_FIFO || policy->value == SCHED_RR;
	if (scheduling->scheduler.priority && !real_time)
		return error_field(err, "scheduler.priority", "only SCHED_FIFO and SCHED_RR take one");
	if (real_time && scheduling->scheduler.priority == 0)
		return error_field(err, "scheduler.priority", "must be within 1 and 99 for this policy");
	if (scheduling->scheduler.nice && policy->value != SCHED_NORMAL && policy->value != SCHED_BATCH)
		return error_field(err, "scheduler.nice", "only SCHED_OTHER and SCHED_BATCH take one");
	if ((scheduling->scheduler.runtime || scheduling->scheduler.deadline || scheduling->scheduler.period) &&
	    policy->value != SCHED_DEADLINE)
		return error_field(err, "scheduler.runtime", "only SCHED_DEADLINE takes runtime, deadline and period");
	for (size_t i = 0; i < scheduling->scheduler.flags.count; i++) {
		char field[40];

		snprintf(field, sizeof(field), "scheduler.flags[%zu]", i);
		if (!find(policy_flags, array_count(policy_flags), flags[i]))
			return error_field(err, field, "unknown flag");
	}
	return 0;
}

int scheduling_check(const struct scheduling *scheduling, struct error *err)
{
	if (scheduling->has_io_priority && !find(classes, array_count(classes), scheduling->io_priority.class))
		return error_field(err, "io_priority.class", "unknown class");
	if (scheduling->has_personality && scheduling->personality.domain != PER_LINUX &&
	    scheduling->personality.domain != PER_LINUX32)
		return error_field(err, "personality.domain", "must be 0 or 8");
	return scheduling->has_scheduler ? check_scheduler(scheduling, err) : 0;
}

static int set_scheduler(const struct scheduling *scheduling, struct error *err)
{
	const char *const *flags = scheduling->scheduler.flags.items;
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = find(policies, array_count(policies), scheduling->scheduler.policy)->value,
		.sched_nice = (int32_t)scheduling->scheduler.nice,
		.sched_priority = (uint32_t)scheduling->scheduler.priority,
		.sched_runtime = scheduling->scheduler.runtime,
		.sched_deadline = scheduling->scheduler.deadline,
		.sched_period = scheduling->scheduler.period,
	};

	for (size_t i = 0; i < scheduling->scheduler.flags.count; i++)
		attr.sched_flags |= find(policy_flags, array_count(policy_flags), flags[i])->value;
	if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0) {
		int result = error_set(err, ERROR_CONTAINER, errno, "set the scheduling policy");

		snprintf(err->field, sizeof(err->field), "config.scheduler");
		return result;
	}
	return 0;
}

static int set_io_priority(const struct scheduling *scheduling, struct error *err)
{
	unsigned class = find(classes, array_count(classes), scheduling->io_priority.class)->value;

	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, (unsigned)scheduling->io_priority.priority)) <
	    0) {
		int result = error_set(err, ERROR_CONTAINER, errno, "set the priority of input and output");

		snprintf(err->field, sizeof(err->field), "config.io_priority");
		return result;
	}
	return 0;
}

int scheduling_apply(const struct scheduling *scheduling, struct error *err)
{
	int result = scheduling->has_scheduler ? set_scheduler(scheduling, err) : 0;

	if (result == 0 && scheduling->has_io_priority)
		result = set_io_priority(scheduling, err);
	if (result == 0 && scheduling->has_personality && personality(scheduling->personality.domain) < 0) {
		result = error_set(err, ERROR_CONTAINER, errno, "set the personality");
		snprintf(err->field, sizeof(err->field), "config.personality");
	}
	return result;
}
