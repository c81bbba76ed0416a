/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counts system calls and memory by ptrace, the same way for whoever is measured.  strace(1) would count as well, but it cannot say
 * how large a process had become by the time it ended.
 */
#include "tests/bench/tracer.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS                                                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT |             \
	 PTRACE_O_TRACEEXEC)

static unsigned long number_in(pid_t pid, const char *name, const char *key)
{
	char path[64], line[256];
	unsigned long value = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoul(line + strlen(key), NULL, 10);
	}
	if (file)
		fclose(file);
	return value;
}

static void look_at_memory(pid_t pid, pid_t standing, struct tracer_count *count)
{
	/* The kernel adds up VmHWM in batches of 64 pages, and in a small process forgets most of them. */
	unsigned long peak = number_in(pid, "status", "VmHWM:"), now = number_in(pid, "smaps_rollup", "Rss:");

	if (pid != standing && peak > count->peak_kib)
		count->peak_kib = peak;
	if (pid != standing && now > count->peak_kib)
		count->peak_kib = now;
}

static void at_system_call(pid_t pid, pid_t standing, struct tracer_count *count)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	count->calls++;
	/* What follows has other memory. */
	if (info.entry.nr == SYS_execve || info.entry.nr == SYS_execveat)
		look_at_memory(pid, standing, count);
}

/* Acts on one stop, and lets the process go on. */
static void at_stop(pid_t pid, int status, pid_t standing, struct tracer_count *count)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (signal == (SIGTRAP | 0x80)) {
		at_system_call(pid, standing, count);
		signal = 0;
	} else if (event == PTRACE_EVENT_EXIT) {
		look_at_memory(pid, standing, count);
		count->processes += number_in(pid, "status", "Tgid:") == (unsigned long)pid;
		signal = 0;
	} else if (event != 0) {
		signal = 0;
	}
	ptrace(PTRACE_SYSCALL, pid, 0, signal);
}

int tracer_run(char *const *args, struct tracer_count *count)
{
	bool executed = false;
	int status;

	pid_t first = fork();
	if (first == 0) {
		raise(SIGSTOP);
		execv(args[0], args);
		_exit(127);
	}
	if (first < 0 || waitpid(first, &status, WUNTRACED) != first || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SEIZE, first, 0, OPTIONS) < 0)
		return -1;
	kill(first, SIGCONT);
	ptrace(PTRACE_INTERRUPT, first, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			return -1;
		/* execve is its first call. */
		if (!executed && WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_EXEC) {
			*count = (struct tracer_count){ .calls = 1 };
			executed = true;
		}
		if (WIFSTOPPED(status))
			at_stop(pid, status, 0, count);
		else if (pid == first)
			return status;
	}
}

int tracer_follow(pid_t standing, int (*work)(void *context), void *context, struct tracer_count *count)
{
	bool done = false;
	int status, outcome = 1;

	*count = (struct tracer_count){ 0 };
	if (ptrace(PTRACE_SEIZE, standing, 0, OPTIONS) < 0 || ptrace(PTRACE_INTERRUPT, standing, 0, 0) < 0)
		return 1;
	pid_t worker = fork();
	if (worker == 0)
		_exit(work(context));
	while (worker > 0) {
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			break;
		if (pid == worker && !WIFSTOPPED(status)) {
			outcome = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
			done = true;
			ptrace(PTRACE_INTERRUPT, standing, 0, 0);
		} else if (done && pid == standing && WIFSTOPPED(status)) {
			/* The others have ended: the requests are answered after that. */
			ptrace(PTRACE_DETACH, standing, 0, 0);
			break;
		} else if (WIFSTOPPED(status)) {
			at_stop(pid, status, standing, count);
		}
	}
	return outcome;
}
