/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/text.h"
#include "coffer/protocol.h"

#define FIELD(type, key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct type, member)
#define SCHEMA(fields, type)                                                                                                       \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), NULL                                                             \
	}

#define ALLOWED_MAX 16384u
#define HOOKS_MOST  32u
#define HOUR_NS     3600000000000ll

static const struct decode_field string_item = { .kind = DECODE_STRING, .max = COFFER_STRING_MAX - 1 };

static const struct decode_field command_fields[] = {
	{ FIELD(hooks_command, "path", DECODE_STRING, path), .flags = DECODE_REQUIRED | DECODE_NONZERO,
	  .check = decode_check_absolute },
	{ FIELD(hooks_command, "args", DECODE_LIST, args), .item = &string_item, .max = 256 },
	{ FIELD(hooks_command, "env", DECODE_LIST, env), .item = &string_item, .max = 256,
	  .present = offsetof(struct hooks_command, has_env) },
	{ FIELD(hooks_command, "dir", DECODE_STRING, dir), .check = decode_check_absolute },
	{ FIELD(hooks_command, "timeout", DECODE_INT, timeout), .min = 0, .max = HOUR_NS },
};
const struct decode_schema hooks_command_schema = SCHEMA(command_fields, hooks_command);

#define HOOKS(key, member)                                                                                                         \
	{                                                                                                                          \
		FIELD(hooks, key, DECODE_LIST, member), .schema = &hooks_command_schema, .max = HOOKS_MOST                         \
	}
static const struct decode_field hook_fields[] = {
	HOOKS("prestart", prestart),
	HOOKS("createRuntime", create_runtime),
	HOOKS("createContainer", create_container),
	HOOKS("startContainer", start_container),
	HOOKS("poststart", poststart),
	HOOKS("poststop", poststop),
};
const struct decode_schema hooks_schema = SCHEMA(hook_fields, hooks);

static bool is_allowed(const char *list, const char *path)
{
	size_t length = strlen(path);

	for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		if (strcspn(line, "\n") == length && memcmp(line, path, length) == 0)
			return true;
	}
	return false;
}

int hooks_check(const struct decode_list *commands, const char *key, struct error *err)
{
	const struct hooks_command *command = commands->items;
	char list[ALLOWED_MAX];
	char field[64];

	if (commands->count == 0)
		return 0;
	long length = text_read_file(HOOKS_ALLOWED, list, sizeof(list));
	for (size_t i = 0; i < commands->count; i++) {
		if (length > 0 && is_allowed(list, command[i].path))
			continue;
		snprintf(field, sizeof(field), "%s[%zu].path", key, i);
		int result = error_field(err, field,
					 "it would run with the agent's rights, and this VM's image does not allow that program");
		err->code = ERROR_UNSUPPORTED_FIELD;
		return result;
	}
	return 0;
}

static int write_state(const struct hooks_state *state, struct error *err)
{
	const char *const *labels = state->labels->items;
	const char *bundle = "";
	struct buf text = { 0 };
	struct encode e = { .buf = &text };

	for (size_t i = 0; i < state->labels->count; i++) {
		if (strncmp(labels[i], "bundle=", 7) == 0)
			bundle = labels[i] + 7;
	}
	encode_open(&e, NULL, '{');
	encode_string(&e, "ociVersion", state->version ? state->version : "");
	encode_string(&e, "id", state->id);
	encode_string(&e, "status", state->status);
	encode_int(&e, "pid", state->pid);
	encode_string(&e, "root", state->root ? state->root : "");
	encode_string(&e, "bundle", bundle);
	encode_string(&e, "bundlePath", bundle);
	encode_open(&e, "annotations", '{');
	for (size_t i = 0; i < state->labels->count; i++) {
		const char *equals = strchr(labels[i], '=');
		char name[256];

		if (equals && strncmp(labels[i], "bundle=", 7) != 0 &&
		    text_format(name, sizeof(name), "%.*s", (int)(equals - labels[i]), labels[i]) == 0)
			encode_string(&e, name, equals + 1);
	}
	encode_close(&e, '}');
	encode_close(&e, '}');
	fd_auto fd = memfd_create("state", MFD_CLOEXEC);
	int result = encode_result(&e);
	if (result == 0 &&
	    (fd < 0 || write(fd, buf_bytes(&text), buf_length(&text)) != (ssize_t)buf_length(&text) || lseek(fd, 0, SEEK_SET) < 0))
		result = -errno;
	buf_free(&text);
	return result < 0 ? error_set(err, ERROR_CONTAINER, -result, "write the state") : take_fd(&fd);
}

static char **terminated(const struct decode_list *list, const char *first)
{
	char **array = calloc(list->count + 2, sizeof(*array));

	if (!array)
		return NULL;
	if (list->count)
		memcpy(array, list->items, list->count * sizeof(*array));
	else if (first)
		array[0] = (char *)first; /* execve does not write to it */
	return array;
}

_Noreturn static void execute(const struct hooks_command *command, int input, int output)
{
	sigset_t none;
	char **args = terminated(&command->args, command->path);
	char **env = terminated(&command->env, NULL);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (args && env && dup2(input, 0) >= 0 && dup2(output, 1) >= 0 && dup2(output, 2) >= 0 && close_range(3, ~0u, 0) == 0 &&
	    (!command->dir || !command->dir[0] || chdir(command->dir) == 0))
		execve(command->path, args, env);
	dprintf(2, "%s", strerror(errno));
	_exit(127);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Its end within the time, or its death at the end of that.  `timed_out` tells which. */
static int wait_for(pid_t child, unsigned timeout_ms, bool *timed_out)
{
	int64_t deadline = now_ms() + timeout_ms, left;
	int status = -1;
	fd_auto pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	while ((left = deadline - now_ms()) > 0 && poll(&end, 1, (int)left) <= 0)
		;
	*timed_out = left <= 0;
	if (*timed_out)
		kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static int run_one(const struct hooks_command *command, int input, struct error *err)
{
	unsigned timeout_ms = command->timeout ? (unsigned)((command->timeout + 999999) / 1000000) : HOOKS_TIMEOUT_MS;
	char said[201] = "";
	bool timed_out;
	fd_auto output = memfd_create("output", MFD_CLOEXEC);

	if (output < 0 || (input >= 0 && lseek(input, 0, SEEK_SET) < 0))
		return error_set(err, ERROR_CONTAINER, errno, "output of %s", command->path);
	fd_auto null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t child = fork();
	if (child == 0)
		execute(command, input >= 0 ? input : null, output);
	if (child < 0)
		return error_set(err, ERROR_CONTAINER, errno, "run %s", command->path);
	int status = wait_for(child, timeout_ms, &timed_out);
	if (!timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	ssize_t got = pread(output, said, sizeof(said) - 1, 0);
	said[got > 0 ? got : 0] = '\0';
	if (timed_out)
		return error_set(err, ERROR_CONTAINER, ETIMEDOUT, "%.100s ran past its time of %u ms", command->path, timeout_ms);
	return error_set(err, ERROR_CONTAINER, 0, "%.100s ended with %s %d: %s", command->path,
			 WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
			 said);
}

int hooks_run(const struct decode_list *commands, const char *key, const struct hooks_state *state, struct error *err)
{
	const struct hooks_command *command = commands->items;
	fd_auto input = -1;

	if (commands->count == 0)
		return 0;
	if (state) {
		input = write_state(state, err);
		if (input < 0)
			return input;
	}
	for (size_t i = 0; i < commands->count; i++) {
		int result = run_one(&command[i], input, err);

		if (result < 0) {
			snprintf(err->field, sizeof(err->field), "config.%s[%zu]", key, i);
			return result;
		}
	}
	return 0;
}
