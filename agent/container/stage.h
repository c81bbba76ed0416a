/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_STAGE_H
#define CONTAINER_STAGE_H

#include "container/config.h"
#include "container/users.h"

/*
 * The child's part of a launch: from a fresh clone of the worker to execve.  It talks on two sockets, both SEQPACKET:
 *
 *   sync   with the worker: waits for one byte; sends a struct stage_report, STAGE_HOOKS, when the config has hooks that run
 *          in the agent's namespaces, and waits for a byte again; at the end sends one more, STAGE_READY or STAGE_FAILED, with the
 *          terminal's master as SCM_RIGHTS if there is one
 *   gate   with PID 1: waits for one byte; then executes.  A failed execve sends a struct error; a good one closes the socket.
 */
struct stage {
	const char *id;
	/* NULL: exec into a running container; the worker has done namespaces_join.  "": a sandbox. */
	const char *rootfs;
	int program; /* what a sandbox executes; or -1: by the process's args */
	const char *cgroup;
	const struct config *config;
	struct config_process *process; /* the child finds out who `user` is, and puts numbers there */
	struct users_ids *ids;
	const struct syscall_filter_program *seccomp;
	int proc;   /* the agent's own /proc */
	int target; /* exec: pidfd of the container's first process */
	int sync, gate;
	int worker; /* the worker's end of sync, which the child has no use for: while it has it, it would not see the worker die */
	int standard[3]; /* what becomes of 0, 1, 2; -1 with a terminal */
};

enum stage_progress { STAGE_HOOKS, STAGE_READY, STAGE_FAILED };

struct stage_report {
	enum stage_progress progress;
	struct error error;
};

_Noreturn void stage_run(const struct stage *stage);

#endif
