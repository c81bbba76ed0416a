/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"

#define SPAWN_SHOWN 240u /* bytes of it that go into an error */

/* The end of what the program said, as a ring would hold it. */
struct said {
	char text[2048];
	size_t used;
};

_Noreturn static void become(const struct argv *argv, const char *const *env, int errors)
{
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(errors, 2) < 0)
		_exit(127);
	interrupt_forget();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (; env && *env; env += 2)
		(void)setenv(env[0], env[1], 1);
	execv(argv->items[0], argv->items);
	dprintf(2, "%s\n", strerror(errno));
	_exit(127);
}

static bool keep(struct said *said, int fd)
{
	char text[512];
	ssize_t got = read(fd, text, sizeof(text));

	if (got <= 0)
		return false;
	size_t over = said->used + (size_t)got > sizeof(said->text) - 1 ? said->used + (size_t)got - (sizeof(said->text) - 1) : 0;
	memmove(said->text, said->text + over, said->used - over);
	said->used -= over;
	memcpy(said->text + said->used, text, (size_t)got);
	said->used += (size_t)got;
	return true;
}

/* What it said as one line; the end of it where that is long. */
static const char *one_line(struct said *said)
{
	while (said->used > 0 && (said->text[said->used - 1] == '\n' || said->text[said->used - 1] == '\r'))
		said->used--;
	said->text[said->used] = '\0';
	for (char *newline = strchr(said->text, '\n'); newline; newline = strchr(newline, '\n'))
		*newline = ';';
	return said->text + (said->used > SPAWN_SHOWN ? said->used - SPAWN_SHOWN : 0);
}

/* Until the program has closed its standard error, which it does by ending. */
static int listen_to(int fd, pid_t child, struct said *said, struct progress *progress, int interrupt, struct error *err)
{
	for (;;) {
		struct pollfd item = { .fd = fd, .events = POLLIN };

		if (poll(&item, 1, PROGRESS_TICK_MS) > 0 && !keep(said, fd))
			return 0;
		if (progress)
			progress_tick(progress);
		if (interrupt_wanted(interrupt)) {
			(void)kill(child, SIGKILL);
			return fail_set(err, EINTR, "given up");
		}
	}
}

int spawn_run(const struct argv *argv, const char *const *env, struct progress *progress, int interrupt, struct error *err)
{
	struct said said = { .used = 0 };
	int ends[2], status = 0;
	int result = argv_check(argv, err);

	if (result < 0)
		return result;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, ERROR_HOST, errno, "pipe");
	fd_auto from = ends[0];
	pid_t child = fork();
	if (child == 0)
		become(argv, env, ends[1]);
	close(ends[1]);
	if (child < 0)
		return error_set(err, ERROR_HOST, errno, "fork");
	result = listen_to(from, child, &said, progress, interrupt, err);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (result < 0)
		return result;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return fail_set(err, ECHILD, "%s was killed by signal %d: %s", argv->items[0], WTERMSIG(status), one_line(&said));
	return fail_set(err, ECHILD, "%s exits with %d: %s", argv->items[0], WEXITSTATUS(status), one_line(&said));
}
