/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include "agent.h"

/* JSON-RPC over vsock: docs/PROTOCOL.md.  Listens on the control and the stream port. */

struct rpc_server;
struct rpc_connection;

must_check int rpc_server_new(struct agent *agent, struct rpc_server **server, struct error *err);
void rpc_server_free(struct rpc_server *server);
/* From a connection that is being freed. */
void rpc_server_forget(struct rpc_server *server, struct rpc_connection *connection);

#endif
