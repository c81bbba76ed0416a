/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/environment.c */
#include "unit/test.h"

#include "container/environment.h"

static struct decode_memory memory;

static int clean(void **state)
{
	(void)state;
	decode_free(&memory);
	return 0;
}

static const char **make(const char *const *env, size_t count, uint64_t uid, bool terminal, const char *passwd)
{
	const struct config_process process = { .env = { .items = (void *)env, .count = count }, .uid = uid, .terminal = terminal };
	const char **made = environment_make(&process, passwd, &memory);

	assert_non_null(made);
	return made;
}

#define MAKE(uid, terminal, passwd, ...)                                                                                           \
	make((const char *const[]){ __VA_ARGS__ }, array_count(((const char *const[]){ __VA_ARGS__ })), uid, terminal, passwd)

static size_t count_of(const char **made)
{
	size_t count = 0;

	while (made[count])
		count++;
	return count;
}

static void what_is_missing_is_added(void **state)
{
	(void)state;
	const char **made = make(NULL, 0, 0, false, NULL);
	assert_int_equal(count_of(made), 2);
	assert_string_equal(environment_get(made, "PATH"), ENVIRONMENT_PATH);
	assert_string_equal(environment_get(made, "HOME"), "/");
	assert_null(environment_get(made, "TERM"));
	made = make(NULL, 0, 0, true, NULL);
	assert_int_equal(count_of(made), 3);
	assert_string_equal(environment_get(made, "TERM"), "xterm");
}

static void what_is_given_stays(void **state)
{
	(void)state;
	const char **made = MAKE(0, true, "root:x:0:0::/root:/bin/sh\n", "PATH=/x", "HOME=/h", "TERM=dumb", "A=1");
	assert_int_equal(count_of(made), 4);
	assert_string_equal(made[0], "PATH=/x");
	assert_string_equal(made[1], "HOME=/h");
	assert_string_equal(made[2], "TERM=dumb");
	assert_string_equal(made[3], "A=1");
	/* An empty PATH or TERM is the request's wish; an empty HOME is none, as in runc. */
	made = MAKE(0, true, NULL, "PATH=", "TERM=", "HOME=");
	assert_string_equal(environment_get(made, "PATH"), "");
	assert_string_equal(environment_get(made, "TERM"), "");
	assert_string_equal(environment_get(made, "HOME"), "/");
	assert_int_equal(count_of(made), 3);
}

static void of_equal_names_the_last_wins_in_the_first_s_place(void **state)
{
	(void)state;
	const char **made = MAKE(0, false, NULL, "A=1", "B=1", "A=2", "AA=3", "A=", "B=x=y", "PATH=/p", "HOME=/h");
	assert_int_equal(count_of(made), 5);
	assert_string_equal(made[0], "A=");
	assert_string_equal(made[1], "B=x=y");
	assert_string_equal(made[2], "AA=3");
	/* A name that only begins like another is another. */
	made = MAKE(0, false, NULL, "PATHS=1", "HOM=2", "HOMES=3");
	assert_int_equal(count_of(made), 5);
	assert_string_equal(environment_get(made, "PATH"), ENVIRONMENT_PATH);
}

static void get_finds_whole_names(void **state)
{
	static const char *const env[] = { "AB=1", "A=2", "C", NULL };

	(void)state;
	assert_string_equal(environment_get(env, "A"), "2");
	assert_string_equal(environment_get(env, "AB"), "1");
	assert_null(environment_get(env, "C"));
	assert_null(environment_get(env, "ABC"));
	assert_null(environment_get(env, ""));
}

/* The text comes from the image: it is read by uid, and nothing in it is trusted to be well-formed. */
static void home_from_passwd(void **state)
{
	static const struct {
		const char *passwd;
		uint64_t uid;
		const char *home;
	} rows[] = {
		{ "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", 0, "/root" },
		{ "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", 1000, "/home/user" },
		{ "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", 1, "/" },
		{ "user:x:1000:1000::/home/user:/bin/sh", 1000, "/home/user" }, /* no newline at the end */
		{ "user:x:1000:1000::/home/user", 1000, "/home/user" },         /* nor a shell */
		{ "user:x:1000:1000::/home/user\n", 1000, "/home/user" },
		{ "a:x:5:5::/first:\nb:x:5:5::/second:\n", 5, "/first" },
		{ "a:x:5:5:::\nb:x:5:5::/second:\n", 5, "/second" }, /* an empty home is none */
		/* Names that are numbers, and numbers that are other fields: only the third field counts. */
		{ "1000:x:5:5::/evil:/bin/sh\nuser:x:1000:1000::/good:/bin/sh\n", 1000, "/good" },
		{ "user:1000:5:5::/evil:\n", 1000, "/" },
		{ "user:x:5:1000::/evil:\n", 1000, "/" },
		{ "user:x:5:5:1000:/evil:\n", 1000, "/" },
		/* Other spellings of a number are other texts. */
		{ "a:x:01000:0::/evil:\n", 1000, "/" },
		{ "a:x:+1000:0::/evil:\n", 1000, "/" },
		{ "a:x: 1000:0::/evil:\n", 1000, "/" },
		{ "a:x:1000 :0::/evil:\n", 1000, "/" },
		{ "a:x:0x3e8:0::/evil:\n", 1000, "/" },
		{ "a:x:10000:0::/evil:\n", 1000, "/" },
		{ "a:x:100:0::/evil:\n", 1000, "/" },
		{ "a:x::0::/evil:\n", 0, "/" },
		{ "a:x:4294967296:0::/evil:\n", 0, "/" },
		{ "a:x:-1:0::/evil:\n", 4294967295u, "/" },
		/* Lines that are none. */
		{ "", 0, "/" },
		{ "\n\n\n", 0, "/" },
		{ ":::::::\n", 0, "/" },
		{ "root:x:0\n", 0, "/" },
		{ "root:x:0:0:root\n:/evil:\n", 0, "/" },
		{ "# root:x:0:0::/evil:\nroot:x:0:0::/root:\n", 0, "/evil" }, /* no comments in passwd(5) */
		{ "junk\nroot:x:0:0::/root:\n", 0, "/root" },
		{ "a:x:7:7::/h:more:and:more\n", 7, "/h" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const char **made = make(NULL, 0, rows[i].uid, false, rows[i].passwd);

		check_row(strcmp(environment_get(made, "HOME"), rows[i].home) == 0, "%s: %s, not %s", rows[i].passwd,
			  environment_get(made, "HOME"), rows[i].home);
	}
}

/* Longer than a home may be: passed over, never cut. */
static void a_home_that_is_too_long(void **state)
{
	static char passwd[8192];
	size_t used = (size_t)sprintf(passwd, "a:x:5:5::/");

	(void)state;
	memset(passwd + used, 'h', 4000);
	memcpy(passwd + used + 4000, ":\nb:x:5:5::/short:\n", 20);
	assert_string_equal(environment_get(make(NULL, 0, 5, false, passwd), "HOME"), "/short");
	passwd[used + 4000 + 2] = '\0';
	assert_string_equal(environment_get(make(NULL, 0, 5, false, passwd), "HOME"), "/");
}

static void thousands_of_variables(void **state)
{
	static char texts[4096][32];
	static const char *env[4096];

	(void)state;
	for (int i = 0; i < 4096; i++) {
		snprintf(texts[i], sizeof(texts[i]), "V%d=%d", i % 2048, i);
		env[i] = texts[i];
	}
	const char **made = make(env, 4096, 0, true, NULL);
	assert_int_equal(count_of(made), 2048 + 3);
	assert_string_equal(environment_get(made, "V0"), "2048");
	assert_string_equal(environment_get(made, "V2047"), "4095");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_is_missing_is_added, clean),
		cmocka_unit_test_teardown(what_is_given_stays, clean),
		cmocka_unit_test_teardown(of_equal_names_the_last_wins_in_the_first_s_place, clean),
		cmocka_unit_test(get_finds_whole_names),
		cmocka_unit_test_teardown(home_from_passwd, clean),
		cmocka_unit_test_teardown(a_home_that_is_too_long, clean),
		cmocka_unit_test_teardown(thousands_of_variables, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
