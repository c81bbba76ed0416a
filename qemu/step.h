/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_STEP_H
#define QEMU_STEP_H

#include "base/encode.h"
#include "qemu/client.h"

/* The steps of a run: each is a request, with its line of --verbose. */

/* Microseconds of a clock that only goes on. */
int64_t step_clock(void);

/*
 * Makes *params, NUL-terminated, of what was encoded.  It lies in e->buf, which the caller frees, and which after a failure is
 * empty.
 */
must_check int step_params(struct encode *e, const char *method, const char **params, struct error *err);

/* One request.  `what` stands behind the method where `verbose` shows it.  e->buf is consumed. */
must_check int step_call(struct client *client, bool verbose, const char *method, const char *what, struct encode *e,
			 struct error *err);

#endif
