/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_PUMPS_H
#define SERVICE_PUMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* For workers: a process of their own between a stream connection and a pipe, so that the work sees plain bytes. */
struct pump {
	pid_t pid;
	int fd;    /* the worker's end of the pipe */
	int words; /* where the pump tells what went wrong */
};

/* Bytes from the host can be read from pump->fd. */
must_check int pumps_receive(struct pump *pump, int connection, const char *early, size_t early_length, struct error *err);
/* Bytes written to pump->fd go to the host. */
must_check int pumps_send(struct pump *pump, int connection, struct error *err);
/*
 * Waits for the end of the stream, and closes the pipe before.  `failed`: the work has failed, the stream is of no use any more and
 * has no end then.  What went wrong with the stream itself; nothing when only the work failed.
 */
must_check int pumps_end(struct pump *pump, bool failed, struct error *err);

#endif
