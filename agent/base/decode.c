/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/printbuf.h>

#include "base/scan.h"
#include "coffer/protocol.h"

struct block {
	struct block *next;
	max_align_t bytes[];
};

void *decode_alloc(struct decode_memory *memory, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	struct block *block = calloc(1, sizeof(*block) + bytes);
	if (!block)
		return NULL;
	block->next = memory->blocks;
	memory->blocks = block;
	return block->bytes;
}

void decode_free(struct decode_memory *memory)
{
	struct block *block = memory->blocks;

	while (block) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
	memory->blocks = NULL;
}

void decode_wipe(json_object *json)
{
	switch (json_object_get_type(json)) {
	case json_type_string:
		explicit_bzero((char *)json_object_get_string(json), (size_t)json_object_get_string_len(json));
		break;
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(json); i++)
			decode_wipe(json_object_array_get_idx(json, i));
		break;
	case json_type_object: {
		json_object_object_foreach (json, key, value) {
			(void)key;
			decode_wipe(value);
		}
		break;
	}
	default:
		break;
	}
}

int decode_parse(const char *text, size_t length, json_object **json, struct error *err)
{
	int result = scan_json(text, length, err);

	*json = NULL;
	if (result < 0)
		return result;
	if (length > INT32_MAX)
		return error_set(err, ERROR_PARSE, EMSGSIZE, "the text is too long");
	json_tokener *tokener = json_tokener_new_ex(COFFER_DEPTH_MAX + 1);
	if (!tokener)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "JSON parser");
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* json-c puts every string together in this buffer: large enough from the start it is never moved, and can be wiped. */
	printbuf_memset(tokener->pb, 0, 0, (int)length);
	*json = json_tokener_parse_ex(tokener, text, (int)length);
	enum json_tokener_error why = json_tokener_get_error(tokener);
	/* A bare number at the very end is "continue" to json-c: it cannot know that no digit follows. */
	if (why == json_tokener_continue) {
		*json = json_tokener_parse_ex(tokener, " ", 1);
		why = json_tokener_get_error(tokener);
	}
	explicit_bzero(tokener->pb->buf, (size_t)tokener->pb->size);
	json_tokener_free(tokener);
	if (why != json_tokener_success) {
		json_object_put(*json);
		*json = NULL;
		return error_set(err, ERROR_PARSE, 0, "%s", json_tokener_error_desc(why));
	}
	return 0;
}

static const char *type_name(json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return "a boolean";
	case json_type_double:
		return "a number with a fraction or exponent";
	case json_type_int:
		return "an integer";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	case json_type_string:
		return "a string";
	}
	return "unknown";
}

static int expect(json_object *value, enum json_type type, const char *wanted, struct error *err)
{
	if (json_object_get_type(value) == type)
		return 0;
	return error_field(err, "", "%s is needed, not %s", wanted, type_name(value));
}

static int decode_integer(json_object *value, const struct decode_field *field, void *at, struct error *err)
{
	int result = expect(value, json_type_int, "an integer", err);

	if (result < 0)
		return result;
	/* json-c saturates in both getters; together they tell the true value. */
	int64_t as_signed = json_object_get_int64(value);
	uint64_t as_unsigned = json_object_get_uint64(value);
	if (field->kind == DECODE_UINT) {
		if (as_signed < 0 || as_unsigned < (uint64_t)field->min || as_unsigned > field->max)
			return error_field(err, "", "must be within %lld and %llu", (long long)field->min,
					   (unsigned long long)field->max);
		*(uint64_t *)at = as_unsigned;
		return 0;
	}
	if (as_signed < field->min || (as_signed >= 0 && as_unsigned > field->max))
		return error_field(err, "", "must be within %lld and %lld", (long long)field->min, (long long)field->max);
	*(int64_t *)at = as_signed;
	return 0;
}

static int decode_string(json_object *value, const struct decode_field *field, void *at, struct error *err)
{
	int result = expect(value, json_type_string, "a string", err);
	size_t most = field->max ? field->max : COFFER_PATH_MAX;

	if (result < 0)
		return result;
	const char *string = json_object_get_string(value);
	size_t length = (size_t)json_object_get_string_len(value);
	if (length > most)
		return error_field(err, "", "%zu bytes, at most %zu are accepted", length, most);
	if (strlen(string) != length)
		return error_field(err, "", "contains a NUL");
	if (length == 0 && (field->flags & DECODE_NONZERO))
		return error_field(err, "", "must not be empty");
	if (field->check && (length > 0 || (field->flags & DECODE_REQUIRED))) {
		result = field->check(string, err);
		if (result < 0)
			return result;
	}
	*(const char **)at = string;
	return 0;
}

static int decode_list(json_object *value, const struct decode_field *field, void *at, struct decode_memory *memory,
		       struct error *err)
{
	struct decode_list *list = at;
	int result = expect(value, json_type_array, "an array", err);

	if (result < 0)
		return result;
	size_t count = json_object_array_length(value);
	if (count > field->max)
		return error_field(err, "", "%zu elements, at most %llu are accepted", count, (unsigned long long)field->max);
	if (count == 0)
		return (field->flags & DECODE_NONZERO) ? error_field(err, "", "must not be empty") : 0;
	size_t size = field->schema                        ? field->schema->size
		      : field->item->kind == DECODE_STRING ? sizeof(const char *)
							   : sizeof(uint64_t);
	char *items = decode_alloc(memory, count, size);
	if (!items)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "list");
	for (size_t i = 0; i < count; i++) {
		json_object *element = json_object_array_get_idx(value, i);

		if (!element)
			result = error_field(err, "", "null is not accepted here");
		else if (field->schema)
			result = decode_object(element, field->schema, items + i * size, memory, err);
		else
			result = decode_value(element, field->item, items + i * size, memory, err);
		if (result < 0) {
			char index[32];

			snprintf(index, sizeof(index), "[%zu]", i);
			return error_within(err, index);
		}
	}
	list->items = items;
	list->count = count;
	return 0;
}

static int decode_map(json_object *value, const struct decode_field *field, void *at, struct decode_memory *memory,
		      struct error *err)
{
	struct decode_list *list = at;
	int result = expect(value, json_type_object, "an object", err);

	if (result < 0)
		return result;
	size_t count = (size_t)json_object_object_length(value);
	if (count > field->max)
		return error_field(err, "", "%zu members, at most %llu are accepted", count, (unsigned long long)field->max);
	if (count == 0)
		return 0;
	struct decode_pair *pairs = decode_alloc(memory, count, sizeof(*pairs));
	if (!pairs)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "map");
	size_t i = 0;
	json_object_object_foreach (value, key, member) {
		static const struct decode_field text = { .kind = DECODE_STRING };

		pairs[i].key = key;
		result = decode_string(member, &text, &pairs[i].value, err);
		if (result < 0)
			return error_within(err, key);
		i++;
	}
	list->items = pairs;
	list->count = count;
	return 0;
}

/* What a decoder that ignores the key would lose: nothing, when the value says "default". */
static bool says_nothing(json_object *value)
{
	switch (json_object_get_type(value)) {
	case json_type_null:
		return true;
	case json_type_boolean:
		return !json_object_get_boolean(value);
	case json_type_int:
		return json_object_get_int64(value) == 0;
	case json_type_string:
		return json_object_get_string_len(value) == 0;
	case json_type_array:
		return json_object_array_length(value) == 0;
	case json_type_object:
		return json_object_object_length(value) == 0;
	case json_type_double:
		return false;
	}
	return false;
}

int decode_value(json_object *value, const struct decode_field *field, void *at, struct decode_memory *memory, struct error *err)
{
	int result;

	switch (field->kind) {
	case DECODE_BOOL:
		result = expect(value, json_type_boolean, "true or false", err);
		if (result == 0)
			*(bool *)at = json_object_get_boolean(value);
		return result;
	case DECODE_INT:
	case DECODE_UINT:
		return decode_integer(value, field, at, err);
	case DECODE_STRING:
		return decode_string(value, field, at, err);
	case DECODE_OBJECT:
		return decode_object(value, field->schema, at, memory, err);
	case DECODE_LIST:
		return decode_list(value, field, at, memory, err);
	case DECODE_MAP:
		return decode_map(value, field, at, memory, err);
	case DECODE_RAW:
		*(json_object **)at = value;
		return 0;
	case DECODE_REFUSED:
		if (says_nothing(value))
			return 0;
		result = error_field(err, "", "%s", field->why ? field->why : "this agent does not act on it");
		err->code = ERROR_UNSUPPORTED_FIELD;
		return result;
	}
	return error_set(err, ERROR_INTERNAL, EINVAL, "unknown kind of field");
}

static const struct decode_field *find_field(const struct decode_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++) {
		if (strcmp(schema->fields[i].name, name) == 0)
			return &schema->fields[i];
	}
	return NULL;
}

int decode_object(json_object *json, const struct decode_schema *schema, void *object, struct decode_memory *memory,
		  struct error *err)
{
	int result;

	memset(object, 0, schema->size);
	result = expect(json, json_type_object, "an object", err);
	if (result < 0)
		return result;
	json_object_object_foreach (json, key, value) {
		const struct decode_field *field = find_field(schema, key);

		if (!field)
			return error_field(err, key, "unknown field");
		if (!value)
			continue;
		result = decode_value(value, field, (char *)object + field->offset, memory, err);
		if (result < 0)
			return error_within(err, key);
		if (field->present)
			*(bool *)((char *)object + field->present) = true;
	}
	for (size_t i = 0; i < schema->count; i++) {
		json_object *found;

		if (!(schema->fields[i].flags & DECODE_REQUIRED))
			continue;
		if (!json_object_object_get_ex(json, schema->fields[i].name, &found) || !found)
			return error_field(err, schema->fields[i].name, "is required");
	}
	return schema->check ? schema->check(object, err) : 0;
}

int decode_check_id(const char *string, struct error *err)
{
	size_t length = strlen(string);

	for (size_t i = 0; i < length; i++) {
		char c = string[i];
		bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!alphanumeric && (i == 0 || (c != '_' && c != '.' && c != '-')))
			return error_field(err, "",
					   "an id is letters, digits, '_', '.' and '-', and begins with a letter or digit");
	}
	if (length == 0 || length > COFFER_ID_MAX)
		return error_field(err, "", "an id has 1 to %d characters", COFFER_ID_MAX);
	return 0;
}

int decode_check_absolute(const char *string, struct error *err)
{
	return string[0] == '/' ? 0 : error_field(err, "", "must be an absolute path");
}
