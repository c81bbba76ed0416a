/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_CONNECTION_H
#define RPC_CONNECTION_H

#include "agent.h"
#include "base/buf.h"

/*
 * One connection of either port: bytes in, bytes out, bounded both ways.  What the bytes mean is the business of its `handler`.
 */

struct rpc_server;
struct rpc_connection;

struct rpc_handler {
	/* Bytes have come (buf_bytes(&connection->in)); consumes what it can. */
	void (*input)(struct rpc_connection *connection);
	/* Everything that was to be sent has been. */
	void (*flushed)(struct rpc_connection *connection);
	/* The connection is about to be freed. */
	void (*closed)(struct rpc_connection *connection);
};

struct rpc_connection {
	struct rpc_server *server;
	struct agent *agent;
	const struct rpc_handler *handler;
	struct loop_watch watch;
	uint32_t events;
	struct buf in, out;
	bool paused;  /* do not read for now */
	bool ended;   /* the peer will not send any more */
	bool closing; /* close when `out` is empty */
	bool dead;    /* broken: freed at the end of the event */
	bool busy;    /* an event is being handled */
	unsigned in_flight;
	void *state;                      /* the handler's */
	struct events_sink *subscription; /* rpc/life.c; NULL: none */
	struct rpc_connection *next;
};

/* Takes the descriptor.  NULL: no memory. */
struct rpc_connection *rpc_connection_new(struct rpc_server *server, struct agent *agent, int fd, const struct rpc_handler *handler,
					  size_t in_limit, size_t out_limit);
/* Queues and sends what can be sent at once.  A peer that does not read until out_limit is reached loses the connection. */
void rpc_connection_send(struct rpc_connection *connection, const void *bytes, size_t size);
void rpc_connection_pause(struct rpc_connection *connection, bool paused);
/* After what is queued has been sent. */
void rpc_connection_close(struct rpc_connection *connection);
/* At once. */
void rpc_connection_free(struct rpc_connection *connection);
/* Called by handlers when in_flight falls: a peer that has ended and gets no more answers is let go. */
void rpc_connection_settle(struct rpc_connection *connection);

#endif
