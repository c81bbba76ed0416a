/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_COMPLETION_H
#define SERVICE_COMPLETION_H

#include "base/error.h"

/* Called exactly once, maybe before the service function returns.  `result` is the operation's struct; NULL with an error. */
struct completion {
	void (*done)(void *context, const struct error *error, const void *result);
	void *context;
};

void completion_fail(const struct completion *completion, const struct error *error);

#endif
