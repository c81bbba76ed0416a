/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_CALL_H
#define RPC_CALL_H

#include "rpc/connection.h"
#include "rpc/request.h"
#include "service/completion.h"

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
	bool running;          /* the method has it */
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

/* The table (rpc/methods.c). */
extern const struct rpc_method rpc_methods[];
extern const size_t rpc_method_count;

/* The completion whose context is the call, and the function in it. */
struct completion rpc_call_answer(struct rpc_call *call);
void rpc_call_done(void *call, const struct error *error, const void *result);
void rpc_call_fail(struct rpc_call *call, const struct error *error);

/* Reads one line (without its newline), decodes it by its method and starts that.  Whatever is wrong with it is answered. */
void rpc_call_line(struct rpc_connection *connection, const char *line, size_t length);
/* An answer that belongs to no request that could be read. */
void rpc_call_refuse(struct rpc_connection *connection, const char *id, const struct error *error);
/* The connection is going: its calls go on without it. */
void rpc_call_orphan(struct rpc_connection *connection);
/* Sends `line` with a newline, and frees it. */
void rpc_call_send(struct rpc_connection *connection, struct buf *line, const struct encode *e);

#endif
