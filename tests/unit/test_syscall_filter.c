/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/syscall_filter.c agent/sys/libraries.c */
/* links: -Wl,--wrap=open */
/* Profiles compiled by libseccomp, and what the programs say of system calls, by a small interpreter of classic BPF. */
#include "unit/test.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "base/decode.h"
#include "container/syscall_filter.h"
#include "sys/paths.h"

#define CACHE "/run/coffer/seccomp"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

static struct {
	json_object *json;
	struct decode_memory memory;
	struct syscall_filter profile;
	struct syscall_filter_program program;
	struct error err;
} t;

/* Without a cache, which test_syscall_cache.c is about. */
int __wrap_open(const char *path, int flags, ...)
{
	va_list list;

	if (strncmp(path, CACHE, strlen(CACHE)) == 0) {
		errno = ENOENT;
		return -1;
	}
	va_start(list, flags);
	mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	return __real_open(path, flags, mode);
}

int paths_mkdirs(const char *path, mode_t mode, struct error *err)
{
	(void)mode;
	return error_set(err, ERROR_INTERNAL, EROFS, "no directory %s", path);
}

static void forget(void)
{
	free(t.program.filter);
	t.program.filter = NULL;
	json_object_put(t.json);
	t.json = NULL;
	decode_free(&t.memory);
}

static int clean(void **state)
{
	(void)state;
	forget();
	return 0;
}

static int compile(const char *text)
{
	forget();
	memset(&t.err, 0, sizeof(t.err));
	assert_worked(decode_parse(text, strlen(text), &t.json, &t.err), &t.err);
	int result = decode_object(t.json, &syscall_filter_schema, &t.profile, &t.memory, &t.err);

	return result < 0 ? result : syscall_filter_compile(&t.profile, &t.program, &t.err);
}

#define NATIVE AUDIT_ARCH_X86_64

/* The verdict of a program. */
static uint32_t judge(uint32_t arch, int number, uint64_t arg0, uint64_t arg1)
{
	const struct seccomp_data data = { .nr = number, .arch = arch, .args = { arg0, arg1 } };
	uint32_t accumulator = 0;

	for (size_t pc = 0; pc < t.program.length; pc++) {
		const struct sock_filter *at = &t.program.filter[pc];
		bool taken = false;

		switch (at->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(at->k % 4 == 0 && at->k + 4 <= sizeof(data));
			memcpy(&accumulator, (const char *)&data + at->k, sizeof(accumulator));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			accumulator &= at->k;
			continue;
		case BPF_RET | BPF_K:
			return at->k;
		case BPF_JMP | BPF_JA:
			pc += at->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = accumulator == at->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			taken = accumulator > at->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			taken = accumulator >= at->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			taken = accumulator & at->k;
			break;
		default:
			fail_msg("instruction %zu: code %#x", pc, at->code);
		}
		pc += taken ? at->jt : at->jf;
	}
	fail_msg("the program has no end");
	return 0;
}

/* ---- actions ---- */

static void every_action_as_default_and_in_a_rule(void **state)
{
	static const struct {
		int number;
		const char *more; /* "": no errno given */
		uint32_t verdict;
	} rows[] = {
		{ 1, "", SECCOMP_RET_KILL_THREAD },
		{ 2, "", SECCOMP_RET_ERRNO | EPERM },
		{ 2, "0", SECCOMP_RET_ERRNO | 0 },
		{ 2, "38", SECCOMP_RET_ERRNO | ENOSYS },
		{ 2, "4094", SECCOMP_RET_ERRNO | 4094 },
		{ 3, "", SECCOMP_RET_TRAP },
		{ 4, "", SECCOMP_RET_ALLOW },
		{ 5, "", SECCOMP_RET_TRACE | EPERM },
		{ 5, "77", SECCOMP_RET_TRACE | 77 },
		{ 6, "", SECCOMP_RET_LOG },
		{ 8, "", SECCOMP_RET_KILL_THREAD },
		{ 9, "", SECCOMP_RET_KILL_PROCESS },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		/* Another default than the rule's. */
		int other = rows[i].number == 4 ? 9 : 4;
		uint32_t other_verdict = other == 4 ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS;
		const char *comma = rows[i].more[0] ? "," : "", *more = rows[i].more[0] ? rows[i].more : "";
		char text[256];

		snprintf(text, sizeof(text), "{\"default_action\":%d%s%s%s,\"syscalls\":[{\"name\":\"getpid\",\"action\":%d}]}",
			 rows[i].number, comma, more[0] ? "\"default_errno_ret\":" : "", more, other);
		assert_worked(compile(text), &t.err);
		check_row(judge(NATIVE, SYS_read, 0, 0) == rows[i].verdict, "row %zu: %#x", i, judge(NATIVE, SYS_read, 0, 0));
		check_row(judge(NATIVE, SYS_getpid, 0, 0) == other_verdict, "row %zu", i);
		snprintf(text, sizeof(text), "{\"default_action\":%d,\"syscalls\":[{\"name\":\"getpid\",\"action\":%d%s%s%s}]}",
			 other, rows[i].number, comma, more[0] ? "\"errnoRet\":" : "", more);
		assert_worked(compile(text), &t.err);
		check_row(judge(NATIVE, SYS_getpid, 0, 0) == rows[i].verdict, "row %zu: %#x", i, judge(NATIVE, SYS_getpid, 0, 0));
		check_row(judge(NATIVE, SYS_read, 0, 0) == other_verdict, "row %zu", i);
	}
}

static void a_rule_that_says_what_the_default_says(void **state)
{
	(void)state;
	assert_worked(
		compile("{\"default_action\":2,\"default_errno_ret\":1,\"syscalls\":[{\"name\":\"read\",\"action\":2},"
			"{\"name\":\"no_such_call\",\"action\":2,\"errnoRet\":1},{\"name\":\"write\",\"action\":2,\"errnoRet\":"
			"5},{\"name\":\"close\",\"action\":4},{\"name\":\"close\",\"action\":4}]}"),
		&t.err);
	assert_int_equal(judge(NATIVE, SYS_read, 0, 0), SECCOMP_RET_ERRNO | 1);
	assert_int_equal(judge(NATIVE, SYS_write, 0, 0), SECCOMP_RET_ERRNO | 5);
	assert_int_equal(judge(NATIVE, SYS_close, 0, 0), SECCOMP_RET_ALLOW);
	assert_worked(compile("{\"default_action\":4}"), &t.err);
	assert_int_equal(judge(NATIVE, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
}

/* ---- arguments ---- */

static bool holds(int op, uint64_t got, uint64_t value, uint64_t two)
{
	switch (op) {
	case 1:
		return got == value;
	case 2:
		return got != value;
	case 3:
		return got > value;
	case 4:
		return got >= value;
	case 5:
		return got < value;
	case 6:
		return got <= value;
	default:
		return (got & value) == two;
	}
}

static void every_operator_at_its_borders(void **state)
{
	static const uint64_t values[] = { 1, 5, 0xfffffffe, 0xffffffff, 0x100000000, 0x100000005, UINT64_MAX - 1 };

	(void)state;
	for (int op = 1; op <= 7; op++) {
		for (size_t v = 0; v < array_count(values); v++) {
			uint64_t two = values[v] & 0xffff00000005u;
			char text[256];

			snprintf(text, sizeof(text),
				 "{\"default_action\":2,\"syscalls\":[{\"name\":\"lseek\",\"action\":4,\"args\":[{\"index\":1,"
				 "\"value\":%llu,\"value_two\":%llu,\"op\":%d}]}]}",
				 (unsigned long long)values[v], (unsigned long long)two, op);
			assert_worked(compile(text), &t.err);
			for (size_t w = 0; w < array_count(values); w++) {
				for (int step = -1; step <= 1; step++) {
					uint64_t got = values[w] + (uint64_t)(int64_t)step;
					bool allowed = judge(NATIVE, SYS_lseek, ~got, got) == SECCOMP_RET_ALLOW;

					check_row(allowed == holds(op, got, values[v], two), "op %d, %llx against %llx", op,
						  (unsigned long long)got, (unsigned long long)values[v]);
				}
			}
		}
	}
}

static void arguments_of_different_places_must_all_match(void **state)
{
	(void)state;
	assert_worked(compile("{\"default_action\":2,\"syscalls\":[{\"name\":\"socket\",\"action\":4,\"args\":["
			      "{\"index\":0,\"value\":2,\"op\":1},{\"index\":1,\"value\":10,\"op\":6}]}]}"),
		      &t.err);
	assert_int_equal(judge(NATIVE, SYS_socket, 2, 10), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(NATIVE, SYS_socket, 2, 11), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(judge(NATIVE, SYS_socket, 3, 10), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(judge(NATIVE, SYS_socket, 3, 11), SECCOMP_RET_ERRNO | EPERM);
}

static void arguments_of_one_place_are_alternatives(void **state)
{
	(void)state;
	assert_worked(compile("{\"default_action\":2,\"syscalls\":[{\"name\":\"personality\",\"action\":4,\"args\":["
			      "{\"index\":0,\"value\":0,\"op\":1},{\"index\":0,\"value\":8,\"op\":1},"
			      "{\"index\":0,\"value\":4294967295,\"op\":1}]}]}"),
		      &t.err);
	assert_int_equal(judge(NATIVE, SYS_personality, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(NATIVE, SYS_personality, 8, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(NATIVE, SYS_personality, 0xffffffff, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(NATIVE, SYS_personality, 1, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(judge(NATIVE, SYS_personality, ~0ull, 0), SECCOMP_RET_ERRNO | EPERM);
	/* As runc has it: once an index is there twice, the others are alternatives too. */
	assert_worked(compile("{\"default_action\":2,\"syscalls\":[{\"name\":\"socket\",\"action\":4,\"args\":["
			      "{\"index\":0,\"value\":1,\"op\":1},{\"index\":1,\"value\":5,\"op\":1},"
			      "{\"index\":0,\"value\":2,\"op\":1}]}]}"),
		      &t.err);
	assert_int_equal(judge(NATIVE, SYS_socket, 2, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(NATIVE, SYS_socket, 9, 5), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(NATIVE, SYS_socket, 9, 6), SECCOMP_RET_ERRNO | EPERM);
}

/* ---- names ---- */

static void unknown_names(void **state)
{
	static const struct {
		const char *text, *field; /* NULL: taken */
	} rows[] = {
		/* Left out: the default stops it as well. */
		{ "{\"default_action\":2,\"syscalls\":[{\"name\":\"no_such_call\",\"action\":4}]}", NULL },
		{ "{\"default_action\":9,\"syscalls\":[{\"name\":\"no_such_call\",\"action\":6}]}", NULL },
		/* It would pass. */
		{ "{\"default_action\":4,\"syscalls\":[{\"name\":\"no_such_call\",\"action\":2}]}", "syscalls[0].name" },
		{ "{\"default_action\":4,\"syscalls\":[{\"name\":\"read\",\"action\":2},{\"name\":\"Read\",\"action\":9}]}",
		  "syscalls[1].name" },
		{ "{\"default_action\":6,\"syscalls\":[{\"name\":\"no_such_call\",\"action\":1}]}", "syscalls[0].name" },
		{ "{\"default_action\":4,\"syscalls\":[{\"name\":\"no_such_call\",\"action\":3}]}", "syscalls[0].name" },
		{ "{\"default_action\":4,\"syscalls\":[{\"name\":\"no_such_call\",\"action\":5}]}", "syscalls[0].name" },
		/* Of another architecture: known, and none of this one's. */
		{ "{\"default_action\":2,\"syscalls\":[{\"name\":\"socketcall\",\"action\":4}]}", NULL },
		{ "{\"default_action\":4,\"syscalls\":[{\"name\":\"socketcall\",\"action\":9}]}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = compile(rows[i].text);

		if (rows[i].field) {
			assert_failed(result, &t.err, ERROR_PARAMS, rows[i].field);
			assert_null(t.program.filter);
		} else {
			assert_worked(result, &t.err);
		}
	}
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text, *field;
		enum error_code code;
	} rows[] = {
		{ "{\"default_action\":7}", "default_action", ERROR_UNSUPPORTED_FIELD },
		{ "{\"default_action\":4,\"syscalls\":[{\"name\":\"read\",\"action\":7}]}", "syscalls[0].action",
		  ERROR_UNSUPPORTED_FIELD },
		{ "{\"default_action\":0}", "default_action", ERROR_PARAMS },
		{ "{\"default_action\":10}", "default_action", ERROR_PARAMS },
		{ "{}", "default_action", ERROR_PARAMS },
		{ "{\"default_action\":4,\"default_errno_ret\":1}", "default_action", ERROR_PARAMS },
		{ "{\"default_action\":2,\"default_errno_ret\":4095}", "default_errno_ret", ERROR_PARAMS },
		{ "{\"default_action\":2,\"syscalls\":[{\"name\":\"read\",\"action\":4,\"errnoRet\":5}]}", "syscalls[0].action",
		  ERROR_PARAMS },
		{ "{\"default_action\":2,\"syscalls\":[{\"name\":\"read\",\"action\":4,\"args\":[{\"index\":6,\"op\":1}]}]}",
		  "syscalls[0].args[0].index", ERROR_PARAMS },
		{ "{\"default_action\":2,\"syscalls\":[{\"name\":\"read\",\"action\":4,\"args\":[{\"index\":0,\"op\":8}]}]}",
		  "syscalls[0].args[0].op", ERROR_PARAMS },
		{ "{\"default_action\":2,\"syscalls\":[{\"name\":\"read\",\"action\":4,\"args\":[{\"index\":0,\"op\":0}]}]}",
		  "syscalls[0].args[0].op", ERROR_PARAMS },
		{ "{\"default_action\":4,\"architectures\":[\"x86\",\"pdp11\"]}", "architectures[1]", ERROR_PARAMS },
		{ "{\"default_action\":4,\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_FILTER_FLAG_NEW_LISTENER\"]}", "flags[1]",
		  ERROR_PARAMS },
		{ "{\"default_action\":4,\"flags\":[\"LOG\"]}", "flags[0]", ERROR_PARAMS },
		{ "{\"default_action\":4,\"listener_path\":\"/run/x\"}", "listener_path", ERROR_UNSUPPORTED_FIELD },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_failed(compile(rows[i].text), &t.err, rows[i].code, rows[i].field);
	}
}

static void flags_are_the_loaders(void **state)
{
	(void)state;
	assert_worked(compile("{\"default_action\":4}"), &t.err);
	assert_int_equal(t.program.flags, 0);
	assert_worked(compile("{\"default_action\":4,\"flags\":[\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_LOG\","
			      "\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"]}"),
		      &t.err);
	assert_int_equal(t.program.flags, 7);
	assert_worked(compile("{\"default_action\":4,\"flags\":[\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\"]}"), &t.err);
	assert_int_equal(t.program.flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
}

/* ---- architectures ---- */

/* Numbers of i386. */
#define I386_READ       3
#define I386_SOCKETCALL 102
#define I386_GETPID     20
#define X32             0x40000000

static void a_foreign_architecture_is_stopped(void **state)
{
	static const char *const rows[] = { "", ",\"architectures\":[\"x86_64\"]", ",\"architectures\":[\"amd64\",\"amd64\"]" };

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char text[128];

		snprintf(text, sizeof(text), "{\"default_action\":4%s}", rows[i]);
		assert_worked(compile(text), &t.err);
		assert_int_equal(judge(NATIVE, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
		assert_int_equal(judge(AUDIT_ARCH_I386, I386_READ, 0, 0), SECCOMP_RET_KILL_THREAD);
		assert_int_equal(judge(AUDIT_ARCH_AARCH64, 63, 0, 0), SECCOMP_RET_KILL_THREAD);
		/* x32 calls come with the native architecture's name. */
		assert_int_equal(judge(NATIVE, X32 | SYS_read, 0, 0), SECCOMP_RET_KILL_THREAD);
	}
}

static void a_listed_architecture_has_the_rules_by_its_own_numbers(void **state)
{
	(void)state;
	assert_worked(compile("{\"default_action\":2,\"architectures\":[\"amd64\",\"x86\",\"x32\"],\"syscalls\":["
			      "{\"name\":\"read\",\"action\":4},{\"name\":\"getpid\",\"action\":4},"
			      "{\"name\":\"stime\",\"action\":4}]}"),
		      &t.err);
	assert_int_equal(judge(NATIVE, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(NATIVE, X32 | SYS_read, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(AUDIT_ARCH_I386, I386_READ, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(AUDIT_ARCH_I386, I386_GETPID, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(AUDIT_ARCH_I386, 25, 0, 0), SECCOMP_RET_ALLOW); /* stime, which x86_64 has not */
	/* 3 is close here, and 20 is writev. */
	assert_int_equal(judge(NATIVE, I386_READ, 0, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(judge(NATIVE, I386_GETPID, 0, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(judge(AUDIT_ARCH_I386, SYS_getpid, 0, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(judge(AUDIT_ARCH_AARCH64, 63, 0, 0), SECCOMP_RET_KILL_THREAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_action_as_default_and_in_a_rule, clean),
		cmocka_unit_test_teardown(a_rule_that_says_what_the_default_says, clean),
		cmocka_unit_test_teardown(every_operator_at_its_borders, clean),
		cmocka_unit_test_teardown(arguments_of_different_places_must_all_match, clean),
		cmocka_unit_test_teardown(arguments_of_one_place_are_alternatives, clean),
		cmocka_unit_test_teardown(unknown_names, clean),
		cmocka_unit_test_teardown(what_is_refused, clean),
		cmocka_unit_test_teardown(flags_are_the_loaders, clean),
		cmocka_unit_test_teardown(a_foreign_architecture_is_stopped, clean),
		cmocka_unit_test_teardown(a_listed_architecture_has_the_rules_by_its_own_numbers, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
