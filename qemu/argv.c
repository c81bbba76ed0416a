/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/argv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void adopt(struct argv *argv, char *word)
{
	if (argv->result == 0 && !word)
		argv->result = -ENOMEM;
	else if (argv->result == 0 && argv->count == ARGV_MAX)
		argv->result = -E2BIG;
	if (argv->result < 0) {
		free(word);
		return;
	}
	argv->items[argv->count++] = word;
}

void argv_add(struct argv *argv, const char *word)
{
	adopt(argv, strdup(word));
}

void argv_printf(struct argv *argv, const char *format, ...)
{
	char *word = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&word, format, args) < 0)
		word = NULL;
	va_end(args);
	adopt(argv, word);
}

int argv_check(const struct argv *argv, struct error *err)
{
	return argv->result < 0 ? error_set(err, ERROR_HOST, -argv->result, "the arguments of %s",
					    argv->count ? argv->items[0] : "a program")
				: 0;
}

void argv_free(struct argv *argv)
{
	for (size_t i = 0; i < argv->count; i++)
		free(argv->items[i]);
	memset(argv, 0, sizeof(*argv));
}
