/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/oci_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/decode.h"

static int no_memory(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, ENOMEM, "convert the spec");
}

int oci_table_put(json_object *out, const char *key, json_object *value, struct error *err)
{
	if (value && json_object_object_add(out, key, value) == 0)
		return 0;
	json_object_put(value);
	return no_memory(err);
}

int oci_table_append(json_object *array, json_object *value, struct error *err)
{
	if (value && json_object_array_add(array, value) == 0)
		return 0;
	json_object_put(value);
	return no_memory(err);
}

int oci_table_put_int(json_object *out, const char *key, int64_t value, struct error *err)
{
	return oci_table_put(out, key, json_object_new_int64(value), err);
}

int oci_table_put_text(json_object *out, const char *key, const char *value, struct error *err)
{
	return oci_table_put(out, key, json_object_new_string(value), err);
}

json_object *oci_table_get(json_object *object, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

const char *oci_table_text(json_object *object, const char *key)
{
	json_object *value = oci_table_get(object, key);

	return value ? json_object_get_string(value) : "";
}

int oci_table_within(struct error *err, const char *key, size_t index)
{
	char field[96];

	snprintf(field, sizeof(field), "%s[%zu]", key, index);
	return error_within(err, field);
}

/* Type, range and length of one value. */
static int check(json_object *value, enum decode_kind kind, const struct oci_table_row *row, struct error *err)
{
	union {
		bool flag;
		int64_t number;
		uint64_t count;
		const char *string;
	} ignored;
	const struct decode_field field = { .kind = kind,
					    .flags = (row->flags & OCI_NONEMPTY) ? DECODE_NONZERO : 0,
					    .min = row->min,
					    .max = row->max,
					    .why = row->why };

	return decode_value(value, &field, &ignored, NULL, err);
}

static int check_array(json_object *value, const struct oci_table_row *row, struct error *err)
{
	size_t most = row->most ? row->most : OCI_LIST_MAX;

	if (!json_object_is_type(value, json_type_array))
		return error_field(err, "", "an array is needed");
	size_t count = json_object_array_length(value);
	if (count > most)
		return error_field(err, "", "%zu elements, at most %zu are accepted", count, most);
	for (size_t i = 0; i < count; i++) {
		if (!json_object_array_get_idx(value, i)) {
			error_field(err, "", "null is not accepted here");
			return oci_table_within(err, "", i);
		}
	}
	return 0;
}

/* A checked value is what it becomes. */
static int keep(json_object *value, const struct oci_table_row *row, json_object *out, struct error *err)
{
	return row->to ? oci_table_put(out, row->to, json_object_get(value), err) : 0;
}

static int keep_array(json_object *value, enum decode_kind kind, const struct oci_table_row *row, json_object *out,
		      struct error *err)
{
	int result = check_array(value, row, err);

	for (size_t i = 0; result == 0 && i < json_object_array_length(value); i++) {
		if (check(json_object_array_get_idx(value, i), kind, row, err) < 0)
			return oci_table_within(err, "", i);
	}
	return result < 0 ? result : keep(value, row, out, err);
}

static int keep_texts(json_object *value, const struct oci_table_row *row, json_object *out, struct error *err)
{
	if (!json_object_is_type(value, json_type_object))
		return error_field(err, "", "an object is needed");
	json_object_object_foreach (value, key, member) {
		/* null: a decoder of a map in Go gives "". */
		if (!member)
			return error_field(err, key, "a string is needed, not null");
		if (check(member, DECODE_STRING, row, err) < 0)
			return error_within(err, key);
	}
	return keep(value, row, out, err);
}

static int find_word(json_object *value, const struct oci_table_row *row, const struct oci_table_word **found, struct error *err)
{
	static const struct oci_table_row any = { .kind = OCI_STRING };
	const struct oci_table_word *word = row->words;
	int result = check(value, DECODE_STRING, &any, err);

	if (result < 0)
		return result;
	while (word->name && strcmp(word->name, json_object_get_string(value)) != 0)
		word++;
	if (!word->name)
		return error_field(err, "", "\"%.60s\" is not known here", json_object_get_string(value));
	if (word->refused) {
		result = error_field(err, "", "%s: this agent does not act on it", word->name);
		err->code = ERROR_UNSUPPORTED_FIELD;
		return result;
	}
	*found = word;
	return 0;
}

static json_object *word_value(const struct oci_table_word *word)
{
	return word->text ? json_object_new_string(word->text) : json_object_new_int64(word->number);
}

static int convert_word(json_object *value, const struct oci_table_row *row, json_object *out, struct error *err)
{
	const struct oci_table_word *word;
	int result = find_word(value, row, &word, err);

	return result < 0 ? result : oci_table_put(out, row->to, word_value(word), err);
}

static int convert_words(json_object *value, const struct oci_table_row *row, json_object *out, struct error *err)
{
	int result = check_array(value, row, err);
	json_object *array = result == 0 ? json_object_new_array() : NULL;
	int64_t bits = 0;

	if (result < 0)
		return result;
	for (size_t i = 0; array && result == 0 && i < json_object_array_length(value); i++) {
		const struct oci_table_word *word;

		result = find_word(json_object_array_get_idx(value, i), row, &word, err);
		if (result < 0) {
			result = oci_table_within(err, "", i);
		} else {
			bits |= word->number;
			result = oci_table_append(array, word_value(word), err);
		}
	}
	if (result < 0 || row->kind == OCI_BITS) {
		json_object_put(array);
		return result < 0 ? result : oci_table_put_int(out, row->to, bits, err);
	}
	return oci_table_put(out, row->to, array, err);
}

static int convert_object(const struct oci_table_output *output, json_object *value, const struct oci_table_row *row,
			  json_object *out, struct error *err)
{
	if (!row->to)
		return oci_table_convert(output, value, row->table, out, err);
	json_object *made = json_object_new_object();
	int result = made ? oci_table_convert(output, value, row->table, made, err) : no_memory(err);
	if (result < 0) {
		json_object_put(made);
		return result;
	}
	return oci_table_put(out, row->to, made, err);
}

static int check_unique(json_object *value, const struct oci_table_row *row, size_t index, struct error *err)
{
	const char *mine = oci_table_text(json_object_array_get_idx(value, index), row->unique);

	for (size_t i = 0; i < index; i++) {
		if (strcmp(oci_table_text(json_object_array_get_idx(value, i), row->unique), mine) == 0)
			return error_field(err, row->unique, "%.60s is named twice", mine);
	}
	return 0;
}

static int convert_element(const struct oci_table_output *output, json_object *value, size_t index, const struct oci_table_row *row,
			   json_object *array, struct error *err)
{
	json_object *made = json_object_new_object();

	if (!made)
		return no_memory(err);
	int result = oci_table_convert(output, json_object_array_get_idx(value, index), row->table, made, err);
	if (result == 0 && row->unique)
		result = check_unique(value, row, index, err);
	if (result < 0) {
		json_object_put(made);
		return oci_table_within(err, "", index);
	}
	return oci_table_append(array, made, err);
}

static int convert_list(const struct oci_table_output *output, json_object *value, const struct oci_table_row *row,
			json_object *out, struct error *err)
{
	int result = check_array(value, row, err);
	json_object *array = result == 0 ? json_object_new_array() : NULL;

	for (size_t i = 0; array && result == 0 && i < json_object_array_length(value); i++)
		result = convert_element(output, value, i, row, array, err);
	if (result < 0) {
		json_object_put(array);
		return result;
	}
	return oci_table_put(out, row->to, array, err);
}

static int convert_objects(const struct oci_table_output *output, json_object *value, const struct oci_table_row *row,
			   json_object *out, struct error *err)
{
	if (!json_object_is_type(value, json_type_object))
		return error_field(err, "", "an object is needed");
	json_object *made = json_object_new_object();
	int result = made ? 0 : no_memory(err);
	json_object_object_foreach (value, key, member) {
		json_object *element = result == 0 ? json_object_new_object() : NULL;

		if (result < 0)
			break;
		result = element ? oci_table_convert(output, member, row->table, element, err) : no_memory(err);
		if (result < 0) {
			json_object_put(element);
			result = error_within(err, key);
		} else {
			result = oci_table_put(made, key, element, err);
		}
	}
	if (result < 0) {
		json_object_put(made);
		return result;
	}
	return oci_table_put(out, row->to, made, err);
}

static json_object *place_of(const struct oci_table_output *output, const struct oci_table_row *row, json_object *out)
{
	switch (row->place) {
	case OCI_HERE:
		return out;
	case OCI_CONFIG:
		return output->config;
	case OCI_PROCESS:
		return output->process;
	case OCI_CGROUP:
		return output->cgroup;
	}
	return out;
}

static int convert_kind(const struct oci_table_output *output, json_object *value, const struct oci_table_row *row,
			json_object *out, struct error *err)
{
	static const enum decode_kind kinds[] = {
		[OCI_BOOL] = DECODE_BOOL, [OCI_INT] = DECODE_INT, [OCI_UINT] = DECODE_UINT, [OCI_STRING] = DECODE_STRING
	};
	int result;

	switch (row->kind) {
	case OCI_BOOL:
	case OCI_INT:
	case OCI_UINT:
	case OCI_STRING:
		result = check(value, kinds[row->kind], row, err);
		return result < 0 ? result : keep(value, row, out, err);
	case OCI_STRINGS:
		return keep_array(value, DECODE_STRING, row, out, err);
	case OCI_UINTS:
		return keep_array(value, DECODE_UINT, row, out, err);
	case OCI_TEXTS:
		return keep_texts(value, row, out, err);
	case OCI_WORD:
		return convert_word(value, row, out, err);
	case OCI_WORDS:
	case OCI_BITS:
		return convert_words(value, row, out, err);
	case OCI_OBJECT:
		return convert_object(output, value, row, out, err);
	case OCI_LIST:
		return convert_list(output, value, row, out, err);
	case OCI_OBJECTS:
		return convert_objects(output, value, row, out, err);
	case OCI_REFUSED:
		return check(value, DECODE_REFUSED, row, err);
	case OCI_OWN:
		return 0;
	}
	return error_set(err, ERROR_INTERNAL, EINVAL, "unknown kind of row");
}

static int convert_row(const struct oci_table_output *output, json_object *value, const struct oci_table_row *row, json_object *out,
		       struct error *err)
{
	json_object *place = place_of(output, row, out);
	int result = convert_kind(output, value, row, place, err);

	return result == 0 && row->finish ? row->finish(output, value, place, err) : result;
}

static const struct oci_table_row *find_row(const struct oci_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->rows[i].name, name) == 0)
			return &table->rows[i];
	}
	return NULL;
}

int oci_table_convert(const struct oci_table_output *output, json_object *value, const struct oci_table *table, json_object *out,
		      struct error *err)
{
	if (!json_object_is_type(value, json_type_object))
		return error_field(err, "", "an object is needed");
	json_object_object_foreach (value, key, member) {
		const struct oci_table_row *row = find_row(table, key);

		if (!row)
			return error_field(err, key, "unknown field");
		if (member && convert_row(output, member, row, out, err) < 0)
			return error_within(err, key);
	}
	for (size_t i = 0; i < table->count; i++) {
		if ((table->rows[i].flags & OCI_REQUIRED) && !oci_table_get(value, table->rows[i].name))
			return error_field(err, table->rows[i].name, "is required");
	}
	return table->finish ? table->finish(output, value, out, err) : 0;
}
