/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/namespaces.c */
/* Which namespaces are new, which are joined, and whose a path says they are. */
#include "unit/test.h"

#include <sched.h>

#include "base/decode.h"
#include "coffer/protocol.h"
#include "container/namespaces.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* Against the kernel's header and namespaces(7). */
static const struct {
	const char *type, *file;
	unsigned long flag;
	enum namespace_kind kind;
} kinds[] = {
	{ "NEWNS", "mnt", CLONE_NEWNS, NAMESPACE_MNT },
	{ "NEWPID", "pid", CLONE_NEWPID, NAMESPACE_PID },
	{ "NEWUTS", "uts", CLONE_NEWUTS, NAMESPACE_UTS },
	{ "NEWIPC", "ipc", CLONE_NEWIPC, NAMESPACE_IPC },
	{ "NEWNET", "net", CLONE_NEWNET, NAMESPACE_NET },
	{ "NEWUSER", "user", CLONE_NEWUSER, NAMESPACE_USER },
	{ "NEWCGROUP", "cgroup", CLONE_NEWCGROUP, NAMESPACE_CGROUP },
	{ "NEWTIME", "time", CLONE_NEWTIME, NAMESPACE_TIME },
};

static struct namespaces namespaces;
static struct error err;

static int dirty(void **state)
{
	(void)state;
	memset(&namespaces, 0x55, sizeof(namespaces));
	memset(&err, 0, sizeof(err));
	return 0;
}

static int read_entries(struct namespaces_entry *entries, size_t count)
{
	const struct decode_list list = { entries, count };

	memset(&namespaces, 0x55, sizeof(namespaces));
	return namespaces_read(&list, &namespaces, &err);
}

static void none_at_all(void **state)
{
	(void)state;
	assert_worked(read_entries(NULL, 0), &err);
	assert_true(namespaces.create == 0 && namespaces.join == 0 && !namespaces.uid && !namespaces.gid && !namespaces.time);
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
		assert_true(namespaces.owners[kind] == -1 && !namespaces.paths[kind]);
}

static void every_kind_is_new_or_joined(void **state)
{
	(void)state;
	assert_int_equal(array_count(kinds), NAMESPACE_KINDS);
	for (size_t i = 0; i < array_count(kinds); i++) {
		struct namespaces_entry entry = { kinds[i].type, NULL };

		assert_worked(read_entries(&entry, 1), &err);
		check_row(namespaces.create == kinds[i].flag && namespaces.join == 0, "%s", kinds[i].type);
		entry.path = ""; /* as Go writes it */
		assert_worked(read_entries(&entry, 1), &err);
		check_row(namespaces.create == kinds[i].flag && namespaces.join == 0, "%s", kinds[i].type);
		entry.path = "/proc/7/ns/x";
		assert_worked(read_entries(&entry, 1), &err);
		check_row(namespaces.create == 0 && namespaces.join == kinds[i].flag, "%s", kinds[i].type);
		for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
			check_row(namespaces.paths[kind] == (kind == (int)kinds[i].kind ? entry.path : NULL), "%s: kind %d",
				  kinds[i].type, kind);
	}
}

static void all_of_them(void **state)
{
	struct namespaces_entry entries[array_count(kinds)];

	(void)state;
	/* Backwards, every second one joined. */
	for (size_t i = 0; i < array_count(kinds); i++)
		entries[i] = (struct namespaces_entry){ kinds[array_count(kinds) - 1 - i].type, i % 2 ? "/x" : NULL };
	assert_worked(read_entries(entries, array_count(kinds)), &err);
	assert_int_equal(namespaces.create, CLONE_NEWTIME | CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWPID);
	assert_int_equal(namespaces.join, CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWNS);
	assert_int_equal(namespaces.positions[NAMESPACE_CGROUP], 1);
	assert_int_equal(namespaces.positions[NAMESPACE_NET], 3);
	assert_int_equal(namespaces.positions[NAMESPACE_UTS], 5);
	assert_int_equal(namespaces.positions[NAMESPACE_MNT], 7);
}

static void what_a_list_must_not_say(void **state)
{
	static const char *const unknown[] = { "NEWNETX", "NEWNE", "newnet", "net", "NET", "", " NEWNET", "CLONE_NEWNET" };

	(void)state;
	for (size_t i = 0; i < array_count(unknown); i++) {
		struct namespaces_entry entries[] = { { "NEWNS", NULL }, { unknown[i], NULL } };

		assert_failed(read_entries(entries, 2), &err, ERROR_PARAMS, "namespaces[1].type");
	}
	for (size_t i = 0; i < array_count(kinds); i++) {
		/* New and new, joined and new, and the other way about. */
		for (int which = 0; which < 4; which++) {
			struct namespaces_entry entries[] = { { kinds[i].type, which & 1 ? "/a" : NULL },
							      { kinds[(i + 1) % array_count(kinds)].type, NULL },
							      { kinds[i].type, which & 2 ? "/b" : NULL } };

			assert_failed(read_entries(entries, 3), &err, ERROR_PARAMS, "namespaces[2].type");
		}
	}
}

/* ---- whose ---- */

#define ID_64 "a234567890123456789012345678901234567890123456789012345678901234"
#define BASE  "/run/coffer/container/"

static void paths_that_name_somebody(void **state)
{
	static const struct {
		const char *path, *id;
		pid_t pid;
	} rows[] = {
		{ "/proc/2/ns/net", "", 2 },
		{ "/proc/10/ns/net", "", 10 },
		{ "/proc/4194304/ns/net", "", 4194304 },
		{ "/proc/2147483647/ns/net", "", 2147483647 },
		{ BASE "a/ns/net", "a", 0 },
		{ BASE "c-1_x.Y/ns/net", "c-1_x.Y", 0 },
		{ BASE "1/ns/net", "1", 0 }, /* an id, not the process 1 */
		{ BASE "self/ns/net", "self", 0 },
		{ BASE "ns/ns/net", "ns", 0 },
		{ BASE ID_64 "/ns/net", ID_64, 0 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char id[COFFER_ID_MAX + 1] = "dirt";
		pid_t pid = -5;

		assert_worked(namespaces_owner(rows[i].path, NAMESPACE_NET, id, sizeof(id), &pid, &err), &err);
		check_row(pid == rows[i].pid && strcmp(id, rows[i].id) == 0, "%s: %d \"%s\"", rows[i].path, pid, id);
	}
}

static void paths_that_name_nobody(void **state)
{
	static const char *const rows[] = {
		/* The agent's own, by all its names. */
		"/proc/1/ns/net", "/proc/self/ns/net", "/proc/thread-self/ns/net", "/proc/0/ns/net", "/proc/01/ns/net",
		"/proc/001/ns/net", "/proc/+1/ns/net",
		/* No number as the kernel writes it. */
		"/proc//ns/net", "/proc/-2/ns/net", "/proc/ 7/ns/net", "/proc/\t7/ns/net", "/proc/+7/ns/net", "/proc/07/ns/net",
		"/proc/0x7/ns/net", "/proc/7 /ns/net", "/proc/7a/ns/net", "/proc/2147483648/ns/net", "/proc/4294967297/ns/net",
		"/proc/4294967298/ns/net", "/proc/9999999999/ns/net", "/proc/18446744073709551618/ns/net",
		/* Not the form. */
		"", "/", "net", "/proc", "/proc/7", "/proc/7/ns", "/proc/7/ns/", "proc/7/ns/net", "//proc/7/ns/net",
		"/proc//7/ns/net", "/proc/7//ns/net", "/proc/7/ns//net", "/proc/7/ns/net/", "/proc/7/ns/net ", "/proc/7/ns/net\n",
		"/proc/7/ns/net/..", "/proc/7/ns/../ns/net", "/proc/7/task/7/ns/net", "/proc/7/root/proc/1/ns/net",
		"/proc/7/../1/ns/net", "/proc/7/ns/./net", " /proc/7/ns/net", "/PROC/7/ns/net", "/var/run/netns/x", "/run/netns/x",
		"/dev/fd/3", "/proc/7/fd/3", "/proc/7/ns/net2", "/proc/7/ns/Net", "/proc/7/ns/netnetnetnetnetnet",
		/* Not an id. */
		BASE, BASE "ns/net", BASE "/ns/net", BASE "./ns/net", BASE "../ns/net", BASE "..", BASE ".a/ns/net",
		BASE "-a/ns/net", BASE "_a/ns/net", BASE "a/../b/ns/net", BASE "a//ns/net", BASE "a/ns/../ns/net",
		BASE "a b/ns/net", BASE "a%2f/ns/net", BASE "\303\244/ns/net", BASE ID_64 "5/ns/net", BASE "a/ns/net/",
		BASE "a/ns/net x", BASE "a/ns/", BASE "a/ns", BASE "a", BASE "a/net",
		"/run/coffer/container/../../../proc/1/ns/net", "/run/coffer/containers/a/ns/net", "/run/coffer/container",
		"run/coffer/container/a/ns/net", "/run//coffer/container/a/ns/net", "/tmp/run/coffer/container/a/ns/net"
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char id[COFFER_ID_MAX + 1] = "dirt";
		pid_t pid = -5;
		int result = namespaces_owner(rows[i], NAMESPACE_NET, id, sizeof(id), &pid, &err);

		check_row(result < 0, "%s: taken as %d \"%s\"", rows[i], pid, id);
		check_row(err.code == ERROR_PARAMS && err.message[0], "%s: %d", rows[i], err.code);
	}
}

/* A path may not smuggle one kind in as another. */
static void the_file_is_the_kinds_own(void **state)
{
	static const char *const other[] = { "pid_for_children", "time_for_children", "ne", "nett", "n" };
	char id[COFFER_ID_MAX + 1], path[96];
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < array_count(kinds); i++) {
		for (size_t j = 0; j < array_count(kinds); j++) {
			for (int form = 0; form < 2; form++) {
				snprintf(path, sizeof(path), "%s/ns/%s", form ? "/proc/7" : BASE "a", kinds[j].file);
				int result = namespaces_owner(path, kinds[i].kind, id, sizeof(id), &pid, &err);

				check_row((result == 0) == (i == j), "%s as %s: %d", path, kinds[i].type, result);
				check_row(i == j || err.code == ERROR_PARAMS, "%s as %s", path, kinds[i].type);
			}
		}
		for (size_t j = 0; j < array_count(other); j++) {
			snprintf(path, sizeof(path), "/proc/7/ns/%s", other[j]);
			check_row(namespaces_owner(path, kinds[i].kind, id, sizeof(id), &pid, &err) < 0, "%s", path);
		}
	}
}

/* ---- the tables ---- */

static void mappings_and_offsets_have_their_limits(void **state)
{
	static const struct {
		const struct decode_schema *schema;
		const char *text, *field; /* NULL: taken */
	} rows[] = {
		{ &namespaces_mapping_schema, "{\"container_id\":0,\"host_id\":100000,\"size\":65536}", NULL },
		{ &namespaces_mapping_schema, "{\"container_id\":4294967294,\"host_id\":4294967294,\"size\":4294967294}", NULL },
		{ &namespaces_mapping_schema, "{\"container_id\":4294967295,\"size\":1}", "container_id" },
		{ &namespaces_mapping_schema, "{\"host_id\":4294967295,\"size\":1}", "host_id" },
		{ &namespaces_mapping_schema, "{\"size\":0}", "size" },
		{ &namespaces_mapping_schema, "{\"size\":4294967295}", "size" },
		{ &namespaces_mapping_schema, "{\"container_id\":0,\"host_id\":0}", "size" },
		{ &namespaces_mapping_schema, "{\"container_id\":-1,\"size\":1}", "container_id" },
		{ &namespaces_entry_schema, "{\"type\":\"NEWNET\",\"path\":\"/proc/7/ns/net\"}", NULL },
		{ &namespaces_entry_schema, "{\"type\":\"NEWNET\",\"path\":\"proc/7/ns/net\"}", "path" },
		{ &namespaces_entry_schema, "{\"type\":\"\"}", "type" },
		{ &namespaces_entry_schema, "{\"path\":\"/x\"}", "type" },
		{ &namespaces_offsets_schema, "{\"monotonic\":{\"secs\":-3162240000,\"nanosecs\":999999999},\"boottime\":null}",
		  NULL },
		{ &namespaces_offsets_schema, "{\"monotonic\":{\"secs\":-3162240001}}", "monotonic.secs" },
		{ &namespaces_offsets_schema, "{\"boottime\":{\"secs\":3162240001}}", "boottime.secs" },
		{ &namespaces_offsets_schema, "{\"boottime\":{\"nanosecs\":1000000000}}", "boottime.nanosecs" },
		{ &namespaces_offsets_schema, "{\"realtime\":{\"secs\":1}}", "realtime" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct decode_memory memory = { 0 };
		uint64_t object[16];
		json_object *json = NULL;

		assert_true(rows[i].schema->size <= sizeof(object));
		assert_worked(decode_parse(rows[i].text, strlen(rows[i].text), &json, &err), &err);
		int result = decode_object(json, rows[i].schema, object, &memory, &err);

		json_object_put(json);
		decode_free(&memory);
		if (rows[i].field)
			assert_failed(result, &err, ERROR_PARAMS, rows[i].field);
		else
			assert_worked(result, &err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(none_at_all, dirty),
		cmocka_unit_test_setup(every_kind_is_new_or_joined, dirty),
		cmocka_unit_test_setup(all_of_them, dirty),
		cmocka_unit_test_setup(what_a_list_must_not_say, dirty),
		cmocka_unit_test_setup(paths_that_name_somebody, dirty),
		cmocka_unit_test_setup(paths_that_name_nobody, dirty),
		cmocka_unit_test_setup(the_file_is_the_kinds_own, dirty),
		cmocka_unit_test_setup(mappings_and_offsets_have_their_limits, dirty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
