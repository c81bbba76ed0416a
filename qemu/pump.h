/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_PUMP_H
#define QEMU_PUMP_H

#include "qemu/client.h"
#include "qemu/stream.h"

/*
 * Carries a process's standard streams until it has ended and all that it wrote has been written here: standard input to it, its
 * output to ours, the size of our terminal, and our signals.
 */
struct pump {
	struct client *client; /* with no request outstanding */
	struct stream *stream; /* opened */
	const char *container;
	const char *exec; /* NULL: the container's first process */
	int interrupt;    /* of interrupt_open */
	int first_signal; /* one that came before, to be handed on; or 0 */
	int given_up;     /* filled: the signal at which waiting was given up, or 0 */
};

/*
 * Returns the process's exit code, or a negative errno.  A first SIGINT, SIGTERM, SIGHUP or SIGQUIT is handed on to the process;
 * at a second one this returns at once, 128 + the signal, with the process still running.  The same happens (with SIGPIPE) when
 * nobody reads our output any more.
 */
must_check int pump_run(struct pump *pump, struct error *err);

#endif
