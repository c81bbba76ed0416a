/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The strict JSON check.  The texts are our own, in the families of the public JSON test suites (RFC 8259, section by section), and
 * every trap that json-c 0.16 falls into.
 */
#include "unit/test.h"

#include "base/scan.h"
#include "coffer/protocol.h"

/* A text with its length, so that NUL bytes can stand in it. */
#define TEXT(literal)                                                                                                              \
	{                                                                                                                          \
		literal, sizeof(literal) - 1                                                                                       \
	}

struct text {
	const char *bytes;
	size_t length;
};

/* The scanner must not read behind the text: it gets a copy with nothing behind it, and the address sanitizer looks on. */
static int scan(const char *bytes, size_t length, struct error *err)
{
	char *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	memset(err, 0, sizeof(*err));
	int result = scan_json(copy, length, err);
	free(copy);
	return result;
}

static void accepts(const char *bytes, size_t length)
{
	struct error err;

	check_row(scan(bytes, length, &err) == 0, "refused: %.*s: %s", (int)length, bytes, err.message);
}

static void refuses(const char *bytes, size_t length)
{
	struct error err;

	check_row(scan(bytes, length, &err) < 0, "accepted: %.*s", (int)length, bytes);
	check_row(err.code == ERROR_PARSE, "%.*s: code %s", (int)length, bytes, error_wire_name(err.code));
	check_row(strncmp(err.message, "byte ", 5) == 0, "%.*s: no offset: %s", (int)length, bytes, err.message);
	check_row(strcmp(err.step, "read the line") == 0, "step %s", err.step);
}

static const struct text accepted[] = {
	/* Values, with white space around them. */
	TEXT("{}"),
	TEXT("[]"),
	TEXT("\"\""),
	TEXT("0"),
	TEXT("true"),
	TEXT("false"),
	TEXT("null"),
	TEXT(" \t\r\n{} \t\r\n"),
	TEXT("[ ]"),
	TEXT("{ }"),
	TEXT("[1,2 , 3]"),
	TEXT("{\"a\":1,\"b\":[{}],\"c\":{\"a\":2}}"),
	TEXT("{\"a\" : 1}"),
	TEXT("[[],[[]],{}]"),
	TEXT("[null,true,false]"),
	TEXT("{\"\":0}"),
	TEXT("{\"\":0,\"a\":{\"\":0}}"),
	/* Numbers. */
	TEXT("-0"),
	TEXT("-1"),
	TEXT("10"),
	TEXT("9223372036854775807"),
	TEXT("9223372036854775808"),
	TEXT("18446744073709551615"),
	TEXT("-9223372036854775808"),
	TEXT("1.5"),
	TEXT("-0.0"),
	TEXT("0.1"),
	TEXT("1e2"),
	TEXT("1E+2"),
	TEXT("1e-2"),
	TEXT("0e0"),
	TEXT("0.5e10"),
	TEXT("1.7976931348623157e308"),
	TEXT("5e-324"),
	TEXT("1e-999"),
	TEXT("[-0]"),
	TEXT("[1e0]"),
	/* 32 characters, the longest that is not an integer. */
	TEXT("0.123456789012345678901234567890"),
	/* Strings: escapes, and characters at the edges of UTF-8's table. */
	TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	TEXT("\"\\u0001\\u001f\\uABCD\\uabcd\""),
	TEXT("\"\\uD834\\uDD1E\""),
	TEXT("\"\\uD800\\uDC00\""),
	TEXT("\"\\uDBFF\\uDFFF\""),
	TEXT("\"\\uD7FF\\uE000\""),
	TEXT("\"\\uFFFF\""),
	TEXT("\"\x7f\""),
	TEXT("\"\xc2\x80\""),
	TEXT("\"\xdf\xbf\""),
	TEXT("\"\xe0\xa0\x80\""),
	TEXT("\"\xed\x9f\xbf\""),
	TEXT("\"\xee\x80\x80\""),
	TEXT("\"\xef\xbf\xbf\""),
	TEXT("\"\xf0\x90\x80\x80\""),
	TEXT("\"\xf4\x8f\xbf\xbf\""),
	TEXT("\"\xef\xbb\xbf\""),
	TEXT("\" / \""),
	TEXT("\"{}[],:\""),
	TEXT("\"\\\\\""),
	TEXT("\"\\\\u0000\""),
	/* Keys that only look alike. */
	TEXT("{\"a\":1,\"A\":2}"),
	TEXT("{\"a\":1,\"a \":2}"),
	TEXT("{\"\xc3\xa9\":1,\"e\xcc\x81\":2}"),
	TEXT("[{\"a\":1},{\"a\":1}]"),
};

static const struct text refused[] = {
	/* Nothing, or more than one value. */
	TEXT(""),
	TEXT(" "),
	TEXT("\n"),
	TEXT("{}{}"),
	TEXT("{} x"),
	TEXT("1 2"),
	TEXT("\"a\"\"b\""),
	TEXT("[]]"),
	TEXT("{}}"),
	TEXT("{}#"),
	TEXT("{},"),
	TEXT("{}\0"),
	TEXT("\0"),
	TEXT("\0{}"),
	TEXT("{}\0{}"),
	/* White space that is none. */
	TEXT("\v{}"),
	TEXT("\f{}"),
	TEXT("\xc2\xa0{}"),
	TEXT("\xef\xbb\xbf{}"),
	TEXT("{}\x0c"),
	TEXT("[1,\x0c 2]"),
	TEXT("\xe2\x80\xa8{}"),
	/* Structure. */
	TEXT("{"),
	TEXT("["),
	TEXT("}"),
	TEXT("]"),
	TEXT("[}"),
	TEXT("{]"),
	TEXT("[1"),
	TEXT("[1,"),
	TEXT("[1,]"),
	TEXT("[,1]"),
	TEXT("[,]"),
	TEXT("[1,,2]"),
	TEXT("[1 2]"),
	TEXT("[1:2]"),
	TEXT("{\"a\"}"),
	TEXT("{\"a\":}"),
	TEXT("{\"a\":1,}"),
	TEXT("{,}"),
	TEXT("{\"a\":1 \"b\":2}"),
	TEXT("{\"a\":1,,\"b\":2}"),
	TEXT("{:1}"),
	TEXT("{1:1}"),
	TEXT("{a:1}"),
	TEXT("{'a':1}"),
	TEXT("{null:1}"),
	TEXT("{\"a\"::1}"),
	TEXT("{\"a\" 1}"),
	TEXT("{\"a\",1}"),
	TEXT("{\"a\":1"),
	TEXT("{\"a\":"),
	TEXT("{\"a\""),
	TEXT("{\"a"),
	TEXT("{\"a\":1;}"),
	TEXT("[\"a\",\n4,\n1,"),
	TEXT("[{}"),
	TEXT("{[]:1}"),
	/* Words and other languages' values. */
	TEXT("nul"),
	TEXT("nulll"),
	TEXT("Null"),
	TEXT("nUll"),
	TEXT("NULL"),
	TEXT("TRUE"),
	TEXT("True"),
	TEXT("tru"),
	TEXT("fals"),
	TEXT("undefined"),
	TEXT("NaN"),
	TEXT("nan"),
	TEXT("Infinity"),
	TEXT("-Infinity"),
	TEXT("inf"),
	TEXT("-NaN"),
	TEXT("[NaN]"),
	TEXT("'a'"),
	TEXT("['a']"),
	TEXT("`a`"),
	TEXT("a"),
	TEXT("truefalse"),
	TEXT("[true false]"),
	/* Comments. */
	TEXT("/**/{}"),
	TEXT("{}/**/"),
	TEXT("//x\n{}"),
	TEXT("{/*x*/}"),
	TEXT("[1/**/,2]"),
	TEXT("# x\n{}"),
	/* Numbers. */
	TEXT("-"),
	TEXT("+1"),
	TEXT("+0"),
	TEXT("00"),
	TEXT("01"),
	TEXT("-01"),
	TEXT("010"),
	TEXT("-00"),
	TEXT("1."),
	TEXT(".5"),
	TEXT("-.5"),
	TEXT("1.e2"),
	TEXT("1e"),
	TEXT("1e+"),
	TEXT("1e-"),
	TEXT("1E"),
	TEXT("1.5e"),
	TEXT("1..5"),
	TEXT("1.2.3"),
	TEXT("1e2e3"),
	TEXT("1e2.5"),
	TEXT("- 1"),
	TEXT("--1"),
	TEXT("-+1"),
	TEXT("0x1"),
	TEXT("0b1"),
	TEXT("1_000"),
	TEXT("1,000"),
	TEXT("1f"),
	TEXT("1L"),
	TEXT("[1x]"),
	TEXT("0.1.2"),
	TEXT("00.5"),
	TEXT("\xef\xbc\x91"),
	TEXT("1e400"),
	TEXT("-1e400"),
	TEXT("1.8e308"),
	TEXT("18446744073709551616"),
	TEXT("-9223372036854775809"),
	TEXT("99999999999999999999"),
	TEXT("-99999999999999999999"),
	TEXT("100000000000000000000000000000000000000000"),
	TEXT("0.1234567890123456789012345678901"),
	TEXT("1e00000000000000000000000000000001"),
	/* Strings. */
	TEXT("\""),
	TEXT("\"a"),
	TEXT("\"\\"),
	TEXT("\"\\\""),
	TEXT("\"\\u"),
	TEXT("\"\\u12\""),
	TEXT("\"\\u123\""),
	TEXT("\"\\u12g4\""),
	TEXT("\"\\u 123\""),
	TEXT("\"\\u-123\""),
	TEXT("\"\\U0041\""),
	TEXT("\"\\x41\""),
	TEXT("\"\\'\""),
	TEXT("\"\\a\""),
	TEXT("\"\\v\""),
	TEXT("\"\\0\""),
	TEXT("\"\\ \""),
	TEXT("\"\\\n\""),
	TEXT("\"\\\0\""),
	TEXT("\"\\"),
	TEXT("\"\\u0000\""),
	TEXT("{\"\\u0000\":1}"),
	TEXT("\"a\\u0000b\""),
	TEXT("\"a\0b\""),
	TEXT("\"a\nb\""),
	TEXT("\"a\tb\""),
	TEXT("\"\x01\""),
	TEXT("\"\x1f\""),
	TEXT("\"\r\""),
	/* Surrogates. */
	TEXT("\"\\uD800\""),
	TEXT("\"\\uDBFF\""),
	TEXT("\"\\uDC00\""),
	TEXT("\"\\uDFFF\""),
	TEXT("\"\\uD800x\""),
	TEXT("\"\\uD800\\n\""),
	TEXT("\"\\uD800\\u\""),
	TEXT("\"\\uD800\\u0041\""),
	TEXT("\"\\uD800\\uD800\""),
	TEXT("\"\\uDC00\\uD800\""),
	TEXT("\"\\uD800\\uE000\""),
	TEXT("\"\\uD800\\uDBFF\""),
	TEXT("\"\\uD834\\u\""),
	TEXT("\"\\uD834\\"),
	TEXT("\"\\uD834\\uDD1\""),
	TEXT("{\"\\uD800\":1}"),
	/* Not UTF-8: lone continuations, overlong forms, surrogates, too high, cut short; also in a key. */
	TEXT("\"\x80\""),
	TEXT("\"\xbf\""),
	TEXT("\"\xc0\x80\""),
	TEXT("\"\xc0\xaf\""),
	TEXT("\"\xc1\xbf\""),
	TEXT("\"\xc2\""),
	TEXT("\"\xc2"),
	TEXT("\"\xc2\x7f\""),
	TEXT("\"\xc2\xc0\""),
	TEXT("\"\xe0\x80\x80\""),
	TEXT("\"\xe0\x9f\xbf\""),
	TEXT("\"\xe0\xa0\""),
	TEXT("\"\xe0\xa0"),
	TEXT("\"\xe1\x80\x7f\""),
	TEXT("\"\xe1\x7f\x80\""),
	TEXT("\"\xe1\x80\xc0\""),
	TEXT("\"\xed\xa0\x80\""),
	TEXT("\"\xed\xbf\xbf\""),
	TEXT("\"\xf0\x80\x80\x80\""),
	TEXT("\"\xf0\x8f\xbf\xbf\""),
	TEXT("\"\xf0\x90\x80\""),
	TEXT("\"\xf0\x90\x80"),
	TEXT("\"\xf1\x80\x80\x7f\""),
	TEXT("\"\xf1\x80\x7f\x80\""),
	TEXT("\"\xf4\x90\x80\x80\""),
	TEXT("\"\xf5\x80\x80\x80\""),
	TEXT("\"\xf8\x88\x80\x80\x80\""),
	TEXT("\"\xfe\""),
	TEXT("\"\xff\""),
	TEXT("{\"\xff\":1}"),
	TEXT("{\"\xed\xa0\x80\":1}"),
	TEXT("\xff"),
	TEXT("[\xc3\xa9]"),
	/* Duplicate keys: as they stand, and after unescaping. */
	TEXT("{\"a\":1,\"a\":1}"),
	TEXT("{\"a\":1,\"b\":2,\"a\":3}"),
	TEXT("{\"\":1,\"\":2}"),
	TEXT("{\"a\":1,\"\\u0061\":2}"),
	TEXT("{\"\\u0061\":1,\"a\":2}"),
	TEXT("{\"\xc3\xa9\":1,\"\\u00e9\":2}"),
	TEXT("{\"\\u00E9\":1,\"\\u00e9\":2}"),
	TEXT("{\"\xe2\x82\xac\":1,\"\\u20ac\":2}"),
	TEXT("{\"\xf0\x9d\x84\x9e\":1,\"\\ud834\\udd1e\":2}"),
	TEXT("{\"/\":1,\"\\/\":2}"),
	TEXT("{\"\\n\":1,\"\\u000a\":2}"),
	TEXT("{\"\\b\":1,\"\\u0008\":2}"),
	TEXT("{\"\\f\":1,\"\\u000C\":2}"),
	TEXT("{\"\\t\":1,\"\\u0009\":2}"),
	TEXT("{\"\\r\":1,\"\\u000d\":2}"),
	TEXT("{\"\\\"\":1,\"\\u0022\":2}"),
	TEXT("{\"\\\\\":1,\"\\u005c\":2}"),
	TEXT("{\"a\":{\"b\":1,\"b\":2}}"),
	TEXT("[{\"b\":1,\"b\":2}]"),
	TEXT("{\"a\":{\"a\":1},\"a\":2}"),
	TEXT("{\"a\":[],\"b\":[{\"x\":{}}],\"a\":[]}"),
};

static void accepted_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(accepted); i++)
		accepts(accepted[i].bytes, accepted[i].length);
}

static void refused_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(refused); i++)
		refuses(refused[i].bytes, refused[i].length);
}

/* A prefix of a text is no text, unless it ends in a number or in white space behind the value. */
static void every_prefix_is_refused(void **state)
{
	static const char text[] =
		"{\"jsonrpc\":\"2.0\",\"id\":\"\\uD834\\uDD1E\xe2\x82\xac\",\"params\":{\"a\":[-1.5e+3,true,null,{}]}}";

	(void)state;
	accepts(text, sizeof(text) - 1);
	for (size_t length = 0; length < sizeof(text) - 1; length++)
		refuses(text, length);
}

/* Every single byte in place of every byte: accepted or refused, but never a crash, and NUL and control bytes never pass. */
static void every_byte_in_every_place(void **state)
{
	char text[] = "{\"k\":[\"\\u00e9 \xc3\xa9\",-12.5e3,true],\"l\":null}";
	const size_t length = sizeof(text) - 1;
	struct error err;

	(void)state;
	for (size_t at = 0; at < length; at++) {
		char kept = text[at];

		for (int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r')
				refuses(text, length);
			else
				(void)!scan(text, length, &err);
		}
		text[at] = kept;
	}
}

static size_t nest(char *text, size_t depth, const char *open, const char *middle, const char *close)
{
	size_t used = 0;

	for (size_t i = 0; i < depth; i++, used += strlen(open))
		memcpy(text + used, open, strlen(open));
	memcpy(text + used, middle, strlen(middle));
	used += strlen(middle);
	for (size_t i = 0; i < depth; i++, used += strlen(close))
		memcpy(text + used, close, strlen(close));
	return used;
}

static void depth(void **state)
{
	static char text[1 << 20];
	size_t length;

	(void)state;
	assert_int_equal(COFFER_DEPTH_MAX, 16);
	length = nest(text, 16, "[", "", "]");
	accepts(text, length);
	length = nest(text, 17, "[", "", "]");
	refuses(text, length);
	length = nest(text, 16, "{\"a\":", "1", "}");
	accepts(text, length);
	length = nest(text, 17, "{\"a\":", "1", "}");
	refuses(text, length);
	length = nest(text, 8, "[{\"a\":", "1", "}]");
	accepts(text, length);
	length = nest(text, 8, "[{\"a\":", "[]", "}]");
	refuses(text, length);
	/* The limit is a depth and not a count: as many as one likes side by side, also after deep ones. */
	length = nest(text, 15, "[", "[],[],[],{},[]", "]");
	accepts(text, length);
	/* A line of brackets does not eat the stack. */
	memset(text, '[', sizeof(text));
	refuses(text, sizeof(text));
}

static size_t object_of(char *text, size_t members)
{
	size_t used = 0;

	text[used++] = '{';
	for (size_t i = 0; i < members; i++)
		used += (size_t)sprintf(text + used, "%s\"k%zu\":%zu", i ? "," : "", i, i);
	text[used++] = '}';
	return used;
}

static void members(void **state)
{
	static char text[1 << 16];
	size_t length;

	(void)state;
	assert_int_equal(COFFER_MEMBERS_MAX, 1024);
	length = object_of(text, 1024);
	accepts(text, length);
	length = object_of(text, 1025);
	refuses(text, length);
	/* An array has no such limit. */
	memset(text, '0', sizeof(text));
	text[0] = '[';
	for (size_t i = 2; i < sizeof(text) - 1; i += 2)
		text[i] = ',';
	text[sizeof(text) - 1] = ']';
	text[sizeof(text) - 2] = ' ';
	accepts(text, sizeof(text));
}

/* The last of 1024 members against each of them. */
static void a_duplicate_is_found_wherever_it_stands(void **state)
{
	static char text[1 << 16];

	(void)state;
	for (size_t twin = 0; twin < 1023; twin += 31) {
		size_t length = object_of(text, 1023) - 1;

		length += (size_t)sprintf(text + length, ",\"\\u006b%zu\":0}", twin);
		refuses(text, length);
	}
}

/* Every code point: its UTF-8 form and its escaped form are the same key, and neighbours are not. */
static void every_code_point_as_a_key(void **state)
{
	(void)state;
	for (uint32_t c = 0x20; c <= 0x10ffff; c += c < 0x900 ? 1 : c < 0x12000 ? 7 : 251) {
		char utf8[8] = "", escaped[16], text[64];
		size_t used = 0;

		if ((c >= 0xd800 && c <= 0xdfff) || c == '"' || c == '\\')
			continue;
		if (c < 0x80) {
			utf8[used++] = (char)c;
		} else if (c < 0x800) {
			utf8[used++] = (char)(0xc0 | c >> 6);
		} else if (c < 0x10000) {
			utf8[used++] = (char)(0xe0 | c >> 12);
			utf8[used++] = (char)(0x80 | (c >> 6 & 63));
		} else {
			utf8[used++] = (char)(0xf0 | c >> 18);
			utf8[used++] = (char)(0x80 | (c >> 12 & 63));
			utf8[used++] = (char)(0x80 | (c >> 6 & 63));
		}
		if (c >= 0x80)
			utf8[used++] = (char)(0x80 | (c & 63));
		if (c < 0x10000)
			snprintf(escaped, sizeof(escaped), "\\u%04x", c);
		else
			snprintf(escaped, sizeof(escaped), "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				 0xdc00 + ((c - 0x10000) & 0x3ff));
		int length = snprintf(text, sizeof(text), "{\"%s\":1,\"%s\":2}", utf8, escaped);
		refuses(text, (size_t)length);
		length = snprintf(text, sizeof(text), "{\"%s\":1,\"%sx\":2}", utf8, escaped);
		accepts(text, (size_t)length);
	}
}

static void the_offset_points_at_what_is_wrong(void **state)
{
	struct error err;

	(void)state;
	assert_true(scan("{\"a\":1,\"a\":2}", 13, &err) < 0);
	assert_non_null(strstr(err.message, "byte 10"));
	assert_non_null(strstr(err.message, "duplicate key"));
	assert_true(scan("[1, 2, x]", 9, &err) < 0);
	assert_non_null(strstr(err.message, "byte 7"));
}

/* The text itself is never quoted: it may hold a secret environment value. */
static void the_message_quotes_nothing(void **state)
{
	struct error err;

	(void)state;
	assert_true(scan("{\"env\":[\"PASSWORD=hunter2\",]}", 29, &err) < 0);
	assert_null(strstr(err.message, "hunter2"));
	assert_true(scan("hunter2", 7, &err) < 0);
	assert_null(strstr(err.message, "hunter2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted_texts),
		cmocka_unit_test(refused_texts),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(every_byte_in_every_place),
		cmocka_unit_test(depth),
		cmocka_unit_test(members),
		cmocka_unit_test(a_duplicate_is_found_wherever_it_stands),
		cmocka_unit_test(every_code_point_as_a_key),
		cmocka_unit_test(the_offset_points_at_what_is_wrong),
		cmocka_unit_test(the_message_quotes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
