/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_STAGE_H
#define CONTAINER_STAGE_H

#include "container/config.h"

/*
 * The child's part of a launch: from a fresh clone of the worker to execve.  It talks on two sockets, both SEQPACKET:
 *
 *   sync   with the worker: waits for one byte; then sends a struct stage_report (with the terminal's master as SCM_RIGHTS, if
 * there is one) gate   with PID 1: waits for one byte; then executes.  A failed execve sends a struct error; a good one closes the
 * socket.
 */
struct stage {
	const char *id;
	const char *rootfs; /* NULL: exec into a running container; the namespaces have been joined */
	const struct config *config;
	const struct config_process *process;
	int sync, gate;
	int standard[3]; /* what becomes of 0, 1, 2; -1 with a terminal */
};

struct stage_report {
	int failed;
	struct error error;
};

_Noreturn void stage_run(const struct stage *stage);

#endif
