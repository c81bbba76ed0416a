/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/control.h"

#include <errno.h>
#include <string.h>

#include "coffer/protocol.h"
#include "rpc/call.h"
#include "rpc/life.h"
#include "service/agent_info.h"

void rpc_control_greet(struct rpc_connection *connection)
{
	struct buf line = { 0 };
	struct encode e = { .buf = &line };

	encode_open(&e, NULL, '{');
	encode_string(&e, "jsonrpc", "2.0");
	encode_string(&e, "method", "agent.hello");
	encode_open(&e, "params", '{');
	encode_string(&e, "version", AGENT_VERSION);
	encode_int(&e, "protocol", COFFER_PROTOCOL_VERSION);
	encode_open(&e, "features", '[');
	for (const char *const *feature = agent_info_features; *feature; feature++)
		encode_string(&e, NULL, *feature);
	encode_close(&e, ']');
	encode_close(&e, '}');
	encode_close(&e, '}');
	rpc_call_send(connection, &line, &e);
}

static void input(struct rpc_connection *connection)
{
	while (!connection->closing && !connection->dead) {
		const char *bytes = buf_bytes(&connection->in);
		size_t length = buf_length(&connection->in);
		const char *newline = length ? memchr(bytes, '\n', length) : NULL;
		size_t line = newline ? (size_t)(newline - bytes) : length;

		if (line >= COFFER_LINE_MAX) {
			struct error err;

			error_set(&err, ERROR_TOO_LARGE, EMSGSIZE, "a line has at most %u bytes", COFFER_LINE_MAX);
			error_step(&err, "read the line");
			rpc_call_refuse(connection, "null", &err);
			rpc_connection_close(connection);
			return;
		}
		if (!newline)
			return;
		rpc_call_line(connection, bytes, line);
		buf_consume(&connection->in, line + 1);
	}
}

static void closed(struct rpc_connection *connection)
{
	rpc_life_unsubscribe(connection);
	rpc_call_orphan(connection);
}

const struct rpc_handler rpc_control_handler = { .input = input, .closed = closed };
