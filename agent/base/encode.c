/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/encode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct encode *e, const void *bytes, size_t size)
{
	if (e->result == 0)
		e->result = buf_append(e->buf, bytes, size);
}

static void put_text(struct encode *e, const char *text)
{
	put(e, text, strlen(text));
}

/* Length of the UTF-8 sequence at `p`, at most `left` bytes long; 0 when it is not well-formed. */
static size_t sequence(const unsigned char *p, size_t left)
{
	size_t length = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

static void put_string(struct encode *e, const char *value)
{
	const unsigned char *p = (const unsigned char *)value;
	size_t left = strlen(value);

	put(e, "\"", 1);
	while (left > 0) {
		size_t length = sequence(p, left);

		if (*p == '"' || *p == '\\') {
			char escape[2] = { '\\', (char)*p };
			put(e, escape, 2);
		} else if (*p == '\n') {
			put(e, "\\n", 2);
		} else if (*p < 0x20 || *p == 0x7f) {
			char escape[8];
			snprintf(escape, sizeof(escape), "\\u%04x", *p);
			put(e, escape, 6);
		} else if (length == 0) {
			put(e, "\xef\xbf\xbd", 3);
		} else {
			put(e, p, length);
		}
		p += length ? length : 1;
		left -= length ? length : 1;
	}
	put(e, "\"", 1);
}

static void begin(struct encode *e, const char *key)
{
	if (e->comma)
		put(e, ",", 1);
	e->comma = true;
	if (key) {
		put_string(e, key);
		put(e, ":", 1);
	}
}

void encode_open(struct encode *e, const char *key, char bracket)
{
	begin(e, key);
	put(e, &bracket, 1);
	e->comma = false;
}

void encode_close(struct encode *e, char bracket)
{
	put(e, &bracket, 1);
	e->comma = true;
}

void encode_string(struct encode *e, const char *key, const char *value)
{
	begin(e, key);
	put_string(e, value);
}

void encode_int(struct encode *e, const char *key, int64_t value)
{
	char text[32];

	begin(e, key);
	snprintf(text, sizeof(text), "%" PRId64, value);
	put_text(e, text);
}

void encode_uint(struct encode *e, const char *key, uint64_t value)
{
	char text[32];

	begin(e, key);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	put_text(e, text);
}

void encode_bool(struct encode *e, const char *key, bool value)
{
	begin(e, key);
	put_text(e, value ? "true" : "false");
}

void encode_null(struct encode *e, const char *key)
{
	begin(e, key);
	put_text(e, "null");
}

void encode_raw(struct encode *e, const char *key, const char *json, size_t length)
{
	begin(e, key);
	put(e, json, length);
}

int encode_result(const struct encode *e)
{
	return e->result;
}

void encode_error(struct encode *e, const char *key, const struct error *error)
{
	encode_open(e, key, '{');
	encode_int(e, "code", error_wire_code(error->code));
	encode_string(e, "message", error->message);
	encode_open(e, "data", '{');
	encode_string(e, "name", error_wire_name(error->code));
	encode_string(e, "step", error->step);
	encode_int(e, "errno", error->errnum);
	encode_string(e, "field", error->field);
	encode_close(e, '}');
	encode_close(e, '}');
}
