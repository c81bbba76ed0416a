/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_LAUNCH_H
#define CONTAINER_LAUNCH_H

#include <sys/types.h>

#include "base/undo.h"
#include "container/config.h"
#include "sys/steps.h"

/*
 * The worker's part of a launch: the cgroup, one clone3 into it with all new namespaces, and the wait until the child stands before
 * its execve.  The child is made a child of PID 1 (CLONE_PARENT), which reaps it; PID 1 hears of it before it runs.
 */
struct launch {
	const char *id, *rootfs; /* rootfs NULL: exec; "": a sandbox, whose root is empty and whose program is the agent's own */
	const struct config *config;
	const struct config_process *process;
	const char *cgroup; /* path; made here unless this is an exec */
	int target;         /* exec: pidfd of the container's first process */
	int gate;           /* the child's end */
	int standard[3];
	struct undo *undo;
	struct steps *steps;
	int (*spawned)(void *context, pid_t pid, int fd, struct error *err); /* pid, then 0 with the terminal's master */
	void *context;
};

must_check int launch_run(const struct launch *launch, pid_t *pid, struct error *err);

#endif
