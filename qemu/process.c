/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/process.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "qemu/fail.h"

int64_t process_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int process_of(pid_t pid, struct process *process)
{
	char path[64], stat[1024], state;
	unsigned long long began;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (pid <= 0 || text_read_file(path, stat, sizeof(stat)) < 0)
		return -ESRCH;
	/* The name stands in parentheses and may hold anything, parentheses too. */
	const char *behind = strrchr(stat, ')');
	if (!behind)
		return -ESRCH;
	if (sscanf(behind + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state,
		   &began) != 2)
		return -ESRCH;
	if (state == 'Z' || state == 'X')
		return -ESRCH;
	*process = (struct process){ .pid = pid, .began = began };
	return 0;
}

bool process_alive(const struct process *process)
{
	struct process now;

	return process->pid > 0 && process_of(process->pid, &now) == 0 && now.began == process->began;
}

/* A pidfd holds the process fast: what is checked after it was opened stays true of what it names.  -1 when it is gone. */
static int open_pidfd(const struct process *process)
{
	if (process->pid <= 0)
		return -1;
	int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	if (fd >= 0 && !process_alive(process)) {
		close(fd);
		return -1;
	}
	return fd;
}

void process_signal(const struct process *process, int signal)
{
	fd_auto fd = open_pidfd(process);

	if (fd >= 0)
		(void)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
}

bool process_wait(const struct process *process, int milliseconds)
{
	int64_t end = process_now() + milliseconds;
	fd_auto fd = open_pidfd(process);

	while (fd >= 0) {
		struct pollfd item = { .fd = fd, .events = POLLIN };
		int64_t left = end - process_now();

		if (poll(&item, 1, left > 0 ? (int)left : 0) > 0)
			break;
		if (left <= 0)
			return !process_alive(process);
	}
	if (process->pid > 0)
		(void)waitpid(process->pid, NULL, WNOHANG);
	return true;
}

bool process_kill(const struct process *process)
{
	process_signal(process, SIGKILL);
	return process_wait(process, 10000);
}

int process_own_folder(char *path, size_t size, struct error *err)
{
	ssize_t length = readlink("/proc/self/exe", path, size);

	if (length <= 0 || (size_t)length >= size)
		return error_set(err, ERROR_HOST, length < 0 ? errno : ENAMETOOLONG, "readlink /proc/self/exe");
	path[length] = '\0';
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

static bool executable_in(const char *folder, size_t length, const char *program, char *path, size_t size)
{
	return text_format(path, size, "%.*s/%s", (int)length, folder, program) == 0 && access(path, X_OK) == 0;
}

int process_find(const char *program, const char *env, const char *package, char *path, size_t size, struct error *err)
{
	const char *given = env ? getenv(env) : NULL;
	char own[PATH_MAX];

	if (given && *given) {
		if (access(given, X_OK) < 0)
			return error_set(err, ERROR_HOST, errno, "%s, which the variable %s names", given, env);
		return text_format(path, size, "%s", given);
	}
	if (process_own_folder(own, sizeof(own), err) == 0 && executable_in(own, strlen(own), program, path, size))
		return 0;
	const char *folder = getenv("PATH");
	for (const char *list = folder ? folder : ""; *list;) {
		size_t length = strcspn(list, ":");

		if (length && executable_in(list, length, program, path, size))
			return 0;
		list += length + (list[length] == ':');
	}
	/* mke2fs and others live where a user's PATH does not look. */
	static const char *const further[] = { "/usr/sbin", "/sbin", "/usr/libexec", "/usr/local/bin" };
	for (size_t i = 0; i < array_count(further); i++) {
		if (executable_in(further[i], strlen(further[i]), program, path, size))
			return 0;
	}
	return fail_set(err, ENOENT, "the program %s is missing (Debian package %s%s%s)", program, package, env ? "; or set " : "",
			env ? env : "");
}
