/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/completion.h"

#include <stddef.h>

void completion_fail(const struct completion *completion, const struct error *error)
{
	completion->done(completion->context, error, NULL);
}
