/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/rpc/request.c */
#include "unit/test.h"

#include "base/scan.h"
#include "rpc/request.h"

static struct rpc_request request;
static struct error err;

static int clean(void **state)
{
	(void)state;
	rpc_request_free(&request, true);
	return 0;
}

static int read_line(const char *line)
{
	rpc_request_free(&request, true);
	memset(&err, 0, sizeof(err));
	return rpc_request_read(line, strlen(line), &request, &err);
}

static void a_whole_request(void **state)
{
	(void)state;
	assert_worked(read_line("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"volume.attach\",\"params\":{\"id\":\"v\"}}"), &err);
	assert_string_equal(request.id, "7");
	assert_string_equal(request.method, "volume.attach");
	json_object *id;
	assert_true(json_object_object_get_ex(request.params, "id", &id));
	assert_string_equal(json_object_get_string(id), "v");
}

/* `key` and `new_key` are overwritten whoever still holds the tree; the rest only when all is. */
static void keys_are_overwritten(void **state)
{
	static const char line[] =
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":{\"id\":\"kept\",\"key\":{\"passphrase\":"
		"\"secret-1\",\"list\":[\"secret-2\"]},\"new_key\":{\"raw\":\"secret-3\"}}}";

	(void)state;
	for (int all = 0; all < 2; all++) {
		assert_worked(read_line(line), &err);
		json_object *tree = json_object_get(request.json);
		rpc_request_free(&request, all);
		const char *text = json_object_to_json_string(tree);
		check_row(!strstr(text, "secret"), "%s", text);
		check_row((strstr(text, "kept") == NULL) == (all != 0), "%s", text);
		json_object_put(tree);
	}
}

static void params_may_be_left_out(void **state)
{
	(void)state;
	assert_worked(read_line("{\"method\":\"agent.info\",\"id\":\"x\",\"jsonrpc\":\"2.0\"}"), &err);
	assert_string_equal(request.id, "\"x\"");
	assert_int_equal(json_object_object_length(request.params), 0);
	assert_worked(read_line("{\"method\":\"agent.info\",\"id\":\"x\",\"jsonrpc\":\"2.0\",\"params\":null}"), &err);
	assert_int_equal(json_object_object_length(request.params), 0);
	assert_worked(read_line("{\"method\":\"agent.info\",\"id\":\"x\",\"jsonrpc\":\"2.0\",\"params\":{}}"), &err);
}

static void ids_come_back_as_they_were(void **state)
{
	static const struct {
		const char *id, *back;
	} ids[] = {
		{ "0", "0" },
		{ "-1", "-1" },
		{ "9223372036854775807", "9223372036854775807" },
		{ "18446744073709551615", "18446744073709551615" },
		{ "-9223372036854775808", "-9223372036854775808" },
		{ "\"\"", "\"\"" },
		{ "\"a/b\"", "\"a/b\"" },
		{ "\"\\\"\\\\\"", "\"\\\"\\\\\"" },
		{ "\"\xe2\x82\xac\"", "\"\xe2\x82\xac\"" },
		{ "\"\\u20ac\"", "\"\xe2\x82\xac\"" },
		{ "\"0123456789012345678901234567890123456789012345678901234567890123\"",
		  "\"0123456789012345678901234567890123456789012345678901234567890123\"" },
	};
	char line[600];

	(void)state;
	for (size_t i = 0; i < array_count(ids); i++) {
		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"m\"}", ids[i].id);
		assert_worked(read_line(line), &err);
		assert_string_equal(request.id, ids[i].back);
	}
}

/* 64 characters that all must be escaped: the longest an id can become. */
static void the_longest_id_fits(void **state)
{
	char line[600] = "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"";

	(void)state;
	for (int i = 0; i < 64; i++)
		strncat(line, "\\u0001", 7);
	strncat(line, "\"}", 3);
	assert_worked(read_line(line), &err);
	assert_int_equal(strlen(request.id), 2 + 6 * 64);
	struct error scanned;
	assert_worked(scan_json(request.id, strlen(request.id), &scanned), &scanned);
}

/* What is refused, whether the answer can be given to its id, and which member is to blame. */
static void what_is_refused(void **state)
{
	static const struct {
		const char *line;
		enum error_code code;
		const char *field, *id;
	} cases[] = {
		{ "", ERROR_PARSE, "", "null" },
		{ "{", ERROR_PARSE, "", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"", ERROR_PARSE, "", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"m\"}", ERROR_PARSE, "", "null" },
		{ "not json", ERROR_PARSE, "", "null" },
		{ "1", ERROR_REQUEST, "", "null" },
		{ "null", ERROR_REQUEST, "", "null" },
		{ "\"x\"", ERROR_REQUEST, "", "null" },
		{ "[]", ERROR_REQUEST, "", "null" },
		{ "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}]", ERROR_REQUEST, "", "null" }, /* a batch */
		{ "{}", ERROR_REQUEST, "jsonrpc", "null" },
		{ "{\"id\":1,\"method\":\"m\"}", ERROR_REQUEST, "jsonrpc", "1" },
		{ "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"m\"}", ERROR_REQUEST, "jsonrpc", "1" },
		{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}", ERROR_REQUEST, "jsonrpc", "1" },
		{ "{\"jsonrpc\":\"\",\"id\":1,\"method\":\"m\"}", ERROR_REQUEST, "jsonrpc", "1" },
		{ "{\"jsonrpc\":\"2.00\",\"id\":1,\"method\":\"m\"}", ERROR_REQUEST, "jsonrpc", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", ERROR_REQUEST, "id", "null" }, /* a notification */
		{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}", ERROR_REQUEST, "id", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}", ERROR_REQUEST, "id", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1e0,\"method\":\"m\"}", ERROR_REQUEST, "id", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"m\"}", ERROR_REQUEST, "id", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"m\"}", ERROR_REQUEST, "id", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"m\"}", ERROR_REQUEST, "id", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":\"01234567890123456789012345678901234567890123456789012345678901234\",\"method\":"
		  "\"m\"}",
		  ERROR_REQUEST, "id", "null" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1}", ERROR_REQUEST, "method", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", ERROR_REQUEST, "method", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", ERROR_REQUEST, "method", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"01234567890123456789012345678901234567890123456789012345678901234\"}",
		  ERROR_REQUEST, "method", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[]}", ERROR_REQUEST, "params", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":\"x\"}", ERROR_REQUEST, "params", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":0}", ERROR_REQUEST, "params", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"extra\":1}", ERROR_REQUEST, "extra", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"Method\":\"m\"}", ERROR_REQUEST, "Method", "1" },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", ERROR_REQUEST, "result", "1" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(cases); i++) {
		int result = read_line(cases[i].line);

		check_row(result < 0, "accepted: %s", cases[i].line);
		check_row(err.code == cases[i].code && strcmp(err.field, cases[i].field) == 0, "%s: %s, field \"%s\": %s",
			  cases[i].line, error_wire_name(err.code), err.field, err.message);
		check_row(strcmp(request.id, cases[i].id) == 0, "%s: answered to %s", cases[i].line, request.id);
		check_row(err.step[0] != '\0', "%s: no step", cases[i].line);
	}
}

static void answers(void **state)
{
	struct buf out = { 0 };
	struct encode e = { .buf = &out };

	(void)state;
	rpc_request_begin_result(&e, "\"x\"");
	encode_int(&e, "a", 1);
	rpc_request_end_result(&e);
	assert_int_equal(encode_result(&e), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal(buf_bytes(&out), "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"a\":1}}");
	buf_free(&out);

	e = (struct encode){ .buf = &out };
	error_set(&err, ERROR_METHOD, ENOSYS, "x.y");
	rpc_request_error(&e, "null", &err);
	assert_int_equal(encode_result(&e), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal(
		buf_bytes(&out),
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32601,\"message\":\"x.y: Function not implemented\","
		"\"data\":{\"name\":\"unknown-method\",\"step\":\"\",\"errno\":38,\"field\":\"\"}}}");
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_whole_request, clean),
		cmocka_unit_test_teardown(keys_are_overwritten, clean),
		cmocka_unit_test_teardown(params_may_be_left_out, clean),
		cmocka_unit_test_teardown(ids_come_back_as_they_were, clean),
		cmocka_unit_test_teardown(the_longest_id_fits, clean),
		cmocka_unit_test_teardown(what_is_refused, clean),
		cmocka_unit_test_teardown(answers, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
