/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/privileges.c */
#include "unit/test.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/decode.h"
#include "base/text.h"
#include "container/privileges.h"

#define BIT(number) ((uint64_t)1 << (number))

static struct privileges_capabilities sets;
static struct error err;

static int decode(const char *text)
{
	json_object *json = NULL;

	memset(&err, 0, sizeof(err));
	memset(&sets, 0x55, sizeof(sets));
	int result = decode_parse(text, strlen(text), &json, &err);
	if (result == 0)
		result = privileges_decode(json, &sets, &err);
	json_object_put(json);
	return result;
}

static void nothing_given_is_nothing_kept(void **state)
{
	static const char *const texts[] = {
		"null", "[]", "{}", "{\"Bounding\":null,\"Effective\":[],\"Permitted\":null,\"Inheritable\":[],\"Ambient\":null}"
	};

	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		assert_worked(decode(texts[i]), &err);
		assert_true(sets.bounding == 0 && sets.effective == 0 && sets.permitted == 0 && sets.inheritable == 0 &&
			    sets.ambient == 0);
	}
}

/* Inheritable and ambient stay empty: CVE-2016-8867, CVE-2022-29162. */
static void an_array_sets_three(void **state)
{
	(void)state;
	assert_worked(decode("[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\",\"CAP_CHOWN\"]"), &err);
	assert_true(sets.bounding == (BIT(CAP_CHOWN) | BIT(CAP_SYS_ADMIN)));
	assert_true(sets.effective == sets.bounding && sets.permitted == sets.bounding);
	assert_true(sets.inheritable == 0 && sets.ambient == 0);
}

static void an_object_sets_each(void **state)
{
	(void)state;
	assert_worked(decode("{\"Bounding\":[\"CAP_KILL\",\"CAP_CHOWN\",\"CAP_FOWNER\"],\"Effective\":[\"CAP_CHOWN\"],"
			     "\"Permitted\":[\"CAP_CHOWN\",\"CAP_KILL\"],\"Inheritable\":[\"CAP_KILL\",\"CAP_NET_RAW\"],"
			     "\"Ambient\":[\"CAP_KILL\"]}"),
		      &err);
	assert_true(sets.bounding == (BIT(CAP_KILL) | BIT(CAP_CHOWN) | BIT(CAP_FOWNER)));
	assert_true(sets.effective == BIT(CAP_CHOWN));
	assert_true(sets.permitted == (BIT(CAP_CHOWN) | BIT(CAP_KILL)));
	assert_true(sets.inheritable == (BIT(CAP_KILL) | BIT(CAP_NET_RAW)));
	assert_true(sets.ambient == BIT(CAP_KILL));
}

/* Against the kernel's header, so a name that slid by one place is seen. */
static void every_name_has_its_number(void **state)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {
#define NAME(name) { #name, name }
		NAME(CAP_CHOWN),
		NAME(CAP_DAC_OVERRIDE),
		NAME(CAP_DAC_READ_SEARCH),
		NAME(CAP_FOWNER),
		NAME(CAP_FSETID),
		NAME(CAP_KILL),
		NAME(CAP_SETGID),
		NAME(CAP_SETUID),
		NAME(CAP_SETPCAP),
		NAME(CAP_LINUX_IMMUTABLE),
		NAME(CAP_NET_BIND_SERVICE),
		NAME(CAP_NET_BROADCAST),
		NAME(CAP_NET_ADMIN),
		NAME(CAP_NET_RAW),
		NAME(CAP_IPC_LOCK),
		NAME(CAP_IPC_OWNER),
		NAME(CAP_SYS_MODULE),
		NAME(CAP_SYS_RAWIO),
		NAME(CAP_SYS_CHROOT),
		NAME(CAP_SYS_PTRACE),
		NAME(CAP_SYS_PACCT),
		NAME(CAP_SYS_ADMIN),
		NAME(CAP_SYS_BOOT),
		NAME(CAP_SYS_NICE),
		NAME(CAP_SYS_RESOURCE),
		NAME(CAP_SYS_TIME),
		NAME(CAP_SYS_TTY_CONFIG),
		NAME(CAP_MKNOD),
		NAME(CAP_LEASE),
		NAME(CAP_AUDIT_WRITE),
		NAME(CAP_AUDIT_CONTROL),
		NAME(CAP_SETFCAP),
		NAME(CAP_MAC_OVERRIDE),
		NAME(CAP_MAC_ADMIN),
		NAME(CAP_SYSLOG),
		NAME(CAP_WAKE_ALARM),
		NAME(CAP_BLOCK_SUSPEND),
		NAME(CAP_AUDIT_READ),
		NAME(CAP_PERFMON),
		NAME(CAP_BPF),
		NAME(CAP_CHECKPOINT_RESTORE),
#undef NAME
	};
	char text[64];

	(void)state;
	assert_int_equal(array_count(names), CAP_LAST_CAP + 1);
	for (size_t i = 0; i < array_count(names); i++) {
		snprintf(text, sizeof(text), "[\"%s\"]", names[i].name);
		assert_worked(decode(text), &err);
		check_row(sets.permitted == BIT(names[i].number), "%s is %llx", names[i].name, (unsigned long long)sets.permitted);
	}
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text, *field;
	} rows[] = {
		{ "[\"CAP_NONE\"]", "[0]" },
		{ "[\"CAP_CHOWN\",\"cap_kill\"]", "[1]" },
		{ "[\"CHOWN\"]", "[0]" },
		{ "[\"CAP_\"]", "[0]" },
		{ "[\"\"]", "[0]" },
		{ "[\"ALL\"]", "[0]" },
		{ "[\"CAP_CHOWN \"]", "[0]" },
		{ "[\"CAP_CAP_CHOWN\"]", "[0]" },
		{ "[0]", "[0]" },
		{ "[null]", "[0]" },
		{ "[[\"CAP_CHOWN\"]]", "[0]" },
		{ "\"CAP_CHOWN\"", "" },
		{ "5", "" },
		{ "true", "" },
		{ "{\"Bounding\":\"CAP_CHOWN\"}", "Bounding" },
		{ "{\"Bounding\":{}}", "Bounding" },
		{ "{\"Bounding\":[\"CAP_X\"]}", "Bounding[0]" },
		{ "{\"Bounding\":[null]}", "Bounding[0]" },
		{ "{\"bounding\":[]}", "bounding" },
		{ "{\"Allowed\":null}", "Allowed" },
		/* Sets that the kernel would not take, or would quietly shrink. */
		{ "{\"Bounding\":[\"CAP_KILL\"],\"Effective\":[\"CAP_KILL\"]}", "Effective" },
		{ "{\"Permitted\":[\"CAP_KILL\"]}", "Permitted" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = decode(rows[i].text);

		check_row(result < 0, "accepted: %s", rows[i].text);
		check_row(err.code == ERROR_PARAMS && strcmp(err.field, rows[i].field) == 0, "%s: field \"%s\": %s", rows[i].text,
			  err.field, err.message);
	}
}

/* What /proc/self/status says of this process. */
static unsigned long long status_of(const char *name, int base)
{
	char text[8192];

	if (text_read_file("/proc/self/status", text, sizeof(text)) < 0)
		return ~0ull;
	const char *found = strstr(text, name);
	return found ? strtoull(found + strlen(name), NULL, base) : ~0ull;
}

static _Noreturn void drop_and_look(const struct privileges *privileges)
{
	struct error failure;

	if (privileges_drop(privileges, &failure) < 0) {
		fprintf(stderr, "%s\n", failure.message);
		_exit(1);
	}
	const struct privileges_capabilities *wanted = &privileges->capabilities;
	if (status_of("CapBnd:", 16) != wanted->bounding || status_of("CapPrm:", 16) != wanted->permitted ||
	    status_of("CapEff:", 16) != wanted->effective || status_of("CapInh:", 16) != wanted->inheritable ||
	    status_of("CapAmb:", 16) != wanted->ambient)
		_exit(2);
	if (status_of("NoNewPrivs:", 10) != privileges->no_new_privileges)
		_exit(3);
	uid_t ids[3];
	gid_t groups[8];
	if (getresuid(&ids[0], &ids[1], &ids[2]) < 0 || ids[0] != privileges->uid || ids[1] != ids[0] || ids[2] != ids[0])
		_exit(4);
	if (getresgid(&ids[0], &ids[1], &ids[2]) < 0 || ids[0] != privileges->gid || ids[1] != ids[0] || ids[2] != ids[0])
		_exit(5);
	if (getgroups(8, groups) != (int)privileges->group_count)
		_exit(6);
	for (size_t i = 0; i < privileges->group_count; i++) {
		if (groups[i] != privileges->groups[i])
			_exit(7);
	}
	if (prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) != 0)
		_exit(8);
	_exit(0);
}

static int in_child(const struct privileges *privileges)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		drop_and_look(privileges);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static void dropping_leaves_what_was_said(void **state)
{
	static const uint64_t groups[] = { 20, 1000 };
	const struct privileges rows[] = {
		{ .uid = 0, .gid = 0 },
		{ .uid = 1000, .gid = 1000, .no_new_privileges = true },
		{ .uid = 1000, .gid = 100, .groups = groups, .group_count = 2 },
		{ .uid = 0,
		  .capabilities = { BIT(CAP_CHOWN) | BIT(CAP_KILL), BIT(CAP_CHOWN), BIT(CAP_CHOWN) | BIT(CAP_KILL), 0, 0 } },
		/* Leaving uid 0 takes capabilities, unless it is told not to. */
		{ .uid = 7,
		  .gid = 7,
		  .capabilities = { BIT(CAP_KILL), BIT(CAP_KILL), BIT(CAP_KILL), BIT(CAP_KILL), BIT(CAP_KILL) } },
	};

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < array_count(rows); i++)
		check_row(in_child(&rows[i]) == 0, "row %zu: step %d", i, in_child(&rows[i]));
}

static void too_many_groups_are_an_error(void **state)
{
	static const uint64_t groups[65];
	const struct privileges privileges = { .groups = groups, .group_count = 65 };

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(&privileges), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_is_nothing_kept),
		cmocka_unit_test(an_array_sets_three),
		cmocka_unit_test(an_object_sets_each),
		cmocka_unit_test(every_name_has_its_number),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(dropping_leaves_what_was_said),
		cmocka_unit_test(too_many_groups_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
