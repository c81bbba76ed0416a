/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

/*
 * The one error convention.  A function that can fail takes `struct error *err` last, and returns 0 (or a useful
 * non-negative number) or a negative errno; it is must_check.  The error is a plain value: it can be copied, sent through
 * a pipe and dropped.  It is made once, where the failure is seen, gains context on its way up, and is logged and answered
 * once, at the front end.  Whatever is in it may be shown to the host: never put a secret into it.
 */

#define must_check               __attribute__((warn_unused_result))
#define printf_like(text, first) __attribute__((format(printf, text, first)))

enum error_code {
	ERROR_NONE,
#define ERROR(symbol, code, name, meaning) symbol,
#include "coffer/errors.def"
#undef ERROR
	ERROR_COUNT,
};

struct error {
	enum error_code code;
	int errnum;        /* positive errno, or 0 when no system call is to blame */
	char step[48];     /* what was being done: "activate dm-verity" */
	char field[160];   /* the request's member to blame: "volume.dm_verity.hash"; "" when none */
	char message[320]; /* for a person, without step and field */
};

/* Sets `err` from scratch.  `errnum` may be 0; its text is then not appended.  Returns -errnum, or -EINVAL for 0. */
int error_set(struct error *err, enum error_code code, int errnum, const char *format, ...) printf_like(4, 5);

/* The same for a field of the request: code is ERROR_PARAMS, errno EINVAL. */
int error_field(struct error *err, const char *field, const char *format, ...) printf_like(3, 4);

/* Puts "CONTEXT: " before the message.  Returns what `err` would have returned when it was made. */
int error_wrap(struct error *err, const char *format, ...) printf_like(2, 3);

/* Puts PREFIX and a dot before the field ("config" + "mounts[3].flags").  Returns like error_wrap. */
int error_within(struct error *err, const char *prefix);

/* Names the step unless a deeper one has been named.  Returns like error_wrap. */
int error_step(struct error *err, const char *step);

int error_wire_code(enum error_code code);
const char *error_wire_name(enum error_code code);
/* ERROR_NONE when no row has this wire code. */
enum error_code error_from_wire(int wire_code);

/* "step: field: message", as a log line shows it.  Truncates to `size`. */
void error_text(const struct error *err, char *text, unsigned long size);

#endif
