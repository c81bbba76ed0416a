/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_DECODE_H
#define BASE_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/error.h"

/*
 * JSON into C structs, by const tables.  A table row names a key, what it may hold and where it goes; a key without a row is an
 * error that names its path, and so is every value of the wrong type or out of range.  Nothing is converted: a string is not a
 * number.
 *
 * `null` counts as absent; an absent key leaves zero (NULL, 0, false, an empty list) unless the row says DECODE_REQUIRED.
 * null inside a list is an error.
 *
 * Strings point into the json_object, which must outlive the struct.  Lists live in `struct decode_memory`.
 */

enum decode_kind {
	DECODE_BOOL,   /* bool */
	DECODE_INT,    /* int64_t within [min, max] */
	DECODE_UINT,   /* uint64_t within [min, max] */
	DECODE_STRING, /* const char *, at most `max` bytes (0: COFFER_PATH_MAX) */
	DECODE_OBJECT, /* a struct in place, by `schema` */
	DECODE_LIST,   /* struct decode_list of at most `max` elements, each by `item` or `schema` */
	DECODE_MAP,    /* struct decode_list of struct decode_pair: an object of strings, at most `max` members */
	DECODE_RAW,    /* json_object *, any value: somebody else decodes it */
	DECODE_REFUSED /* known, but not acted on: any value but null, false, 0, "", [] and {} is ERROR_UNSUPPORTED_FIELD */
};

enum { DECODE_REQUIRED = 1, DECODE_NONZERO = 2 /* a string that is given must not be empty, a list neither */ };

#define DECODE_NOWHERE ((size_t)-1)

struct decode_schema;

struct decode_field {
	const char *name;
	enum decode_kind kind;
	unsigned flags;
	size_t offset;  /* of the value, in the struct */
	size_t present; /* of a bool set when the key is there; or 0: none */
	int64_t min;
	uint64_t max;
	int (*check)(const char *string, struct error *err); /* DECODE_STRING: grammar; sets an error without field */
	const struct decode_field *item;                     /* DECODE_LIST of scalars: offset is 0 */
	const struct decode_schema *schema;
	const char *why; /* DECODE_REFUSED: the reason, for the message */
};

struct decode_schema {
	const struct decode_field *fields;
	size_t count;
	size_t size;                                         /* of the struct */
	int (*check)(const void *object, struct error *err); /* after the fields: what concerns several of them */
};

struct decode_list {
	void *items;
	size_t count;
};

struct decode_pair {
	const char *key, *value;
};

struct decode_memory {
	void *blocks;
};

/* Parses one strictly checked JSON text (scan_json, then json-c).  *json is the caller's, to json_object_put. */
must_check int decode_parse(const char *text, size_t length, json_object **json, struct error *err);

/* Overwrites every string value in it, as there may be keys among them.  Nobody may use a part of it later.  NULL is nothing. */
void decode_wipe(json_object *json);

/* Fills `object` (zeroed by this function) from `json`, which must be an object.  On failure err->field is the path within it. */
must_check int decode_object(json_object *json, const struct decode_schema *schema, void *object, struct decode_memory *memory,
			     struct error *err);
/* One value by one row, written to `at`.  `memory` may be NULL for kinds without a list. */
must_check int decode_value(json_object *value, const struct decode_field *field, void *at, struct decode_memory *memory,
			    struct error *err);
void decode_free(struct decode_memory *memory);

/* Zeroed memory that decode_free gives back; NULL when there is none. */
void *decode_alloc(struct decode_memory *memory, size_t count, size_t size);

/* Checks for `check` in rows. */
int decode_check_id(const char *string, struct error *err);       /* [A-Za-z0-9][A-Za-z0-9_.-]{0,63} */
int decode_check_absolute(const char *string, struct error *err); /* begins with / */

#endif
