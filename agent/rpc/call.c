/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "coffer/protocol.h"

void rpc_call_send(struct rpc_connection *connection, struct buf *line, const struct encode *e)
{
	/* What cannot be said must not look as if it had been: the connection ends. */
	if (encode_result(e) < 0 || buf_append(line, "\n", 1) < 0) {
		log_error("no memory for an answer");
		rpc_connection_close(connection);
	} else {
		rpc_connection_send(connection, buf_bytes(line), buf_length(line));
	}
	buf_free(line);
}

void rpc_call_refuse(struct rpc_connection *connection, const char *id, const struct error *error)
{
	struct buf line = { 0 };
	struct encode e = { .buf = &line };

	rpc_request_error(&e, id, error);
	rpc_call_send(connection, &line, &e);
}

static void call_free(struct rpc_call *call)
{
	struct rpc_call **at = call->connection ? (struct rpc_call **)&call->connection->state : NULL;

	while (at && *at && *at != call)
		at = &(*at)->next;
	if (at && *at)
		*at = call->next;
	decode_free(&call->memory);
	json_object_put(call->extra);
	/* A refused request may be a misspelt one with a key. */
	rpc_request_free(&call->request, !call->running);
	free(call);
}

void rpc_call_done(void *context, const struct error *error, const void *result)
{
	struct rpc_call *call = context;
	struct rpc_connection *connection = call->connection;
	struct buf line = { 0 };
	struct encode e = { .buf = &line };
	char text[600];

	if (error) {
		error_text(error, text, sizeof(text));
		log_info("%s: %s: %s", call->method->name, error_wire_name(error->code), text);
	} else {
		log_debug("%s: done", call->method->name);
	}
	if (connection) {
		if (error) {
			rpc_request_error(&e, call->request.id, error);
		} else {
			rpc_request_begin_result(&e, call->request.id);
			if (call->method->encode)
				call->method->encode(&e, call, result);
			rpc_request_end_result(&e);
		}
		connection->in_flight--;
	}
	call_free(call);
	if (connection)
		rpc_call_send(connection, &line, &e);
}

struct completion rpc_call_answer(struct rpc_call *call)
{
	return (struct completion){ rpc_call_done, call };
}

void rpc_call_fail(struct rpc_call *call, const struct error *error)
{
	rpc_call_done(call, error, NULL);
}

static const struct rpc_method *find_method(const char *name)
{
	for (size_t i = 0; i < rpc_method_count; i++) {
		if (strcmp(rpc_methods[i].name, name) == 0)
			return &rpc_methods[i];
	}
	return NULL;
}

static int open_call(struct rpc_call *call, const char *line, size_t length, struct error *err)
{
	struct rpc_connection *connection = call->connection;
	int result = rpc_request_read(line, length, &call->request, err);

	if (result < 0)
		return result;
	call->method = find_method(call->request.method);
	if (!call->method) {
		result = error_set(err, ERROR_METHOD, ENOSYS, "%.64s", call->request.method);
		return error_step(err, "read the request");
	}
	if (connection->in_flight >= COFFER_REQUESTS_MAX)
		return error_set(err, ERROR_BUSY, EAGAIN, "%u requests are in flight on this connection", connection->in_flight);
	if (call->agent->closing && !call->method->while_closing)
		return error_set(err, ERROR_CLOSING, ESHUTDOWN, "%s", call->method->name);
	call->params = decode_alloc(&call->memory, 1, call->method->schema->size ? call->method->schema->size : 1);
	if (!call->params)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "params");
	if (decode_object(call->request.params, call->method->schema, call->params, &call->memory, err) < 0)
		return error_step(err, "read the request");
	return 0;
}

void rpc_call_line(struct rpc_connection *connection, const char *line, size_t length)
{
	struct rpc_call *call = calloc(1, sizeof(*call));
	struct error err;

	if (!call) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "request");
		rpc_call_refuse(connection, "null", &err);
		return;
	}
	call->agent = connection->agent;
	call->connection = connection;
	if (open_call(call, line, length, &err) < 0) {
		char text[600];

		error_text(&err, text, sizeof(text));
		log_info("request refused: %s: %s", error_wire_name(err.code), text);
		rpc_call_refuse(connection, call->request.id, &err);
		call->connection = NULL;
		call_free(call);
		return;
	}
	call->next = connection->state;
	connection->state = call;
	connection->in_flight++;
	call->running = true;
	call->method->run(call);
}

void rpc_call_orphan(struct rpc_connection *connection)
{
	for (struct rpc_call *call = connection->state; call; call = call->next)
		call->connection = NULL;
}
