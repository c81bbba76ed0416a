/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_REPORT_H
#define QEMU_REPORT_H

#include <stdint.h>

#include <json-c/json.h>

/* What --verbose shows on standard error: a line for each step of ours and, indented below it, the agent's own steps. */

/* One step that took `microseconds`; `answer` (may be NULL) holds the agent's steps in "steps". */
void report_step(const char *what, int64_t microseconds, json_object *answer);

#endif
