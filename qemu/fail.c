/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/fail.h"

#include <stdarg.h>
#include <stdio.h>

int fail_set(struct error *err, int errnum, const char *format, ...)
{
	char text[sizeof(err->message)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(err, ERROR_HOST, 0, "%s", text);
	err->errnum = errnum;
	return -errnum;
}
