/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_PROCESS_H
#define QEMU_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Processes that outlive the command that started them.  A pid alone may name somebody else's process by now; with the time at
 * which it began it cannot.
 */
struct process {
	pid_t pid;      /* 0: none */
	uint64_t began; /* field 22 of /proc/PID/stat: clock ticks after boot */
};

/* Names the running process `pid`.  -ESRCH when there is none, or it is a zombie. */
must_check int process_of(pid_t pid, struct process *process);
bool process_alive(const struct process *process);
/* Sends `signal` if the process still lives.  Never reaches another process that has got the same pid. */
void process_signal(const struct process *process, int signal);
/* Waits until it is gone (and reaps it if it is our child).  False when it still lives after `milliseconds`. */
bool process_wait(const struct process *process, int milliseconds);
/* SIGKILL, and waits at most 10 s.  False when the kernel would not let it die. */
bool process_kill(const struct process *process);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t process_now(void);

/*
 * Finds a program: the variable `env` when it is set (a path; taken as it is), the folder of our own executable, then PATH with the
 * administrator's folders.  `env` may be NULL.  -ENOENT with `err` set, naming what to install (`package`).
 */
must_check int process_find(const char *program, const char *env, const char *package, char *path, size_t size, struct error *err);
/* The folder of our own executable, without a slash at its end. */
must_check int process_own_folder(char *path, size_t size, struct error *err);

#endif
