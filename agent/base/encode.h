/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/*
 * Writes one JSON text into a buf, member by member; commas are its own matter.  `key` is NULL inside an array and for the
 * outermost value.  A failure (memory, the buf's limit) sticks: later calls do nothing, and encode_result tells at the end.
 * Strings must be UTF-8; a byte that is not well-formed is written as U+FFFD.
 */
struct encode {
	struct buf *buf;
	bool comma;
	int result;
};

void encode_open(struct encode *e, const char *key, char bracket); /* '{' or '[' */
void encode_close(struct encode *e, char bracket);                 /* '}' or ']' */
void encode_string(struct encode *e, const char *key, const char *value);
void encode_int(struct encode *e, const char *key, int64_t value);
void encode_uint(struct encode *e, const char *key, uint64_t value);
void encode_bool(struct encode *e, const char *key, bool value);
void encode_null(struct encode *e, const char *key);
/* `json` is written as it stands: it must be one JSON value. */
void encode_raw(struct encode *e, const char *key, const char *json, size_t length);
/* 0, -ENOMEM or -EMSGSIZE. */
must_check int encode_result(const struct encode *e);

/* The members of an error object: "code", "message", "data". */
void encode_error(struct encode *e, const char *key, const struct error *error);

#endif
