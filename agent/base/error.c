/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int wire;
	const char *name;
} table[] = {
	[ERROR_NONE] = { 0, "none" },
#define ERROR(symbol, code, name, meaning) [symbol] = { code, name },
#include "coffer/errors.def"
#undef ERROR
};

static int result_of(const struct error *err)
{
	return err->errnum > 0 ? -err->errnum : -EINVAL;
}

/* A message may quote bytes of a request or a disk: a control character in a log line could forge another line. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

/* Cutting UTF-8 in the middle would make the answer invalid JSON: drops an incomplete last sequence. */
static void trim_utf8(char *text)
{
	size_t length = strlen(text), start = length;

	while (start > 0 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start == 0)
		return;
	unsigned char lead = (unsigned char)text[start - 1];
	size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;

	if (length - (start - 1) < wanted)
		text[start - 1] = '\0';
}

static void fill(struct error *err, int errnum, const char *format, va_list args)
{
	int used = vsnprintf(err->message, sizeof(err->message), format, args);

	if (used < 0)
		used = 0;
	if (errnum > 0 && (size_t)used < sizeof(err->message))
		snprintf(err->message + used, sizeof(err->message) - (size_t)used, "%s%s", used ? ": " : "", strerror(errnum));
	make_printable(err->message);
	trim_utf8(err->message);
}

int error_set(struct error *err, enum error_code code, int errnum, const char *format, ...)
{
	va_list args;

	memset(err, 0, sizeof(*err));
	err->code = code;
	err->errnum = errnum;
	va_start(args, format);
	fill(err, errnum, format, args);
	va_end(args);
	return result_of(err);
}

int error_field(struct error *err, const char *field, const char *format, ...)
{
	va_list args;

	memset(err, 0, sizeof(*err));
	err->code = ERROR_PARAMS;
	err->errnum = EINVAL;
	snprintf(err->field, sizeof(err->field), "%s", field);
	make_printable(err->field);
	trim_utf8(err->field);
	va_start(args, format);
	fill(err, 0, format, args);
	va_end(args);
	return result_of(err);
}

int error_wrap(struct error *err, const char *format, ...)
{
	char old[sizeof(err->message)];
	va_list args;

	memcpy(old, err->message, sizeof(old));
	va_start(args, format);
	fill(err, 0, format, args);
	va_end(args);
	size_t used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s", old);
	trim_utf8(err->message);
	return result_of(err);
}

int error_within(struct error *err, const char *prefix)
{
	char old[sizeof(err->field)];

	memcpy(old, err->field, sizeof(old));
	const char *dot = old[0] == '\0' || old[0] == '[' ? "" : ".";
	/* Written in two bounded pieces, so that a long path loses its end and not its beginning. */
	snprintf(err->field, sizeof(err->field), "%s%s", prefix, dot);
	size_t used = strlen(err->field);
	snprintf(err->field + used, sizeof(err->field) - used, "%s", old);
	make_printable(err->field);
	trim_utf8(err->field);
	return result_of(err);
}

int error_step(struct error *err, const char *step)
{
	if (err->step[0] == '\0')
		snprintf(err->step, sizeof(err->step), "%s", step);
	return result_of(err);
}

int error_wire_code(enum error_code code)
{
	return (unsigned)code < ERROR_COUNT ? table[code].wire : table[ERROR_INTERNAL].wire;
}

const char *error_wire_name(enum error_code code)
{
	return (unsigned)code < ERROR_COUNT ? table[code].name : table[ERROR_INTERNAL].name;
}

enum error_code error_from_wire(int wire_code)
{
	for (int code = ERROR_NONE + 1; code < ERROR_COUNT; code++) {
		if (table[code].wire == wire_code)
			return (enum error_code)code;
	}
	return ERROR_NONE;
}

void error_text(const struct error *err, char *text, unsigned long size)
{
	snprintf(text, size, "%s%s%s%s%s", err->step, err->step[0] ? ": " : "", err->field, err->field[0] ? ": " : "",
		 err->message);
}
