/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/users.c */
/* Users by name, out of an image's passwd and group, of which nothing is trusted to be well-formed. */
#include "unit/test.h"

#include "container/users.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "short:x\n"
			     "\n"
			     ":x:77:77::/:\n"
			     "app:x:1000:1001:An App:/srv:/bin/sh\n"
			     "app:x:5:5:the second line of a name:/:/bin/sh\n"
			     "broken:x:ten:10::/:\n"
			     "groupless:x:12\n"
			     "huge:x:4294967295:1::/:\n"
			     "12:x:13:14:a name of digits:/:\n"
			     "last:x:30:31";
static const char group[] = "root:x:0:\n"
			    "staff:x:50:app,root\n"
			    "apps:x:51:xapp,appx,app\n"
			    "none:x:52:applications\n"
			    "odd:x:many:app\n"
			    "wheel:x:53:root";

static void who_it_is(void **state)
{
	static const struct {
		const char *user;
		uint64_t uid, gid;
		const char *groups;
	} rows[] = {
		{ "root", 0, 0, "50 53 " },
		{ "app", 1000, 1001, "50 51 " },
		{ "1000", 1000, 1001, "50 51 " },
		{ "app:staff", 1000, 50, "" },
		{ "app:7", 1000, 7, "" },
		{ "1000:1000", 1000, 1000, "" },
		{ "4000", 4000, 0, "" },
		{ "4000:wheel", 4000, 53, "" },
		{ "13", 13, 14, "" }, /* its name is a number */
		{ "last", 30, 31, "" },
		{ "4294967294:4294967294", 4294967294u, 4294967294u, "" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct users_ids ids;
		struct error err;
		char groups[256] = "";
		int result = users_find(rows[i].user, passwd, group, &ids, &err);

		check_row(result == 0, "%s: %s", rows[i].user, err.message);
		for (size_t j = 0; j < ids.group_count; j++)
			snprintf(groups + strlen(groups), sizeof(groups) - strlen(groups), "%llu ",
				 (unsigned long long)ids.groups[j]);
		check_row(ids.uid == rows[i].uid && ids.gid == rows[i].gid, "%s: %llu:%llu", rows[i].user,
			  (unsigned long long)ids.uid, (unsigned long long)ids.gid);
		check_row(strcmp(groups, rows[i].groups) == 0, "%s: %s", rows[i].user, groups);
	}
}

static void who_it_cannot_be(void **state)
{
	static const struct {
		const char *user, *wanted;
	} rows[] = {
		{ "nobody", "user 'nobody': not in the container's /etc/passwd" },
		{ "root:nobodies", "group 'nobodies': not in the container's /etc/group" },
		{ "broken", "no ids" },
		{ "groupless", "no ids" },
		{ "huge", "no ids" },
		{ "root:odd", "no id" },
		{ "4294967295", "too large" },
		{ "0:99999999999999999999999", "too large" },
		{ "12a", "not in" },
		{ "", "is needed" },
		{ ":staff", "is needed" },
		{ "app:", "group '': not in" },
		{ "app:staff:more", "group 'staff:more': not in" },
		{ "+0", "not in" },
		{ "short:x\n", "is needed" },
		{ "root\n", "is needed" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct users_ids ids;
		struct error err;
		int result = users_find(rows[i].user, passwd, group, &ids, &err);

		check_row(result < 0, "%s: accepted", rows[i].user);
		assert_failed(result, &err, ERROR_CONTAINER, "process.user");
		check_row(strstr(err.message, rows[i].wanted), "%s: %s", rows[i].user, err.message);
	}
}

static void without_the_files(void **state)
{
	struct users_ids ids;
	struct error err;

	(void)state;
	assert_worked(users_find("7:8", NULL, NULL, &ids, &err), &err);
	assert_int_equal(ids.uid, 7);
	assert_int_equal(ids.gid, 8);
	assert_worked(users_find("7", NULL, NULL, &ids, &err), &err);
	assert_int_equal(ids.gid, 0);
	assert_failed(users_find("root", NULL, NULL, &ids, &err), &err, ERROR_CONTAINER, "process.user");
	assert_failed(users_find("0:root", passwd, NULL, &ids, &err), &err, ERROR_CONTAINER, "process.user");
}

static void as_many_groups_as_a_process_may_have(void **state)
{
	static char many[16384];
	size_t used = 0;
	struct users_ids ids;
	struct error err;

	(void)state;
	for (unsigned i = 0; i < USERS_GROUPS_MAX; i++)
		used += (size_t)snprintf(many + used, sizeof(many) - used, "g%u:x:%u:app\n", i, i + 100);
	assert_worked(users_find("app", passwd, many, &ids, &err), &err);
	assert_int_equal(ids.group_count, USERS_GROUPS_MAX);
	snprintf(many + used, sizeof(many) - used, "more:x:9:app\n");
	assert_failed(users_find("app", passwd, many, &ids, &err), &err, ERROR_CONTAINER, "process.user");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_it_is),
		cmocka_unit_test(who_it_cannot_be),
		cmocka_unit_test(without_the_files),
		cmocka_unit_test(as_many_groups_as_a_process_may_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
