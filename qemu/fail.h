/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_FAIL_H
#define QEMU_FAIL_H

#include "base/error.h"

/*
 * An ERROR_HOST whose message says everything: `errnum` is recorded and returned (negative), but its text is not appended, where
 * error_set would add "No such file or directory" to "there is no VM named x".
 */
int fail_set(struct error *err, int errnum, const char *format, ...) printf_like(3, 4);

#endif
