/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNIT_TEST_H
#define UNIT_TEST_H

/* What every unit test begins with.  cmocka.h wants the standard headers before it. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"

/* An assertion for tables: says which row is wrong. */
#define check_row(condition, ...)                                                                                                  \
	do {                                                                                                                       \
		if (!(condition)) {                                                                                                \
			print_error("%s:%d: %s\n    ", __FILE__, __LINE__, #condition);                                            \
			fail_msg(__VA_ARGS__);                                                                                     \
		}                                                                                                                  \
	} while (0)

/* A failure has a negative result, a code, a message, and a field where one is to blame. */
#define assert_failed(result, err, wanted_code, wanted_field)                                                                      \
	do {                                                                                                                       \
		int failed_result_ = (result);                                                                                     \
		check_row(failed_result_ < 0, "result %d", failed_result_);                                                        \
		check_row((err)->code == (wanted_code), "code %s, not %s; field \"%s\": %s", error_wire_name((err)->code),         \
			  error_wire_name(wanted_code), (err)->field, (err)->message);                                             \
		check_row(strcmp((err)->field, (wanted_field)) == 0, "field \"%s\", not \"%s\": %s", (err)->field, (wanted_field), \
			  (err)->message);                                                                                         \
		check_row((err)->message[0] != '\0', "no message");                                                                \
	} while (0)

#define assert_worked(result, err)                                                                                                 \
	do {                                                                                                                       \
		int worked_result_ = (result);                                                                                     \
		check_row(worked_result_ >= 0, "%s: \"%s\": %s", error_wire_name((err)->code), (err)->field, (err)->message);      \
	} while (0)

#endif
