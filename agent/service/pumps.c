/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/pumps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/frames.h"

/* In the pump: what it has to do with its end of the pipe. */
struct task {
	bool receives;
	int connection;
	const char *early;
	size_t early_length;
};

static _Noreturn void run(const struct task *task, int pipe_end, int words)
{
	struct error err;
	int result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "coffer-stream");
	signal(SIGPIPE, SIG_IGN);
	if (task->receives)
		result = frames_receive(task->connection, task->early, task->early_length, pipe_end, &err);
	else
		result = frames_send(task->connection, pipe_end, &err);
	if (result < 0)
		(void)!write(words, &err, sizeof(err));
	_exit(result < 0 ? 1 : 0);
}

static int start(struct pump *pump, const struct task *task, struct error *err)
{
	int bytes[2], words[2];

	if (pipe2(bytes, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "pipe");
	fd_auto reading = bytes[0];
	fd_auto writing = bytes[1];
	if (pipe2(words, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "pipe");
	fd_auto hear = words[0];
	fd_auto tell = words[1];
	pump->pid = fork();
	if (pump->pid < 0)
		return error_set(err, ERROR_INTERNAL, errno, "fork");
	if (pump->pid == 0) {
		close(task->receives ? reading : writing);
		run(task, task->receives ? writing : reading, tell);
	}
	signal(SIGPIPE, SIG_IGN);
	pump->fd = take_fd(task->receives ? &reading : &writing);
	pump->words = take_fd(&hear);
	return 0;
}

int pumps_receive(struct pump *pump, int connection, const char *early, size_t early_length, struct error *err)
{
	const struct task task = { .receives = true, .connection = connection, .early = early, .early_length = early_length };

	return start(pump, &task, err);
}

int pumps_send(struct pump *pump, int connection, struct error *err)
{
	const struct task task = { .connection = connection };

	return start(pump, &task, err);
}

int pumps_end(struct pump *pump, bool failed, struct error *err)
{
	fd_auto words = pump->words;
	int status, result = 0;

	/* One that sends would take the end of the pipe for the end of the stream. */
	if (failed)
		kill(pump->pid, SIGKILL);
	close_fd(&pump->fd);
	while (waitpid(pump->pid, &status, 0) < 0 && errno == EINTR)
		;
	ssize_t got = read(words, err, sizeof(*err));
	if (got == (ssize_t)sizeof(*err) && err->errnum != EPIPE)
		result = err->errnum > 0 ? -err->errnum : -EINVAL;
	else if (!failed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		result = error_set(err, ERROR_LAYER, EPIPE, "the stream was cut off");
	return result;
}
