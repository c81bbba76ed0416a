/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/scan.h"

static bool is_utf8(const char *text)
{
	char quoted[1024];
	struct error err;

	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			return false;
	}
	snprintf(quoted, sizeof(quoted), "\"%s\"", text);
	return scan_json(quoted, strlen(quoted), &err) == 0;
}

static void set_makes_code_errno_and_text(void **state)
{
	struct error err;

	(void)state;
	memset(&err, 0x55, sizeof(err));
	assert_int_equal(error_set(&err, ERROR_NO_DEVICE, ENOENT, "open %s", "/dev/vdz"), -ENOENT);
	assert_int_equal(err.code, ERROR_NO_DEVICE);
	assert_int_equal(err.errnum, ENOENT);
	assert_string_equal(err.message, "open /dev/vdz: No such file or directory");
	assert_string_equal(err.step, "");
	assert_string_equal(err.field, "");
}

static void no_errno_means_einval_and_no_text(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_set(&err, ERROR_STATE, 0, "not now"), -EINVAL);
	assert_string_equal(err.message, "not now");
	assert_int_equal(err.errnum, 0);
}

static void an_empty_format_leaves_the_errno_s_text(void **state)
{
	struct error err;
	const char *volatile empty = "";

	(void)state;
	assert_int_equal(error_set(&err, ERROR_INTERNAL, ENOMEM, "%s", empty), -ENOMEM);
	assert_string_equal(err.message, "Cannot allocate memory");
}

static void field_blames_a_member(void **state)
{
	struct error err;

	(void)state;
	assert_int_equal(error_field(&err, "hash", "%d digits", 63), -EINVAL);
	assert_int_equal(err.code, ERROR_PARAMS);
	assert_int_equal(err.errnum, EINVAL);
	assert_string_equal(err.field, "hash");
	assert_string_equal(err.message, "63 digits"); /* without strerror: it would only say "Invalid argument" */
}

static void within_builds_a_path(void **state)
{
	struct error err;

	(void)state;
	error_field(&err, "flags", "x");
	assert_int_equal(error_within(&err, "[3]"), -EINVAL);
	assert_string_equal(err.field, "[3].flags");
	error_within(&err, "mounts");
	assert_string_equal(err.field, "mounts[3].flags");
	error_within(&err, "config");
	assert_string_equal(err.field, "config.mounts[3].flags");
	error_field(&err, "", "x");
	error_within(&err, "config");
	assert_string_equal(err.field, "config");
}

static void wrap_adds_context_and_keeps_the_rest(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ERROR_CRYPT, EIO, "write");
	error_step(&err, "open with dm-crypt");
	assert_int_equal(error_wrap(&err, "scratch %s", "s0"), -EIO);
	assert_string_equal(err.message, "scratch s0: write: Input/output error");
	assert_int_equal(err.code, ERROR_CRYPT);
	assert_string_equal(err.step, "open with dm-crypt");
}

static void the_deepest_step_stays(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ERROR_CRYPT, EIO, "write");
	assert_int_equal(error_step(&err, "first"), -EIO);
	error_step(&err, "second");
	assert_string_equal(err.step, "first");
}

static void nothing_of_a_request_makes_a_new_line(void **state)
{
	struct error err;

	(void)state;
	error_set(&err, ERROR_MOUNT, 0, "a\nb\tc\x7f\x1b[31m");
	assert_string_equal(err.message, "a?b?c??[31m");
	error_field(&err, "x\ny", "m");
	assert_string_equal(err.field, "x?y");
	error_within(&err, "\r");
	assert_string_equal(err.field, "?.x?y");
	error_set(&err, ERROR_MOUNT, 0, "m");
	error_wrap(&err, "%s", "evil\nline");
	assert_string_equal(err.message, "evil?line: m");
}

/* Texts of every length around the limit, of characters of 1 to 4 bytes: what is cut is cut between characters. */
static void what_is_too_long_is_cut_between_characters(void **state)
{
	static const char *const characters[] = { "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	struct error err;
	char text[1024];

	(void)state;
	for (size_t c = 0; c < array_count(characters); c++) {
		for (size_t shift = 0; shift < 5; shift++) {
			size_t used = 0;

			while (used < shift)
				text[used++] = 'x';
			while (used + 4 < 700) {
				memcpy(text + used, characters[c], strlen(characters[c]));
				used += strlen(characters[c]);
			}
			text[used] = '\0';
			error_set(&err, ERROR_MOUNT, EIO, "%s", text);
			check_row(is_utf8(err.message), "message, character %zu shift %zu", c, shift);
			check_row(strlen(err.message) > sizeof(err.message) - 5, "cut too much: %zu", strlen(err.message));
			error_wrap(&err, "%.100s", "context");
			check_row(is_utf8(err.message), "wrapped, character %zu shift %zu", c, shift);
			check_row(strncmp(err.message, "context: ", 9) == 0, "lost the context");
			error_field(&err, text, "m");
			check_row(is_utf8(err.field), "field, character %zu shift %zu", c, shift);
			error_within(&err, "config");
			check_row(is_utf8(err.field), "path, character %zu shift %zu", c, shift);
			check_row(strncmp(err.field, "config.", 7) == 0, "lost its beginning: %s", err.field);
		}
	}
}

static void every_code_has_its_own_number_and_name(void **state)
{
	(void)state;
	for (int a = ERROR_NONE + 1; a < ERROR_COUNT; a++) {
		const char *name = error_wire_name((enum error_code)a);
		int wire = error_wire_code((enum error_code)a);

		check_row(name && name[0], "code %d has no name", a);
		/* JSON-RPC 2.0 leaves -32099..-32000 to servers and has -32768..-32600 for itself. */
		check_row((wire >= -32099 && wire <= -32000) || (wire >= -32768 && wire <= -32600), "%s is %d", name, wire);
		for (const char *c = name; *c; c++)
			check_row((*c >= 'a' && *c <= 'z') || *c == '-', "a name is small letters and dashes: %s", name);
		check_row(error_from_wire(wire) == (enum error_code)a, "%d does not lead back to %s", wire, name);
		for (int b = ERROR_NONE + 1; b < a; b++) {
			check_row(error_wire_code((enum error_code)b) != wire, "%s and %s are both %d",
				  error_wire_name((enum error_code)b), name, wire);
			check_row(strcmp(error_wire_name((enum error_code)b), name) != 0, "%s is there twice", name);
		}
	}
	assert_int_equal(error_from_wire(0), ERROR_NONE);
	assert_int_equal(error_from_wire(-1), ERROR_NONE);
}

/* The contract: these may grow in number but never change. */
static void published_codes_stay(void **state)
{
	static const struct {
		enum error_code code;
		int wire;
		const char *name;
	} published[] = {
		{ ERROR_PARSE, -32700, "parse-error" },
		{ ERROR_REQUEST, -32600, "invalid-request" },
		{ ERROR_METHOD, -32601, "unknown-method" },
		{ ERROR_PARAMS, -32602, "invalid-params" },
		{ ERROR_INTERNAL, -32603, "internal-error" },
		{ ERROR_TOO_LARGE, -32001, "too-large" },
		{ ERROR_BUSY, -32002, "busy" },
		{ ERROR_EXISTS, -32003, "already-exists" },
		{ ERROR_NOT_FOUND, -32004, "not-found" },
		{ ERROR_IN_USE, -32005, "in-use" },
		{ ERROR_STATE, -32006, "wrong-state" },
		{ ERROR_NO_DEVICE, -32007, "no-device" },
		{ ERROR_DEVICE, -32008, "bad-device" },
		{ ERROR_UNSUPPORTED_VOLUME, -32009, "unsupported-volume" },
		{ ERROR_UNSUPPORTED_FIELD, -32010, "unsupported-field" },
		{ ERROR_VERITY, -32011, "verity-failed" },
		{ ERROR_CRYPT, -32012, "crypt-failed" },
		{ ERROR_FORMAT, -32013, "format-failed" },
		{ ERROR_MOUNT, -32014, "mount-failed" },
		{ ERROR_CONTAINER, -32015, "container-failed" },
		{ ERROR_EXEC, -32016, "exec-failed" },
		{ ERROR_TIMEOUT, -32017, "timeout" },
		{ ERROR_KERNEL, -32018, "kernel-lacks" },
		{ ERROR_TEARDOWN, -32019, "teardown-failed" },
		{ ERROR_CLOSING, -32020, "shutting-down" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(published); i++) {
		assert_int_equal(error_wire_code(published[i].code), published[i].wire);
		assert_string_equal(error_wire_name(published[i].code), published[i].name);
	}
}

static void a_code_from_nowhere_is_internal(void **state)
{
	(void)state;
	assert_int_equal(error_wire_code((enum error_code)4711), -32603);
	assert_string_equal(error_wire_name((enum error_code) - 5), "internal-error");
}

static void text_joins_what_is_there(void **state)
{
	struct error err;
	char text[64];

	(void)state;
	error_field(&err, "a.b", "is wrong");
	error_text(&err, text, sizeof(text));
	assert_string_equal(text, "a.b: is wrong");
	error_step(&err, "read");
	error_text(&err, text, sizeof(text));
	assert_string_equal(text, "read: a.b: is wrong");
	error_text(&err, text, 8);
	assert_string_equal(text, "read: a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_makes_code_errno_and_text),
		cmocka_unit_test(no_errno_means_einval_and_no_text),
		cmocka_unit_test(an_empty_format_leaves_the_errno_s_text),
		cmocka_unit_test(field_blames_a_member),
		cmocka_unit_test(within_builds_a_path),
		cmocka_unit_test(wrap_adds_context_and_keeps_the_rest),
		cmocka_unit_test(the_deepest_step_stays),
		cmocka_unit_test(nothing_of_a_request_makes_a_new_line),
		cmocka_unit_test(what_is_too_long_is_cut_between_characters),
		cmocka_unit_test(every_code_has_its_own_number_and_name),
		cmocka_unit_test(published_codes_stay),
		cmocka_unit_test(a_code_from_nowhere_is_internal),
		cmocka_unit_test(text_joins_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
