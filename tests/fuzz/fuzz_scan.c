/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fuzz: -max_len=8192 */
/*
 * The strict scanner against json-c.  What the scanner accepts, json-c parses in its strict mode, to a tree that has as many
 * members as the text (so no key came twice), and what json-c writes of that tree is accepted again and is the same tree.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/decode.h"
#include "base/encode.h"
#include "base/scan.h"

/* Each member of an object has one colon outside of strings. */
static size_t colons(const char *text, size_t size)
{
	bool quoted = false;
	size_t count = 0;

	for (size_t i = 0; i < size; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && text[i] == ':')
			count++;
	}
	return count;
}

static size_t members(json_object *json)
{
	size_t count = 0;

	if (json_object_is_type(json, json_type_object)) {
		json_object_object_foreach (json, key, value) {
			(void)key;
			count += 1 + members(value);
		}
	} else if (json_object_is_type(json, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(json); i++)
			count += members(json_object_array_get_idx(json, i));
	}
	return count;
}

static void check_tree(const char *text, size_t size)
{
	json_object *json = NULL, *again = NULL;
	struct error err;

	must_hold(decode_parse(text, size, &json, &err) == 0);
	must_hold(members(json) == colons(text, size));
	const char *written = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	must_hold(written);
	must_hold(scan_json(written, strlen(written), &err) == 0);
	must_hold(decode_parse(written, strlen(written), &again, &err) == 0);
	must_hold(json_object_equal(json, again));
	json_object_put(json);
	json_object_put(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = { 0 };
	/* A copy with nothing behind it. */
	char *text = malloc(size ? size : 1);

	memcpy(text, data, size);
	if (scan_json(text, size, &err) == 0) {
		check_tree(text, size);
	} else {
		must_hold(err.code == ERROR_PARSE);
		must_hold(err.message[0] != '\0');
	}
	free(text);
	return 0;
}
