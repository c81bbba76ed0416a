/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/decode.h"
#include "coffer/protocol.h"

struct leaf {
	const char *name;
	int64_t number;
};

struct sample {
	bool flag;
	int64_t number, wide;
	uint64_t count, most;
	const char *text, *word, *id, *path, *needed;
	struct leaf leaf;
	struct decode_list names, numbers, leaves, map;
	json_object *raw;
	bool has_number, has_leaf;
};

static int check_word(const char *string, struct error *err)
{
	return strcmp(string, "word") == 0 ? 0 : error_field(err, "", "must be word");
}

static int check_leaf(const void *object, struct error *err)
{
	const struct leaf *leaf = object;

	return leaf->number == 13 ? error_field(err, "number", "13 brings bad luck") : 0;
}

#define AT(member) .offset = offsetof(struct sample, member)

static const struct decode_field leaf_fields[] = {
	{ .name = "name", .kind = DECODE_STRING, .offset = offsetof(struct leaf, name), .flags = DECODE_REQUIRED },
	{ .name = "number", .kind = DECODE_INT, .offset = offsetof(struct leaf, number), .min = 0, .max = 100 },
};
static const struct decode_schema leaf_schema = { leaf_fields, array_count(leaf_fields), sizeof(struct leaf), check_leaf };
static const struct decode_field name_item = { .kind = DECODE_STRING, .flags = DECODE_NONZERO, .max = 4 };
static const struct decode_field number_item = { .kind = DECODE_INT, .min = -5, .max = 5 };

static const struct decode_field fields[] = {
	{ .name = "flag", .kind = DECODE_BOOL, AT(flag) },
	{ .name = "number", .kind = DECODE_INT, AT(number), .min = -10, .max = 10, .present = offsetof(struct sample, has_number) },
	{ .name = "wide", .kind = DECODE_INT, AT(wide), .min = INT64_MIN, .max = INT64_MAX },
	{ .name = "count", .kind = DECODE_UINT, AT(count), .min = 2, .max = 9 },
	{ .name = "most", .kind = DECODE_UINT, AT(most), .max = UINT64_MAX },
	{ .name = "text", .kind = DECODE_STRING, AT(text), .max = 8 },
	{ .name = "word", .kind = DECODE_STRING, AT(word), .check = check_word },
	{ .name = "id", .kind = DECODE_STRING, AT(id), .max = 100, .check = decode_check_id },
	{ .name = "path", .kind = DECODE_STRING, AT(path), .flags = DECODE_NONZERO, .check = decode_check_absolute },
	{ .name = "needed", .kind = DECODE_STRING, AT(needed), .flags = DECODE_REQUIRED },
	{ .name = "leaf", .kind = DECODE_OBJECT, AT(leaf), .schema = &leaf_schema, .present = offsetof(struct sample, has_leaf) },
	{ .name = "names", .kind = DECODE_LIST, AT(names), .item = &name_item, .max = 3 },
	{ .name = "numbers", .kind = DECODE_LIST, AT(numbers), .item = &number_item, .max = 3, .flags = DECODE_NONZERO },
	{ .name = "leaves", .kind = DECODE_LIST, AT(leaves), .schema = &leaf_schema, .max = 3 },
	{ .name = "map", .kind = DECODE_MAP, AT(map), .max = 2 },
	{ .name = "raw", .kind = DECODE_RAW, AT(raw) },
	{ .name = "refused", .kind = DECODE_REFUSED },
	{ .name = "reasoned", .kind = DECODE_REFUSED, .why = "for a good reason" },
};
static const struct decode_schema schema = { fields, array_count(fields), sizeof(struct sample), NULL };

static struct {
	json_object *json;
	struct decode_memory memory;
	struct sample sample;
	struct error err;
} t;

static int clean(void **state)
{
	(void)state;
	json_object_put(t.json);
	t.json = NULL;
	decode_free(&t.memory);
	return 0;
}

static int decode(const char *text)
{
	clean(NULL);
	memset(&t.sample, 0x55, sizeof(t.sample));
	memset(&t.err, 0, sizeof(t.err));
	int result = decode_parse(text, strlen(text), &t.json, &t.err);

	return result < 0 ? result : decode_object(t.json, &schema, &t.sample, &t.memory, &t.err);
}

/* Every test object needs "needed"; the tests are about the rest of it. */
static int decode_with(const char *members)
{
	char text[4096];

	snprintf(text, sizeof(text), "{\"needed\":\"\",%s}", members);
	return decode(text);
}

#define assert_field_refused(members, field) assert_failed(decode_with(members), &t.err, ERROR_PARAMS, field)

static void absent_keys_are_zero(void **state)
{
	(void)state;
	assert_worked(decode("{\"needed\":\"yes\"}"), &t.err);
	assert_string_equal(t.sample.needed, "yes");
	assert_false(t.sample.flag || t.sample.has_number || t.sample.has_leaf);
	assert_true(t.sample.number == 0 && t.sample.count == 0);
	assert_null(t.sample.text);
	assert_null(t.sample.names.items);
	assert_int_equal(t.sample.names.count, 0);
	assert_null(t.sample.raw);
	assert_null(t.sample.leaf.name);
}

static void every_kind_goes_where_it_belongs(void **state)
{
	(void)state;
	assert_worked(
		decode_with(
			"\"flag\":true,\"number\":-7,\"wide\":-9223372036854775808,\"count\":3,\"most\":18446744073709551615,"
			"\"text\":\"\\u20ac "
			"x\",\"word\":\"word\",\"id\":\"a.b-c_9\",\"path\":\"/p\",\"leaf\":{\"name\":\"l\",\"number\":5},"
			"\"names\":[\"a\",\"bb\"],\"numbers\":[-5,0,5],\"leaves\":[{\"name\":\"x\"},{\"name\":\"y\",\"number\":1}],"
			"\"map\":{\"k\":\"v\",\"l\":\"\"},\"raw\":[1],\"refused\":0,\"reasoned\":\"\""),
		&t.err);
	assert_true(t.sample.flag && t.sample.has_number && t.sample.has_leaf);
	assert_true(t.sample.number == -7 && t.sample.wide == INT64_MIN && t.sample.count == 3 && t.sample.most == UINT64_MAX);
	assert_string_equal(t.sample.text, "\xe2\x82\xac x");
	assert_string_equal(t.sample.id, "a.b-c_9");
	assert_string_equal(t.sample.leaf.name, "l");
	assert_int_equal(t.sample.leaf.number, 5);
	assert_int_equal(t.sample.names.count, 2);
	assert_string_equal(((const char **)t.sample.names.items)[1], "bb");
	assert_int_equal(t.sample.numbers.count, 3);
	assert_true(((const int64_t *)t.sample.numbers.items)[0] == -5 && ((const int64_t *)t.sample.numbers.items)[2] == 5);
	const struct leaf *leaves = t.sample.leaves.items;
	assert_string_equal(leaves[0].name, "x");
	assert_int_equal(leaves[0].number, 0);
	assert_int_equal(leaves[1].number, 1);
	const struct decode_pair *pairs = t.sample.map.items;
	assert_int_equal(t.sample.map.count, 2);
	assert_string_equal(pairs[0].key, "k");
	assert_string_equal(pairs[0].value, "v");
	assert_true(json_object_is_type(t.sample.raw, json_type_array));
}

static void null_is_absent(void **state)
{
	static const char *const keys[] = { "flag",  "number",  "count",  "text", "word", "id",      "path",    "leaf",
					    "names", "numbers", "leaves", "map",  "raw",  "refused", "reasoned" };
	char members[64];

	(void)state;
	for (size_t i = 0; i < array_count(keys); i++) {
		snprintf(members, sizeof(members), "\"%s\":null", keys[i]);
		assert_worked(decode_with(members), &t.err);
	}
	assert_worked(decode_with("\"number\":null,\"leaf\":null"), &t.err);
	assert_false(t.sample.has_number || t.sample.has_leaf);
	/* But what is required is required. */
	assert_failed(decode("{\"needed\":null}"), &t.err, ERROR_PARAMS, "needed");
	assert_failed(decode("{}"), &t.err, ERROR_PARAMS, "needed");
	/* And a hole in a list is no element. */
	assert_field_refused("\"names\":[\"a\",null]", "names[1]");
	assert_field_refused("\"numbers\":[null]", "numbers[0]");
	assert_field_refused("\"leaves\":[null]", "leaves[0]");
	assert_field_refused("\"map\":{\"k\":null}", "map.k");
	assert_field_refused("\"leaves\":[{\"name\":null}]", "leaves[0].name");
}

static void unknown_keys_are_named(void **state)
{
	(void)state;
	assert_field_refused("\"colour\":1", "colour");
	assert_field_refused("\"colour\":null", "colour");
	assert_field_refused("\"Flag\":true", "Flag");
	assert_field_refused("\"\":1", "");
	assert_field_refused("\"leaf\":{\"name\":\"x\",\"colour\":1}", "leaf.colour");
	assert_field_refused("\"leaves\":[{\"name\":\"x\"},{\"name\":\"y\",\"colour\":1}]", "leaves[1].colour");
}

static void nothing_is_converted(void **state)
{
	static const struct {
		const char *key, *wanted; /* the only literals it takes, by index below */
	} kinds[] = {
		{ "flag", "b" }, { "number", "i" }, { "most", "i" }, { "text", "s" },
		{ "leaf", "o" }, { "names", "a" },  { "map", "o" },
	};
	static const struct {
		char kind;
		const char *literal;
	} literals[] = {
		{ 'b', "true" },  { 'b', "false" }, { 'i', "5" },   { 'f', "5.0" },       { 'f', "5e0" },
		{ 's', "\"5\"" }, { 's', "\"\"" },  { 'a', "[5]" }, { 'o', "{\"5\":5}" },
	};
	char members[64];

	(void)state;
	for (size_t i = 0; i < array_count(kinds); i++) {
		for (size_t j = 0; j < array_count(literals); j++) {
			if (strchr(kinds[i].wanted, literals[j].kind))
				continue;
			snprintf(members, sizeof(members), "\"%s\":%s", kinds[i].key, literals[j].literal);
			assert_field_refused(members, kinds[i].key);
		}
	}
	assert_failed(decode("[]"), &t.err, ERROR_PARAMS, "");
	assert_failed(decode("\"x\""), &t.err, ERROR_PARAMS, "");
	assert_failed(decode("5"), &t.err, ERROR_PARAMS, "");
	assert_failed(decode("null"), &t.err, ERROR_PARAMS, "");
	assert_field_refused("\"names\":[5]", "names[0]");
	assert_field_refused("\"numbers\":[0,\"5\"]", "numbers[1]");
	assert_field_refused("\"leaves\":[[]]", "leaves[0]");
	assert_field_refused("\"map\":{\"k\":5}", "map.k");
}

static void integers_have_their_range(void **state)
{
	static const struct {
		const char *key, *literal;
		bool fits;
	} cases[] = {
		{ "number", "-10", true },
		{ "number", "-11", false },
		{ "number", "10", true },
		{ "number", "11", false },
		{ "number", "9223372036854775807", false },
		{ "number", "18446744073709551615", false }, /* json-c would say -1 or INT64_MAX */
		{ "number", "18446744073709551606", false },
		{ "number", "-9223372036854775808", false },
		{ "wide", "9223372036854775807", true },
		{ "wide", "9223372036854775808", false },
		{ "wide", "18446744073709551615", false },
		{ "wide", "-9223372036854775808", true },
		{ "count", "1", false },
		{ "count", "2", true },
		{ "count", "9", true },
		{ "count", "10", false },
		{ "count", "0", false },
		{ "count", "-1", false },
		{ "count", "-9223372036854775808", false },
		{ "count", "18446744073709551615", false },
		{ "most", "0", true },
		{ "most", "-0", true },
		{ "most", "-1", false }, /* json-c would say 0 */
		{ "most", "9223372036854775808", true },
		{ "most", "18446744073709551615", true },
	};
	char members[64];

	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		snprintf(members, sizeof(members), "\"%s\":%s", cases[i].key, cases[i].literal);
		int result = decode_with(members);
		check_row((result == 0) == cases[i].fits, "%s: %s", members, t.err.message);
		if (result < 0)
			assert_failed(result, &t.err, ERROR_PARAMS, cases[i].key);
	}
	assert_worked(decode_with("\"most\":9223372036854775808"), &t.err);
	assert_true(t.sample.most == (uint64_t)1 << 63);
	assert_field_refused("\"numbers\":[0,6]", "numbers[1]");
}

static void a_number_out_of_64_bits_does_not_even_parse(void **state)
{
	(void)state;
	assert_failed(decode_with("\"most\":18446744073709551616"), &t.err, ERROR_PARSE, "");
	assert_failed(decode_with("\"wide\":-9223372036854775809"), &t.err, ERROR_PARSE, "");
	assert_failed(decode_with("\"text\":\"\\u0000\""), &t.err, ERROR_PARSE, "");
	assert_failed(decode_with("\"needed\":1"), &t.err, ERROR_PARSE, ""); /* a second one */
}

static void strings_have_their_length(void **state)
{
	char members[COFFER_PATH_MAX + 64];
	size_t used = (size_t)sprintf(members, "\"path\":\"/");

	(void)state;
	assert_worked(decode_with("\"text\":\"12345678\""), &t.err);
	assert_field_refused("\"text\":\"123456789\"", "text");
	/* Bytes, not characters. */
	assert_field_refused("\"text\":\"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\"", "text");
	assert_worked(decode_with("\"text\":\"\""), &t.err);
	assert_string_equal(t.sample.text, "");
	assert_field_refused("\"path\":\"\"", "path");
	/* Without a limit in the row it is COFFER_PATH_MAX. */
	memset(members + used, 'p', COFFER_PATH_MAX);
	memcpy(members + used + COFFER_PATH_MAX - 1, "\"", 2);
	clean(NULL);
	char text[COFFER_PATH_MAX + 128];
	snprintf(text, sizeof(text), "{\"needed\":\"\",%s}", members);
	assert_worked(decode(text), &t.err);
	memcpy(members + used + COFFER_PATH_MAX - 1, "p\"", 3);
	snprintf(text, sizeof(text), "{\"needed\":\"\",%s}", members);
	assert_failed(decode(text), &t.err, ERROR_PARAMS, "path");
}

static void checks_see_what_is_given(void **state)
{
	(void)state;
	assert_worked(decode_with("\"word\":\"word\""), &t.err);
	assert_worked(decode_with("\"word\":\"\""), &t.err); /* not given */
	assert_field_refused("\"word\":\"sword\"", "word");
	assert_field_refused("\"path\":\"relative\"", "path");
	assert_field_refused("\"leaf\":{\"name\":\"x\",\"number\":13}", "leaf.number");
	assert_field_refused("\"leaves\":[{\"name\":\"x\",\"number\":13}]", "leaves[0].number");
}

static void ids(void **state)
{
	static const char *const good[] = { "a",   "Z",    "0",
					    "a.b", "a-b",  "a_b",
					    "a..", "9---", "0123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const bad[] = {
		".",   "..",  ".a",    "-a",       "_a",    "a/b",
		"/a",  "a b", "a\\nb", "\xc3\xa9", "a\\\\", "a:b",
		"a+b", "a*",  "a%s",   "a@b",      "a\x7f", "01234567890123456789012345678901234567890123456789012345678901234"
	};
	char members[128];

	(void)state;
	for (size_t i = 0; i < array_count(good); i++) {
		snprintf(members, sizeof(members), "\"id\":\"%s\"", good[i]);
		assert_worked(decode_with(members), &t.err);
	}
	for (size_t i = 0; i < array_count(bad); i++) {
		snprintf(members, sizeof(members), "\"id\":\"%s\"", bad[i]);
		assert_field_refused(members, "id");
	}
	assert_true(decode_check_id("", &t.err) < 0);
}

static void lists_have_their_length(void **state)
{
	(void)state;
	assert_worked(decode_with("\"names\":[]"), &t.err);
	assert_int_equal(t.sample.names.count, 0);
	assert_worked(decode_with("\"names\":[\"a\",\"b\",\"c\"]"), &t.err);
	assert_field_refused("\"names\":[\"a\",\"b\",\"c\",\"d\"]", "names");
	assert_field_refused("\"numbers\":[]", "numbers");
	assert_field_refused("\"names\":[\"a\",\"\"]", "names[1]");
	assert_field_refused("\"names\":[\"abcde\"]", "names[0]");
	assert_worked(decode_with("\"map\":{}"), &t.err);
	assert_field_refused("\"map\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}", "map");
}

static void refused_fields_may_only_say_nothing(void **state)
{
	static const char *const nothing[] = { "null", "false", "0", "-0", "\"\"", "[]", "{}" };
	static const char *const something[] = { "true",  "1",     "-1",  "0.0",    "1e0",       "18446744073709551615",
						 "\"x\"", "\" \"", "[0]", "[null]", "{\"a\":0}", "[[]]" };
	char members[64];

	(void)state;
	for (size_t i = 0; i < array_count(nothing); i++) {
		snprintf(members, sizeof(members), "\"refused\":%s", nothing[i]);
		assert_worked(decode_with(members), &t.err);
	}
	for (size_t i = 0; i < array_count(something); i++) {
		snprintf(members, sizeof(members), "\"refused\":%s", something[i]);
		assert_failed(decode_with(members), &t.err, ERROR_UNSUPPORTED_FIELD, "refused");
	}
	assert_failed(decode_with("\"reasoned\":1"), &t.err, ERROR_UNSUPPORTED_FIELD, "reasoned");
	assert_string_equal(t.err.message, "for a good reason");
}

static void parse_takes_any_one_value(void **state)
{
	static const char *const texts[] = { "5",  "-0", "18446744073709551615", "1.5", "1e5", "true", "null", "\"\"", "[]",
					     "{}", " 7 " };

	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		clean(NULL);
		assert_worked(decode_parse(texts[i], strlen(texts[i]), &t.json, &t.err), &t.err);
	}
	clean(NULL);
	assert_failed(decode_parse("", 0, &t.json, &t.err), &t.err, ERROR_PARSE, "");
	assert_null(t.json);
	/* The text needs no NUL behind it, and what stands behind it is not read. */
	assert_worked(decode_parse("123456", 3, &t.json, &t.err), &t.err);
	assert_int_equal(json_object_get_int64(t.json), 123);
}

/* Both limits of depth are the same: what the scanner lets through, json-c takes. */
static void parse_at_the_depth_limit(void **state)
{
	char text[64];

	(void)state;
	memset(text, '[', COFFER_DEPTH_MAX);
	memset(text + COFFER_DEPTH_MAX, ']', COFFER_DEPTH_MAX);
	assert_worked(decode_parse(text, 2 * COFFER_DEPTH_MAX, &t.json, &t.err), &t.err);
	clean(NULL);
	memset(text, '[', COFFER_DEPTH_MAX + 1);
	memset(text + COFFER_DEPTH_MAX + 1, ']', COFFER_DEPTH_MAX + 1);
	assert_failed(decode_parse(text, 2 * COFFER_DEPTH_MAX + 2, &t.json, &t.err), &t.err, ERROR_PARSE, "");
}

static void alloc_checks_its_product(void **state)
{
	(void)state;
	assert_null(decode_alloc(&t.memory, SIZE_MAX / 2, 4));
	assert_null(decode_alloc(&t.memory, SIZE_MAX, 1));
	char *bytes = decode_alloc(&t.memory, 10, 10);
	assert_non_null(bytes);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(bytes[i], 0);
	assert_non_null(decode_alloc(&t.memory, 0, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(absent_keys_are_zero, clean),
		cmocka_unit_test_teardown(every_kind_goes_where_it_belongs, clean),
		cmocka_unit_test_teardown(null_is_absent, clean),
		cmocka_unit_test_teardown(unknown_keys_are_named, clean),
		cmocka_unit_test_teardown(nothing_is_converted, clean),
		cmocka_unit_test_teardown(integers_have_their_range, clean),
		cmocka_unit_test_teardown(a_number_out_of_64_bits_does_not_even_parse, clean),
		cmocka_unit_test_teardown(strings_have_their_length, clean),
		cmocka_unit_test_teardown(checks_see_what_is_given, clean),
		cmocka_unit_test_teardown(ids, clean),
		cmocka_unit_test_teardown(lists_have_their_length, clean),
		cmocka_unit_test_teardown(refused_fields_may_only_say_nothing, clean),
		cmocka_unit_test_teardown(parse_takes_any_one_value, clean),
		cmocka_unit_test_teardown(parse_at_the_depth_limit, clean),
		cmocka_unit_test_teardown(alloc_checks_its_product, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
