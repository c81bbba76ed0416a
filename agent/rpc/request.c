/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"

struct envelope {
	const char *version, *method;
	json_object *id, *params;
};

#define FIELD(key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct envelope, member)

static const struct decode_field fields[] = {
	{ FIELD("jsonrpc", DECODE_STRING, version), .flags = DECODE_REQUIRED, .max = 8 },
	{ FIELD("id", DECODE_RAW, id), .flags = DECODE_REQUIRED },
	{ FIELD("method", DECODE_STRING, method), .flags = DECODE_REQUIRED, .max = 64 },
	{ FIELD("params", DECODE_RAW, params) },
};
static const struct decode_schema schema = { fields, array_count(fields), sizeof(struct envelope), NULL };

static bool take_id(json_object *id, char *text, size_t size)
{
	bool integer = json_object_is_type(id, json_type_int);
	bool string = json_object_is_type(id, json_type_string) && json_object_get_string_len(id) <= COFFER_ID_MAX;

	if (!integer && !string)
		return false;
	const char *json = json_object_to_json_string_ext(id, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!json || strlen(json) >= size)
		return false;
	memcpy(text, json, strlen(json) + 1);
	return true;
}

static int invalid(struct error *err)
{
	if (err->code == ERROR_PARAMS)
		err->code = ERROR_REQUEST;
	return error_step(err, "read the request");
}

int rpc_request_read(const char *line, size_t length, struct rpc_request *request, struct error *err)
{
	struct decode_memory memory = { 0 };
	struct envelope envelope;
	json_object *id;

	memset(request, 0, sizeof(*request));
	memcpy(request->id, "null", sizeof("null"));
	int result = decode_parse(line, length, &request->json, err);
	if (result < 0)
		return error_step(err, "read the line");
	/* The id first, so that whatever is wrong with the rest can be answered to it. */
	bool has_id = json_object_is_type(request->json, json_type_object) && json_object_object_get_ex(request->json, "id", &id) &&
		      take_id(id, request->id, sizeof(request->id));
	result = decode_object(request->json, &schema, &envelope, &memory, err);
	if (result < 0)
		return invalid(err);
	if (!has_id)
		error_field(err, "id", "must be an integer, or a string of at most %d bytes", COFFER_ID_MAX);
	else if (strcmp(envelope.version, "2.0") != 0)
		error_field(err, "jsonrpc", "must be \"2.0\"");
	else if (envelope.params && !json_object_is_type(envelope.params, json_type_object))
		error_field(err, "params", "must be an object");
	else {
		request->method = envelope.method;
		request->owns_params = !envelope.params;
		request->params = envelope.params ? envelope.params : json_object_new_object();
		return request->params ? 0 : error_set(err, ERROR_INTERNAL, ENOMEM, "params");
	}
	return invalid(err);
}

void rpc_request_free(struct rpc_request *request, bool all)
{
	static const char *const secret[] = { "key", "new_key" };
	json_object *value;

	for (size_t i = 0; i < array_count(secret) && request->params; i++) {
		if (json_object_object_get_ex(request->params, secret[i], &value))
			decode_wipe(value);
	}
	if (all)
		decode_wipe(request->json);
	if (request->owns_params)
		json_object_put(request->params);
	json_object_put(request->json);
	request->json = request->params = NULL;
}

static void begin(struct encode *e, const char *id)
{
	encode_open(e, NULL, '{');
	encode_string(e, "jsonrpc", "2.0");
	encode_raw(e, "id", id, strlen(id));
}

void rpc_request_begin_result(struct encode *e, const char *id)
{
	begin(e, id);
	encode_open(e, "result", '{');
}

void rpc_request_end_result(struct encode *e)
{
	encode_close(e, '}');
	encode_close(e, '}');
}

void rpc_request_error(struct encode *e, const char *id, const struct error *error)
{
	begin(e, id);
	encode_error(e, "error", error);
	encode_close(e, '}');
}
