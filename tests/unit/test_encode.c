/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/encode.h"
#include "base/scan.h"

static struct buf out;

static int clean(void **state)
{
	(void)state;
	buf_free(&out);
	out.limit = 0;
	return 0;
}

static void assert_text(const struct encode *e, const char *wanted)
{
	struct error err;

	assert_int_equal(encode_result(e), 0);
	check_row(buf_length(&out) == strlen(wanted) && memcmp(buf_bytes(&out), wanted, strlen(wanted)) == 0, "%.*s\nnot\n%s",
		  (int)buf_length(&out), buf_bytes(&out), wanted);
	assert_worked(scan_json(buf_bytes(&out), buf_length(&out), &err), &err);
}

static void every_kind_with_its_commas(void **state)
{
	struct encode e = { .buf = &out };

	(void)state;
	encode_open(&e, NULL, '{');
	encode_string(&e, "s", "x");
	encode_int(&e, "i", INT64_MIN);
	encode_uint(&e, "u", UINT64_MAX);
	encode_bool(&e, "b", true);
	encode_bool(&e, "c", false);
	encode_null(&e, "n");
	encode_raw(&e, "r", "[1]", 3);
	encode_open(&e, "empty", '{');
	encode_close(&e, '}');
	encode_open(&e, "list", '[');
	encode_int(&e, NULL, 1);
	encode_open(&e, NULL, '[');
	encode_close(&e, ']');
	encode_open(&e, NULL, '{');
	encode_int(&e, "k", -1);
	encode_close(&e, '}');
	encode_string(&e, NULL, "");
	encode_close(&e, ']');
	encode_int(&e, "last", 0);
	encode_close(&e, '}');
	assert_text(
		&e,
		"{\"s\":\"x\",\"i\":-9223372036854775808,\"u\":18446744073709551615,\"b\":true,\"c\":false,\"n\":null,\"r\":[1],"
		"\"empty\":{},\"list\":[1,[],{\"k\":-1},\"\"],\"last\":0}");
}

static void what_must_be_escaped_is(void **state)
{
	struct encode e = { .buf = &out };

	(void)state;
	encode_string(&e, NULL, "\"\\/\n\t\r\b\f\x01\x1f\x7f end");
	assert_text(&e, "\"\\\"\\\\/\\n\\u0009\\u000d\\u0008\\u000c\\u0001\\u001f\\u007f end\"");
}

static void keys_are_escaped_too(void **state)
{
	struct encode e = { .buf = &out };

	(void)state;
	encode_open(&e, NULL, '{');
	encode_int(&e, "a\"\n\xff", 1);
	encode_close(&e, '}');
	assert_text(&e, "{\"a\\\"\\n\xef\xbf\xbd\":1}");
}

static void well_formed_utf8_stays(void **state)
{
	static const char text[] =
		"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
	struct encode e = { .buf = &out };
	char wanted[64];

	(void)state;
	encode_string(&e, NULL, text);
	snprintf(wanted, sizeof(wanted), "\"%s\"", text);
	assert_text(&e, wanted);
}

static void what_is_not_utf8_becomes_the_replacement(void **state)
{
#define R "\xef\xbf\xbd"
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "\x80", R },
		{ "a\xff z", "a" R " z" },
		{ "\xc3", R },
		{ "\xc3(", R "(" },
		{ "\xc0\xaf", R R },
		{ "\xe0\x80\x80", R R R },
		{ "\xed\xa0\x80", R R R },
		{ "\xf4\x90\x80\x80", R R R R },
		{ "\xf0\x80\x80\x80", R R R R },
		{ "\xf5\x80\x80\x80", R R R R },
		{ "\xe2\x82", R R },
		{ "\xe2\x82\xac\xe2", "\xe2\x82\xac" R },
		{ "\xf0\x9f\x98", R R R },
		{ "\xc3\"", R "\\\"" }, /* the quote is not eaten */
		{ "\xe2\x82\"", R R "\\\"" },
	};
#undef R

	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		struct encode e = { .buf = &out };
		char wanted[64];

		encode_string(&e, NULL, cases[i].in);
		snprintf(wanted, sizeof(wanted), "\"%s\"", cases[i].out);
		assert_text(&e, wanted);
		buf_free(&out);
	}
}

/* Every two bytes behind each other: the text is always one valid JSON string. */
static void any_bytes_make_one_json_string(void **state)
{
	struct error err;

	(void)state;
	for (int a = 1; a < 256; a++) {
		for (int b = 1; b < 256; b++) {
			const char bytes[] = { (char)a, (char)b, '\0' };
			struct encode e = { .buf = &out };

			encode_string(&e, NULL, bytes);
			assert_int_equal(encode_result(&e), 0);
			check_row(scan_json(buf_bytes(&out), buf_length(&out), &err) == 0, "%02x %02x: %s", a, b, err.message);
			buf_consume(&out, buf_length(&out));
		}
	}
}

/* However small the buffer: what does not fit fails, sticks, and nothing is written behind it. */
static void a_failure_sticks(void **state)
{
	(void)state;
	for (size_t limit = 1; limit < 30; limit++) {
		struct encode e = { .buf = &out };

		out.limit = limit;
		encode_open(&e, NULL, '{');
		encode_string(&e, "key", "a value that is long");
		encode_int(&e, "k", 1);
		encode_close(&e, '}');
		assert_int_equal(encode_result(&e), -EMSGSIZE);
		size_t used = buf_length(&out);
		assert_true(used <= limit);
		encode_null(&e, NULL);
		encode_close(&e, '}');
		assert_int_equal(buf_length(&out), used);
		assert_int_equal(encode_result(&e), -EMSGSIZE);
		buf_free(&out);
	}
}

static void an_error_object(void **state)
{
	struct encode e = { .buf = &out };
	struct error err;

	(void)state;
	error_field(&err, "volume.dm_verity.hash", "63 hex digits, sha256 has 64");
	error_step(&err, "read the request");
	encode_open(&e, NULL, '{');
	encode_error(&e, "error", &err);
	encode_close(&e, '}');
	/* The example of docs/PROTOCOL.md. */
	assert_text(
		&e,
		"{\"error\":{\"code\":-32602,\"message\":\"63 hex digits, sha256 has 64\",\"data\":{\"name\":\"invalid-params\","
		"\"step\":\"read the request\",\"errno\":22,\"field\":\"volume.dm_verity.hash\"}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_kind_with_its_commas, clean),
		cmocka_unit_test_teardown(what_must_be_escaped_is, clean),
		cmocka_unit_test_teardown(keys_are_escaped_too, clean),
		cmocka_unit_test_teardown(well_formed_utf8_stays, clean),
		cmocka_unit_test_teardown(what_is_not_utf8_becomes_the_replacement, clean),
		cmocka_unit_test_teardown(any_bytes_make_one_json_string, clean),
		cmocka_unit_test_teardown(a_failure_sticks, clean),
		cmocka_unit_test_teardown(an_error_object, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
