/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_SPAWN_H
#define QEMU_SPAWN_H

#include "qemu/argv.h"
#include "qemu/progress.h"

/*
 * Runs a program and waits for it.  Its standard input and output are /dev/null; what it writes to standard error is kept, and its
 * end is in the error's message if it fails.  A signal of `interrupt` (interrupt_open, or -1) kills it: -EINTR.
 * `env` are further variables (a name, its value, and so on, NULL-terminated), or NULL.
 */
must_check int spawn_run(const struct argv *argv, const char *const *env, struct progress *progress, int interrupt,
			 struct error *err);

#endif
