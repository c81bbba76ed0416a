/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_CONTROL_H
#define RPC_CONTROL_H

#include "rpc/connection.h"
#include "rpc/request.h"

/* The control port: lines in, calls out to the services, answers back in whatever order they come. */

extern const struct rpc_handler rpc_control_handler;
void rpc_control_greet(struct rpc_connection *connection);

/*
 * A request under way.  It outlives its connection (the answer is then dropped), and owns all that the decoded parameters point to,
 * so that a queued worker finds them.
 */
struct rpc_call {
	struct agent *agent;
	struct rpc_connection *connection; /* NULL: gone */
	const struct rpc_method *method;
	struct rpc_request request;
	struct decode_memory memory;
	json_object *extra;    /* of a volume that came as base64 */
	void *params;          /* the method's struct */
	struct rpc_call *next; /* of the connection */
};

struct rpc_method {
	const char *name;
	const struct decode_schema *schema; /* of params */
	/* Starts the work; rpc_call_done or rpc_call_fail is called once, now or later. */
	void (*run)(struct rpc_call *call);
	/* The members of a successful answer.  NULL: none. */
	void (*encode)(struct encode *e, const struct rpc_call *call, const void *result);
	bool while_closing; /* answered during shutdown too */
};

extern const struct rpc_method rpc_methods[];
extern const size_t rpc_method_count;

/* A completion (service/operation.h) whose context is the call. */
void rpc_call_done(void *call, const struct error *error, const void *result);
void rpc_call_fail(struct rpc_call *call, const struct error *error);

#endif
