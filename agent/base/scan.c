/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/scan.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "coffer/protocol.h"

/* The keys of one open object, as hashes: an equal hash counts as the same key.  A collision of two
 * different keys can only refuse the sender's own document. */
struct keys {
	uint64_t *hashes;
	size_t count, capacity;
};

struct scanner {
	const char *text, *at, *end;
	int depth;
	struct keys keys[COFFER_DEPTH_MAX + 1]; /* by depth */
	struct error *err;
};

static int refuse(struct scanner *s, const char *why)
{
	int result = error_set(s->err, ERROR_PARSE, 0, "byte %zu: %s", (size_t)(s->at - s->text), why);

	error_step(s->err, "read the line");
	return result;
}

static void skip_space(struct scanner *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
		s->at++;
}

/* The four digits behind "\u"; -1 when they are not there. */
static int32_t read_unit(struct scanner *s)
{
	int32_t unit = 0;

	if (s->end - s->at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = text_hex_digit(s->at[i]);

		if (digit < 0)
			return -1;
		unit = unit * 16 + digit;
	}
	s->at += 4;
	return unit;
}

/* One byte of a decoded key into its hash (FNV-1a, 64 bits). */
static void hash_byte(uint64_t *hash, unsigned char byte)
{
	*hash = (*hash ^ byte) * 0x100000001b3u;
}

static void hash_code_point(uint64_t *hash, uint32_t c)
{
	if (c < 0x80) {
		hash_byte(hash, (unsigned char)c);
	} else if (c < 0x800) {
		hash_byte(hash, (unsigned char)(0xc0 | c >> 6));
		hash_byte(hash, (unsigned char)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		hash_byte(hash, (unsigned char)(0xe0 | c >> 12));
		hash_byte(hash, (unsigned char)(0x80 | (c >> 6 & 0x3f)));
		hash_byte(hash, (unsigned char)(0x80 | (c & 0x3f)));
	} else {
		hash_byte(hash, (unsigned char)(0xf0 | c >> 18));
		hash_byte(hash, (unsigned char)(0x80 | (c >> 12 & 0x3f)));
		hash_byte(hash, (unsigned char)(0x80 | (c >> 6 & 0x3f)));
		hash_byte(hash, (unsigned char)(0x80 | (c & 0x3f)));
	}
}

static int scan_escape(struct scanner *s, uint64_t *hash)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int32_t unit, low;

	if (s->at == s->end)
		return refuse(s, "the string does not end");
	char c = *s->at++;
	if (c != 'u') {
		const char *found = c ? strchr(from, c) : NULL;

		if (!found)
			return refuse(s, "unknown escape");
		hash_byte(hash, (unsigned char)to[found - from]);
		return 0;
	}
	unit = read_unit(s);
	if (unit < 0)
		return refuse(s, "\\u needs four hex digits");
	if (unit == 0)
		return refuse(s, "\\u0000 is not accepted");
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return refuse(s, "lone surrogate");
	if (unit >= 0xd800 && unit <= 0xdbff) {
		if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
			return refuse(s, "lone surrogate");
		s->at += 2;
		low = read_unit(s);
		if (low < 0xdc00 || low > 0xdfff)
			return refuse(s, "lone surrogate");
		unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	}
	hash_code_point(hash, (uint32_t)unit);
	return 0;
}

size_t scan_utf8(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (length > left || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return length;
}

static int scan_string(struct scanner *s, uint64_t *hash)
{
	int result;

	*hash = 0xcbf29ce484222325u;
	s->at++; /* the opening quote */
	while (s->at < s->end) {
		unsigned char c = (unsigned char)*s->at;

		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c == '\\') {
			s->at++;
			result = scan_escape(s, hash);
			if (result < 0)
				return result;
		} else if (c < 0x20) {
			return refuse(s, "control character in a string");
		} else if (c < 0x80) {
			hash_byte(hash, c);
			s->at++;
		} else {
			size_t length = scan_utf8((const unsigned char *)s->at, (size_t)(s->end - s->at));

			if (length == 0)
				return refuse(s, "not UTF-8");
			for (size_t i = 0; i < length; i++)
				hash_byte(hash, (unsigned char)*s->at++);
		}
	}
	return refuse(s, "the string does not end");
}

static bool is_digit(const struct scanner *s)
{
	return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool fits_64_bits(const char *digits, size_t count, bool negative)
{
	const char *limit = negative ? "9223372036854775808" : "18446744073709551615";
	size_t limit_count = strlen(limit);

	return count < limit_count || (count == limit_count && memcmp(digits, limit, count) <= 0);
}

static int scan_number(struct scanner *s)
{
	const char *start = s->at;
	bool negative = *s->at == '-', integer = true;
	char copy[33];

	if (negative)
		s->at++;
	const char *digits = s->at;
	if (!is_digit(s))
		return refuse(s, "a number needs digits");
	if (*s->at == '0' && s->at + 1 < s->end && s->at[1] >= '0' && s->at[1] <= '9')
		return refuse(s, "a number must not begin with 0");
	while (is_digit(s))
		s->at++;
	size_t count = (size_t)(s->at - digits);
	if (s->at < s->end && *s->at == '.') {
		integer = false;
		s->at++;
		if (!is_digit(s))
			return refuse(s, "a fraction needs digits");
		while (is_digit(s))
			s->at++;
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		integer = false;
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		if (!is_digit(s))
			return refuse(s, "an exponent needs digits");
		while (is_digit(s))
			s->at++;
	}
	if (integer)
		return fits_64_bits(digits, count, negative) ? 0 : refuse(s, "the integer does not fit 64 bits");
	size_t length = (size_t)(s->at - start);
	if (length >= sizeof(copy))
		return refuse(s, "the number is too long");
	memcpy(copy, start, length);
	copy[length] = '\0';
	return isfinite(strtod(copy, NULL)) ? 0 : refuse(s, "the number is too large");
}

static int scan_word(struct scanner *s, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0)
		return refuse(s, "not a JSON value");
	s->at += length;
	return 0;
}

static int add_key(struct scanner *s, uint64_t hash)
{
	struct keys *keys = &s->keys[s->depth];

	for (size_t i = 0; i < keys->count; i++) {
		if (keys->hashes[i] == hash)
			return refuse(s, "duplicate key");
	}
	if (keys->count == COFFER_MEMBERS_MAX)
		return refuse(s, "too many members in one object");
	if (keys->count == keys->capacity) {
		size_t capacity = keys->capacity ? keys->capacity * 2 : 16;
		uint64_t *hashes = realloc(keys->hashes, capacity * sizeof(*hashes));

		if (!hashes)
			return error_set(s->err, ERROR_INTERNAL, ENOMEM, "keys of an object");
		keys->hashes = hashes;
		keys->capacity = capacity;
	}
	keys->hashes[keys->count++] = hash;
	return 0;
}

static int scan_key(struct scanner *s)
{
	uint64_t hash;
	int result;

	skip_space(s);
	if (s->at == s->end || *s->at != '"')
		return refuse(s, "a key in double quotes is needed");
	result = scan_string(s, &hash);
	if (result == 0)
		result = add_key(s, hash);
	if (result < 0)
		return result;
	skip_space(s);
	if (s->at == s->end || *s->at != ':')
		return refuse(s, "a colon is needed");
	s->at++;
	return 0;
}

static int scan_value(struct scanner *s);

/* An object or an array: `close` tells which.  The recursion is bounded by the depth limit. */
static int scan_members(struct scanner *s, char close)
{
	int result;

	s->at++;
	if (++s->depth > COFFER_DEPTH_MAX) {
		s->depth--;
		return refuse(s, "nested too deep");
	}
	s->keys[s->depth].count = 0;
	skip_space(s);
	if (s->at < s->end && *s->at == close) {
		s->at++;
		s->depth--;
		return 0;
	}
	for (;;) {
		if (close == '}') {
			result = scan_key(s);
			if (result < 0)
				return result;
		}
		result = scan_value(s);
		if (result < 0)
			return result;
		skip_space(s);
		if (s->at < s->end && *s->at == close) {
			s->at++;
			s->depth--;
			return 0;
		}
		if (s->at == s->end || *s->at != ',')
			return refuse(s, close == '}' ? "a comma or } is needed" : "a comma or ] is needed");
		s->at++;
	}
}

static int scan_value(struct scanner *s)
{
	uint64_t hash;

	skip_space(s);
	if (s->at == s->end)
		return refuse(s, "a value is missing");
	switch (*s->at) {
	case '{':
		return scan_members(s, '}');
	case '[':
		return scan_members(s, ']');
	case '"':
		return scan_string(s, &hash);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (*s->at == '-' || is_digit(s))
			return scan_number(s);
		return refuse(s, "not a JSON value");
	}
}

int scan_json(const char *text, size_t length, struct error *err)
{
	struct scanner s = { .text = text, .at = text, .end = text + length, .err = err };
	int result = scan_value(&s);

	if (result == 0) {
		skip_space(&s);
		if (s.at < s.end)
			result = refuse(&s, "something follows the value");
	}
	for (size_t i = 0; i <= COFFER_DEPTH_MAX; i++)
		free(s.keys[i].hashes);
	return result;
}
