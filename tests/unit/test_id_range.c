/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/decode.h"
#include "base/id_range.h"

static void ids_are_mapped_from_one_side_to_the_other(void **state)
{
	static const struct id_range ranges[] = {
		{ .from = 0, .to = 100000, .count = 1000 },
		{ .from = 5000, .to = 7, .count = 1 },
		{ .from = 4294967200, .to = 2000, .count = 95 },
		{ .from = 500, .to = 1, .count = 10000 }, /* what an earlier one has is not its */
	};
	static const struct {
		uint32_t id, mapped;
	} rows[] = {
		{ 0, 100000 }, { 1, 100001 },  { 500, 100500 },  { 999, 100999 },      { 1000, 501 },        { 4999, 4500 },
		{ 5000, 7 },   { 5001, 4502 }, { 10499, 10000 }, { 4294967200, 2000 }, { 4294967294, 2094 },
	};
	static const uint32_t outside[] = { 10500, 100000, 100999, 4294967199, 4294967295 };
	uint32_t mapped;

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		mapped = 12345;
		check_row(id_range_map(ranges, array_count(ranges), rows[i].id, &mapped), "%u", rows[i].id);
		check_row(mapped == rows[i].mapped, "%u: %u, not %u", rows[i].id, mapped, rows[i].mapped);
	}
	for (size_t i = 0; i < array_count(outside); i++) {
		mapped = 12345;
		check_row(!id_range_map(ranges, array_count(ranges), outside[i], &mapped), "%u: %u", outside[i], mapped);
		check_row(mapped == 12345, "%u: %u", outside[i], mapped);
	}
}

static void without_ranges_they_are_themselves(void **state)
{
	static const uint32_t ids[] = { 0, 1, 4294967294, 4294967295 };
	uint32_t mapped = 12345;

	(void)state;
	for (size_t i = 0; i < array_count(ids); i++) {
		assert_true(id_range_map(NULL, 0, ids[i], &mapped));
		assert_int_equal(mapped, ids[i]);
	}
}

/* As the tables of the front ends have it: decoded in place. */
static void ranges_are_decoded(void **state)
{
	static const struct decode_field fields[] = {
		{ .name = "here", .kind = DECODE_UINT, .offset = offsetof(struct id_range, from), .max = UINT32_MAX - 1 },
		{ .name = "there", .kind = DECODE_UINT, .offset = offsetof(struct id_range, to), .max = UINT32_MAX - 1 },
		{ .name = "count", .kind = DECODE_UINT, .offset = offsetof(struct id_range, count), .max = UINT32_MAX - 1 },
	};
	static const struct decode_schema schema = { fields, array_count(fields), sizeof(struct id_range), id_range_check };
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{ "{\"here\":0,\"there\":1,\"count\":1}", true },
		{ "{\"here\":0,\"there\":0,\"count\":4294967294}", true },
		{ "{\"here\":4294967294,\"there\":4294967294,\"count\":1}", true },
		{ "{\"here\":1,\"there\":0,\"count\":0}", false },
		{ "{\"here\":4294967294,\"there\":0,\"count\":2}", false },
		{ "{\"here\":0,\"there\":4294967294,\"count\":2}", false },
		{ "{\"here\":4294967294,\"there\":4294967294,\"count\":4294967294}", false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct id_range range;
		struct error err;
		json_object *json;

		assert_worked(decode_parse(rows[i].text, strlen(rows[i].text), &json, &err), &err);
		int result = decode_object(json, &schema, &range, NULL, &err);
		json_object_put(json);
		check_row((result == 0) == rows[i].good, "%s", rows[i].text);
		if (!rows[i].good)
			assert_failed(result, &err, ERROR_PARAMS, "count");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_mapped_from_one_side_to_the_other),
		cmocka_unit_test(without_ranges_they_are_themselves),
		cmocka_unit_test(ranges_are_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
