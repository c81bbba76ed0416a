/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/hooks.c -Wl,--wrap=open */
/* Hooks as real programs of this machine: what they get, how they end, and who may be one. */
#include "unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "container/hooks.h"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

static char top[] = "/tmp/coffer-test-XXXXXX";
static struct error err;

/* The image's list, elsewhere. */
int __wrap_open(const char *path, int flags, ...)
{
	char moved[64];
	va_list list;

	va_start(list, flags);
	mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;
	va_end(list);
	snprintf(moved, sizeof(moved), "%s/allowed", top);
	return __real_open(strcmp(path, HOOKS_ALLOWED) == 0 ? moved : path, flags, mode);
}

static int fresh(void **state)
{
	(void)state;
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	return mkdtemp(top) && chdir(top) == 0 ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	unlink("allowed");
	unlink("out");
	unlink("out2");
	return chdir("/") == 0 ? rmdir(top) : -1;
}

/* What a hook has written there. */
static const char *content(const char *path)
{
	static char text[65536];
	fd_auto fd = __real_open(path, O_RDONLY);
	ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	check_row(got >= 0, "%s was not written", path);
	text[got] = '\0';
	return text;
}

static void put(const char *path, const char *text)
{
	fd_auto fd = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int run_commands(struct hooks_command *commands, size_t count, const struct hooks_state *state)
{
	const struct decode_list list = { commands, count };

	memset(&err, 0, sizeof(err));
	int result = hooks_run(&list, "Hooks.prestart", state, &err);
	/* None is left behind, alive or dead. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	return result;
}

static int run_script(const char *script, const struct hooks_state *state)
{
	const char *args[] = { "sh", "-c", script };
	struct hooks_command command = { .path = "/bin/sh", .args = { args, 3 } };

	return run_commands(&command, 1, state);
}

static void arguments_are_as_given(void **state)
{
	const char *args[] = { "a name", "-c", "printf '%s\\n' \"$0\" \"$@\" >out", "zero", "one two", "", "*" };
	struct hooks_command command = { .path = "/bin/sh", .args = { args, array_count(args) } };

	(void)state;
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_string_equal(content("out"), "zero\none two\n\n*\n");
	args[2] = "tr '\\0' '|' </proc/$$/cmdline >out";
	command.args.count = 3;
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_true(strncmp(content("out"), "a name|-c|", 10) == 0);
}

/* Without args the program is told its own path. */
static void no_arguments(void **state)
{
	struct hooks_command command = { .path = "/bin/cat" };
	char script[96];

	(void)state;
	assert_worked(run_commands(&command, 1, NULL), &err);
	command.path = "/bin/mkdir"; /* which says who it is */
	assert_true(run_commands(&command, 1, NULL) < 0);
	check_row(strstr(err.message, "status 1: /bin/mkdir: missing"), "%s", err.message);
	snprintf(script, sizeof(script), "#!/bin/sh\nprintf '%%s:%%s' \"$0\" $# >%s/out2\n", top);
	put("out", script);
	assert_int_equal(chmod("out", 0755), 0);
	snprintf(script, sizeof(script), "%s/out", top);
	command.path = script;
	assert_worked(run_commands(&command, 1, NULL), &err);
	strncat(script, ":0", 3);
	assert_string_equal(content("out2"), script);
}

static void the_environment_is_the_hooks_alone(void **state)
{
	const char *args[] = { "sh", "-c", "tr '\\0' '|' </proc/$$/environ >out" },
		   *env[] = { "A=1", "PATH=/bin:/usr/bin", "B=x y" };
	struct hooks_command command = { .path = "/bin/sh", .args = { args, 3 }, .env = { env, 3 }, .has_env = true };

	(void)state;
	assert_int_equal(setenv("AGENT_SECRET", "x", 1), 0);
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_string_equal(content("out"), "A=1|PATH=/bin:/usr/bin|B=x y|");
	command.env = (struct decode_list){ NULL, 0 };
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_string_equal(content("out"), "");
	command.has_env = false;
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_string_equal(content("out"), "");
}

static void the_directory(void **state)
{
	const char *args[] = { "sh", "-c", "pwd -P >\"$0\"", NULL };
	char out[64];
	struct hooks_command command = { .path = "/bin/sh", .args = { args, 4 }, .dir = "/usr" };

	(void)state;
	snprintf(out, sizeof(out), "%s/out", top);
	args[3] = out;
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_string_equal(content("out"), "/usr\n");
	command.dir = ""; /* as Go writes it */
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_true(strncmp(content("out"), top, strlen(top)) == 0);
	/* A program that should run elsewhere does not run here. */
	unlink("out");
	command.dir = "/no/such/place";
	assert_failed(run_commands(&command, 1, NULL), &err, ERROR_CONTAINER, "config.Hooks.prestart[0]");
	assert_non_null(strstr(err.message, "No such file"));
	assert_int_equal(access("out", F_OK), -1);
}

/* ---- ends ---- */

static void how_it_failed_is_told(void **state)
{
	static const struct {
		const char *script, *wanted, *also;
	} rows[] = {
		{ "exit 1", "status 1", "/bin/sh" },
		{ "printf to; printf ' stderr' >&2; exit 7", "status 7", "to stderr" },
		{ "kill -KILL $$", "signal 9", "/bin/sh" },
		{ "echo last words; kill -TERM $$", "signal 15", "last words" }, /* no mask is inherited */
	};
	sigset_t mask, before;

	(void)state;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGCHLD);
	assert_int_equal(sigprocmask(SIG_BLOCK, &mask, &before), 0);
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_failed(run_script(rows[i].script, NULL), &err, ERROR_CONTAINER, "config.Hooks.prestart[0]");
		check_row(strstr(err.message, rows[i].wanted), "%s: %s", rows[i].script, err.message);
		check_row(strstr(err.message, rows[i].also), "%s: %s", rows[i].script, err.message);
	}
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
}

static void much_output_is_cut(void **state)
{
	size_t shown = 0;

	(void)state;
	assert_failed(run_script("i=0; while [ $i -lt 3000 ]; do echo -n Z; i=$((i+1)); done; exit 1", NULL), &err, ERROR_CONTAINER,
		      "config.Hooks.prestart[0]");
	for (const char *c = err.message; *c; c++)
		shown += *c == 'Z';
	assert_int_equal(shown, 200);
	/* Only of a failure; and no pipe fills up. */
	assert_worked(run_script("i=0; while [ $i -lt 2000 ]; do echo " /* 64 */
				 "0123456789012345678901234567890123456789012345678901234567890123; i=$((i+1)); done",
				 NULL),
		      &err);
}

static void a_program_that_cannot_run(void **state)
{
	struct hooks_command command = { .path = "/no/such/program" };

	(void)state;
	assert_failed(run_commands(&command, 1, NULL), &err, ERROR_CONTAINER, "config.Hooks.prestart[0]");
	assert_non_null(strstr(err.message, "status 127"));
	assert_non_null(strstr(err.message, "No such file"));
	command.path = "/etc/passwd";
	assert_failed(run_commands(&command, 1, NULL), &err, ERROR_CONTAINER, "config.Hooks.prestart[0]");
	assert_non_null(strstr(err.message, "Permission denied"));
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void time_runs_out(void **state)
{
	const char *args[] = { "sleep", "60" };
	struct hooks_command command = { .path = "/bin/sleep", .args = { args, 2 }, .timeout = 150000001 };
	int64_t began = now_ms();

	(void)state;
	assert_int_equal(run_commands(&command, 1, NULL), -ETIMEDOUT);
	int64_t took = now_ms() - began;
	check_row(took >= 150 && took < 20000, "%lld ms", (long long)took);
	assert_int_equal(err.code, ERROR_CONTAINER);
	assert_string_equal(err.field, "config.Hooks.prestart[0]");
	assert_non_null(strstr(err.message, "151 ms"));
	/* A nanosecond is not "no timeout". */
	command.timeout = 1;
	assert_int_equal(run_commands(&command, 1, NULL), -ETIMEDOUT);
	/* Time enough, and it is not waited for. */
	args[1] = "0.05";
	command.timeout = 30000000000;
	began = now_ms();
	assert_worked(run_commands(&command, 1, NULL), &err);
	assert_true(now_ms() - began < 20000);
}

static void in_order_until_one_fails(void **state)
{
	const char *args[4][3] = { { "sh", "-c", "echo 1 >>out" },
				   { "sh", "-c", "echo 2 >>out" },
				   { "sh", "-c", "echo 3 >>out; exit 3" },
				   { "sh", "-c", "echo 4 >>out" } };
	struct hooks_command commands[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		commands[i] = (struct hooks_command){ .path = "/bin/sh", .args = { args[i], 3 } };
	assert_failed(run_commands(commands, 4, NULL), &err, ERROR_CONTAINER, "config.Hooks.prestart[2]");
	assert_string_equal(content("out"), "1\n2\n3\n");
	assert_worked(run_commands(NULL, 0, NULL), &err);
}

/* ---- what it is told ---- */

static const char *told(json_object *json, const char *key)
{
	json_object *value;

	check_row(json_object_object_get_ex(json, key, &value), "no %s", key);
	return json_object_get_string(value);
}

static void the_state_is_on_standard_input(void **state)
{
	const char *labels[] = { "bundle=/run/b \"q\"", "k=v=w", "empty=", "nothing", "=x" };
	const struct decode_list list = { labels, array_count(labels) };
	const struct hooks_state told_state = {
		.id = "c1", .version = "1.0.2", .status = "created", .root = "/r", .pid = 4711, .labels = &list
	};
	const char *args[2][3] = { { "sh", "-c", "cat >out" }, { "sh", "-c", "cat >out2" } };
	struct hooks_command commands[2] = { { .path = "/bin/sh", .args = { args[0], 3 } },
					     { .path = "/bin/sh", .args = { args[1], 3 } } };
	json_object *annotations, *pid;

	(void)state;
	assert_worked(run_commands(commands, 2, &told_state), &err);
	json_object *json = json_tokener_parse(content("out"));
	assert_non_null(json);
	assert_string_equal(told(json, "ociVersion"), "1.0.2");
	assert_string_equal(told(json, "id"), "c1");
	assert_string_equal(told(json, "status"), "created");
	assert_string_equal(told(json, "root"), "/r");
	assert_string_equal(told(json, "bundle"), "/run/b \"q\"");
	assert_string_equal(told(json, "bundlePath"), "/run/b \"q\"");
	assert_true(json_object_object_get_ex(json, "pid", &pid));
	assert_true(json_object_is_type(pid, json_type_int) && json_object_get_int(pid) == 4711);
	assert_true(json_object_object_get_ex(json, "annotations", &annotations));
	assert_string_equal(told(annotations, "k"), "v=w");
	assert_string_equal(told(annotations, "empty"), "");
	assert_false(json_object_object_get_ex(annotations, "bundle", NULL));
	assert_false(json_object_object_get_ex(annotations, "nothing", NULL));
	json_object_put(json);
	/* Each from its beginning, and the same. */
	char first[4096];
	snprintf(first, sizeof(first), "%s", content("out"));
	assert_string_equal(content("out2"), first);
}

static void members_that_nobody_gave(void **state)
{
	const struct decode_list none = { NULL, 0 };
	const struct hooks_state told_state = { .id = "c1", .status = "stopped", .labels = &none };

	(void)state;
	assert_worked(run_script("cat >out", &told_state), &err);
	json_object *json = json_tokener_parse(content("out"));
	assert_non_null(json);
	assert_string_equal(told(json, "root"), "");
	assert_string_equal(told(json, "bundle"), "");
	assert_string_equal(told(json, "ociVersion"), "");
	assert_string_equal(told(json, "annotations"), "{ }");
	json_object_put(json);
	/* No state at all: nothing to read, and not the agent's own input. */
	int pair[2], before = dup(0);
	assert_true(before >= 0 && pipe(pair) == 0 && write(pair[1], "secret", 6) == 6 && dup2(pair[0], 0) == 0);
	int result = run_script("head -c 3 >out", NULL);
	assert_int_equal(dup2(before, 0), 0);
	close(before);
	close(pair[0]);
	close(pair[1]);
	assert_worked(result, &err);
	assert_string_equal(content("out"), "");
}

static void no_other_descriptor_is_inherited(void **state)
{
	int open_one = __real_open("/dev/null", O_RDONLY), high = fcntl(open_one, F_DUPFD, 200); /* both without O_CLOEXEC */
	const struct decode_list none = { NULL, 0 };
	const struct hooks_state told_state = { .id = "c1", .status = "created", .labels = &none };

	(void)state;
	assert_true(open_one >= 0 && high >= 200);
	int result = run_script(
		"for f in /proc/$$/fd/*; do n=${f##*/}; [ $n -gt 2 ] && [ $n != 10 ] && [ -e $f ] && echo $n; done >out; :",
		&told_state);
	close(open_one);
	close(high);
	assert_worked(result, &err);
	assert_string_equal(content("out"), "");
	/* Nor is one lost here. */
	int before = dup(0);
	close(before);
	assert_worked(run_script(":", &told_state), &err);
	int after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

/* ---- who may be one ---- */

static void only_programs_of_the_list(void **state)
{
	static const struct {
		const char *list, *path;
		bool allowed;
	} rows[] = {
		{ "/bin/a\n/bin/b\n", "/bin/a", true },
		{ "/bin/a\n/bin/b\n", "/bin/b", true },
		{ "/bin/a\n/bin/b", "/bin/b", true },
		{ "/bin/a\n\n\n/bin/b\n\n", "/bin/b", true },
		{ "/bin/a\n/bin/b\n", "/bin/c", false },
		{ "/bin/a\n", "/bin/a\n", false },
		{ "/bin/a\n/bin/b\n", "/bin/a\n/bin/b", false },
		{ "/bin/ab\n", "/bin/a", false },
		{ "/bin/a\n", "/bin/ab", false },
		{ "/x/bin/a\n", "/bin/a", false },
		{ "/bin/a /bin/b\n", "/bin/a", false },
		{ "/bin/a\n", "/bin/../bin/a", false },
		{ "/bin/a\n", "/BIN/A", false },
		{ "", "/bin/a", false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct hooks_command command = { .path = rows[i].path };
		const struct decode_list list = { &command, 1 };

		put("allowed", rows[i].list);
		int result = hooks_check(&list, "mounts[3].premount_cmds", &err);
		check_row((result == 0) == rows[i].allowed, "row %zu: \"%s\"", i, rows[i].path);
		if (!rows[i].allowed)
			assert_failed(result, &err, ERROR_UNSUPPORTED_FIELD, "mounts[3].premount_cmds[0].path");
	}
}

static void a_list_that_is_missing_or_too_long_allows_nothing(void **state)
{
	struct hooks_command commands[] = { { .path = "/bin/a" }, { .path = "/bin/b" } };
	const struct decode_list list = { commands, 2 }, none = { NULL, 0 };
	static char lines[20000];

	(void)state;
	assert_failed(hooks_check(&list, "Hooks.poststop", &err), &err, ERROR_UNSUPPORTED_FIELD, "Hooks.poststop[0].path");
	assert_worked(hooks_check(&none, "Hooks.poststop", &err), &err);
	put("allowed", "/bin/a\n");
	assert_failed(hooks_check(&list, "Hooks.poststop", &err), &err, ERROR_UNSUPPORTED_FIELD, "Hooks.poststop[1].path");
	put("allowed", "/bin/b\n/bin/a\n");
	assert_worked(hooks_check(&list, "Hooks.poststop", &err), &err);
	memset(lines, 'x', sizeof(lines) - 1);
	memcpy(lines, "/bin/b\n/bin/a\n", 14);
	put("allowed", lines);
	assert_failed(hooks_check(&list, "Hooks.poststop", &err), &err, ERROR_UNSUPPORTED_FIELD, "Hooks.poststop[0].path");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments_are_as_given, fresh, clean),
		cmocka_unit_test_setup_teardown(no_arguments, fresh, clean),
		cmocka_unit_test_setup_teardown(the_environment_is_the_hooks_alone, fresh, clean),
		cmocka_unit_test_setup_teardown(the_directory, fresh, clean),
		cmocka_unit_test_setup_teardown(how_it_failed_is_told, fresh, clean),
		cmocka_unit_test_setup_teardown(much_output_is_cut, fresh, clean),
		cmocka_unit_test_setup_teardown(a_program_that_cannot_run, fresh, clean),
		cmocka_unit_test_setup_teardown(time_runs_out, fresh, clean),
		cmocka_unit_test_setup_teardown(in_order_until_one_fails, fresh, clean),
		cmocka_unit_test_setup_teardown(the_state_is_on_standard_input, fresh, clean),
		cmocka_unit_test_setup_teardown(members_that_nobody_gave, fresh, clean),
		cmocka_unit_test_setup_teardown(no_other_descriptor_is_inherited, fresh, clean),
		cmocka_unit_test_setup_teardown(only_programs_of_the_list, fresh, clean),
		cmocka_unit_test_setup_teardown(a_list_that_is_missing_or_too_long_allows_nothing, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
