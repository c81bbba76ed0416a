/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/scheduling.c -Wl,--wrap=syscall -Wl,--wrap=personality */
/* Policies, their flags and their numbers: which go together, and what the kernel is told of them. */
#include "unit/test.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/personality.h>
#include <sys/syscall.h>

#include "container/scheduling.h"

long __wrap_syscall(long number, ...);
int __wrap_personality(unsigned long domain);

static struct {
	struct scheduling scheduling;
	struct decode_memory memory;
	json_object *json;
	struct error err;
	struct sched_attr attr;
	unsigned long who, io_priority, domain;
	int setattr_calls, ioprio_calls, personality_calls, refuse;
} t;

long __wrap_syscall(long number, ...)
{
	va_list list;

	va_start(list, number);
	unsigned long first = va_arg(list, unsigned long) & 0xffffffff;
	if (number == SYS_sched_setattr) {
		assert_int_equal(first, 0); /* itself */
		t.attr = *va_arg(list, struct sched_attr *);
		t.setattr_calls++;
	} else {
		assert_int_equal(number, SYS_ioprio_set);
		assert_int_equal(first, IOPRIO_WHO_PROCESS);
		t.who = va_arg(list, unsigned long) & 0xffffffff;
		t.io_priority = va_arg(list, unsigned long) & 0xffffffff;
		t.ioprio_calls++;
	}
	va_end(list);
	errno = t.refuse;
	return t.refuse ? -1 : 0;
}

int __wrap_personality(unsigned long domain)
{
	t.domain = domain;
	t.personality_calls++;
	errno = t.refuse;
	return t.refuse ? -1 : 0;
}

static int clean(void **state)
{
	(void)state;
	json_object_put(t.json);
	decode_free(&t.memory);
	memset(&t, 0, sizeof(t));
	return 0;
}

/* As the config has them: by the tables, then the check.  NULL: not there. */
static int check(const char *scheduler, const char *io_priority, const char *personality_text)
{
	const struct {
		const char *text;
		const struct decode_schema *schema;
		void *at;
		bool *there;
	} parts[] = {
		{ scheduler, &scheduling_scheduler_schema, &t.scheduling.scheduler, &t.scheduling.has_scheduler },
		{ io_priority, &scheduling_io_priority_schema, &t.scheduling.io_priority, &t.scheduling.has_io_priority },
		{ personality_text, &scheduling_personality_schema, &t.scheduling.personality, &t.scheduling.has_personality },
	};
	int result = 0;

	clean(NULL);
	json_object *all = json_object_new_array();
	t.json = all;
	for (size_t i = 0; i < array_count(parts) && result == 0; i++) {
		json_object *json = NULL;

		*parts[i].there = parts[i].text != NULL;
		if (!parts[i].text)
			continue;
		assert_worked(decode_parse(parts[i].text, strlen(parts[i].text), &json, &t.err), &t.err);
		json_object_array_add(all, json);
		result = decode_object(json, parts[i].schema, parts[i].at, &t.memory, &t.err);
	}
	return result < 0 ? result : scheduling_check(&t.scheduling, &t.err);
}

static void schedulers(void **state)
{
	static const struct {
		const char *text, *field; /* NULL: taken */
	} rows[] = {
		{ "{\"policy\":\"SCHED_OTHER\"}", NULL },
		{ "{\"policy\":\"SCHED_OTHER\",\"nice\":-20,\"priority\":0}", NULL },
		{ "{\"policy\":\"SCHED_BATCH\",\"nice\":19}", NULL },
		{ "{\"policy\":\"SCHED_IDLE\"}", NULL },
		{ "{\"policy\":\"SCHED_FIFO\",\"priority\":1}", NULL },
		{ "{\"policy\":\"SCHED_RR\",\"priority\":99,\"nice\":0}", NULL },
		{ "{\"policy\":\"SCHED_DEADLINE\",\"runtime\":1,\"deadline\":18446744073709551615,\"period\":3}", NULL },
		{ "{\"policy\":\"SCHED_OTHER\",\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\",\"SCHED_FLAG_RECLAIM\"]}", NULL },
		{ "{}", "policy" },
		{ "{\"policy\":\"\"}", "policy" },
		{ "{\"policy\":\"SCHED_NORMAL\"}", "scheduler.policy" },
		{ "{\"policy\":\"SCHED_ISO\"}", "scheduler.policy" },
		{ "{\"policy\":\"sched_other\"}", "scheduler.policy" },
		{ "{\"policy\":\"SCHED_FIF\",\"priority\":1}", "scheduler.policy" },
		{ "{\"policy\":\"SCHED_OTHER\",\"nice\":20}", "nice" },
		{ "{\"policy\":\"SCHED_OTHER\",\"nice\":-21}", "nice" },
		{ "{\"policy\":\"SCHED_IDLE\",\"nice\":1}", "scheduler.nice" },
		{ "{\"policy\":\"SCHED_FIFO\",\"priority\":1,\"nice\":-1}", "scheduler.nice" },
		{ "{\"policy\":\"SCHED_DEADLINE\",\"nice\":1}", "scheduler.nice" },
		{ "{\"policy\":\"SCHED_FIFO\"}", "scheduler.priority" },
		{ "{\"policy\":\"SCHED_RR\",\"priority\":0}", "scheduler.priority" },
		{ "{\"policy\":\"SCHED_FIFO\",\"priority\":100}", "priority" },
		{ "{\"policy\":\"SCHED_FIFO\",\"priority\":-1}", "priority" },
		{ "{\"policy\":\"SCHED_OTHER\",\"priority\":1}", "scheduler.priority" },
		{ "{\"policy\":\"SCHED_BATCH\",\"priority\":1}", "scheduler.priority" },
		{ "{\"policy\":\"SCHED_DEADLINE\",\"priority\":1}", "scheduler.priority" },
		{ "{\"policy\":\"SCHED_OTHER\",\"runtime\":1}", "scheduler.runtime" },
		{ "{\"policy\":\"SCHED_BATCH\",\"deadline\":1}", "scheduler.runtime" },
		{ "{\"policy\":\"SCHED_FIFO\",\"priority\":1,\"period\":1}", "scheduler.runtime" },
		{ "{\"policy\":\"SCHED_OTHER\",\"flags\":[\"SCHED_FLAG_RECLAIM\",\"SCHED_FLAG_X\"]}", "scheduler.flags[1]" },
		{ "{\"policy\":\"SCHED_OTHER\",\"flags\":[\"RECLAIM\"]}", "scheduler.flags[0]" },
		{ "{\"policy\":\"SCHED_OTHER\",\"colour\":1}", "colour" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = check(rows[i].text, NULL, NULL);

		check_row((result < 0) == (rows[i].field != NULL), "%s: %s", rows[i].text, t.err.message);
		if (rows[i].field)
			assert_failed(result, &t.err, ERROR_PARAMS, rows[i].field);
	}
}

static void classes_and_personalities(void **state)
{
	static const struct {
		const char *io_priority, *personality, *field;
	} rows[] = {
		{ "{\"class\":\"IOPRIO_CLASS_RT\",\"priority\":0}", NULL, NULL },
		{ "{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":7}", NULL, NULL },
		{ "{\"class\":\"IOPRIO_CLASS_IDLE\"}", NULL, NULL },
		{ "{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}", NULL, "priority" },
		{ "{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":-1}", NULL, "priority" },
		{ "{\"class\":\"IOPRIO_CLASS_NONE\"}", NULL, "io_priority.class" },
		{ "{\"class\":\"BE\"}", NULL, "io_priority.class" },
		{ "{\"priority\":4}", NULL, "class" },
		{ NULL, "{}", NULL },
		{ NULL, "{\"domain\":0}", NULL },
		{ NULL, "{\"domain\":8}", NULL },
		{ NULL, "{\"domain\":1}", "personality.domain" },
		{ NULL, "{\"domain\":7}", "personality.domain" },
		{ NULL, "{\"domain\":9}", "domain" },
		{ NULL, "{\"domain\":262144}", "domain" }, /* ADDR_NO_RANDOMIZE */
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = check(NULL, rows[i].io_priority, rows[i].personality);

		check_row((result < 0) == (rows[i].field != NULL), "row %zu: %s", i, t.err.message);
		if (rows[i].field)
			assert_failed(result, &t.err, ERROR_PARAMS, rows[i].field);
	}
}

static void the_kernel_is_told_nothing_that_is_not_there(void **state)
{
	(void)state;
	assert_worked(check(NULL, NULL, NULL), &t.err);
	assert_worked(scheduling_apply(&t.scheduling, &t.err), &t.err);
	assert_int_equal(t.setattr_calls + t.ioprio_calls + t.personality_calls, 0);
}

/* Numbers of the kernel's headers, so a name that slid by one place is seen. */
static void names_become_numbers(void **state)
{
	static const struct {
		const char *name;
		unsigned number;
	} policies[] = { { "OTHER", 0 }, { "BATCH", 3 }, { "IDLE", 5 }, { "FIFO", 1 }, { "RR", 2 }, { "DEADLINE", 6 } },
	  flags[] = { { "RESET_ON_FORK", 1 }, { "RECLAIM", 2 },         { "DL_OVERRUN", 4 },     { "KEEP_POLICY", 8 },
		      { "KEEP_PARAMS", 16 },  { "UTIL_CLAMP_MIN", 32 }, { "UTIL_CLAMP_MAX", 64 } },
	  classes[] = { { "RT", 1 }, { "BE", 2 }, { "IDLE", 3 } };
	char text[200];

	(void)state;
	for (size_t i = 0; i < array_count(policies); i++) {
		unsigned priority = policies[i].number == 1 || policies[i].number == 2 ? 42 : 0;

		snprintf(text, sizeof(text), "{\"policy\":\"SCHED_%s\",\"priority\":%u}", policies[i].name, priority);
		assert_worked(check(text, NULL, NULL), &t.err);
		assert_worked(scheduling_apply(&t.scheduling, &t.err), &t.err);
		check_row(t.attr.sched_policy == policies[i].number && t.attr.sched_priority == priority, "%s", policies[i].name);
		check_row(t.attr.size == sizeof(t.attr) && t.setattr_calls == 1, "%s", policies[i].name);
	}
	for (size_t i = 0; i < array_count(flags); i++) {
		snprintf(text, sizeof(text), "{\"policy\":\"SCHED_OTHER\",\"flags\":[\"SCHED_FLAG_%s\",\"SCHED_FLAG_RECLAIM\"]}",
			 flags[i].name);
		assert_worked(check(text, NULL, NULL), &t.err);
		assert_worked(scheduling_apply(&t.scheduling, &t.err), &t.err);
		check_row(t.attr.sched_flags == (flags[i].number | 2), "%s", flags[i].name);
	}
	for (size_t i = 0; i < array_count(classes); i++) {
		snprintf(text, sizeof(text), "{\"class\":\"IOPRIO_CLASS_%s\",\"priority\":5}", classes[i].name);
		assert_worked(check(NULL, text, NULL), &t.err);
		assert_worked(scheduling_apply(&t.scheduling, &t.err), &t.err);
		check_row(t.io_priority == (classes[i].number << 13 | 5) && t.who == 0, "%s: %lx", classes[i].name, t.io_priority);
	}
}

static void the_rest_of_what_is_said(void **state)
{
	(void)state;
	assert_worked(check("{\"policy\":\"SCHED_BATCH\",\"nice\":-7}", NULL, "{\"domain\":8}"), &t.err);
	assert_worked(scheduling_apply(&t.scheduling, &t.err), &t.err);
	assert_int_equal(t.attr.sched_nice, -7);
	assert_true(t.personality_calls == 1 && t.domain == PER_LINUX32);
	assert_worked(check("{\"policy\":\"SCHED_DEADLINE\",\"runtime\":11,\"deadline\":22,\"period\":33}", NULL, NULL), &t.err);
	assert_worked(scheduling_apply(&t.scheduling, &t.err), &t.err);
	assert_true(t.attr.sched_runtime == 11 && t.attr.sched_deadline == 22 && t.attr.sched_period == 33);
}

static void what_the_kernel_refuses(void **state)
{
	(void)state;
	assert_worked(check("{\"policy\":\"SCHED_OTHER\"}", "{\"class\":\"IOPRIO_CLASS_RT\"}", "{\"domain\":0}"), &t.err);
	t.refuse = EPERM;
	assert_failed(scheduling_apply(&t.scheduling, &t.err), &t.err, ERROR_CONTAINER, "config.scheduler");
	assert_int_equal(t.ioprio_calls + t.personality_calls, 0);
	assert_worked(check(NULL, "{\"class\":\"IOPRIO_CLASS_RT\"}", "{\"domain\":0}"), &t.err);
	t.refuse = EPERM;
	assert_failed(scheduling_apply(&t.scheduling, &t.err), &t.err, ERROR_CONTAINER, "config.io_priority");
	assert_int_equal(t.personality_calls, 0);
	assert_worked(check(NULL, NULL, "{\"domain\":8}"), &t.err);
	t.refuse = EINVAL;
	assert_failed(scheduling_apply(&t.scheduling, &t.err), &t.err, ERROR_CONTAINER, "config.personality");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(schedulers, clean),
		cmocka_unit_test_teardown(classes_and_personalities, clean),
		cmocka_unit_test_teardown(the_kernel_is_told_nothing_that_is_not_there, clean),
		cmocka_unit_test_teardown(names_become_numbers, clean),
		cmocka_unit_test_teardown(the_rest_of_what_is_said, clean),
		cmocka_unit_test_teardown(what_the_kernel_refuses, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
