/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_ARGV_H
#define QEMU_ARGV_H

#include <stddef.h>

#include "base/error.h"

/* The argument list of a program to be executed.  Zero-initialised is empty; a failure sticks and argv_check tells it. */
#define ARGV_MAX 192

struct argv {
	char *items[ARGV_MAX + 1]; /* NULL-terminated, each owned */
	size_t count;
	int result;
};

void argv_add(struct argv *argv, const char *word);
void argv_printf(struct argv *argv, const char *format, ...) printf_like(2, 3);
must_check int argv_check(const struct argv *argv, struct error *err);
void argv_free(struct argv *argv);

#endif
