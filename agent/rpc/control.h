/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_CONTROL_H
#define RPC_CONTROL_H

#include "rpc/connection.h"

/* The control port: lines in, calls out to the services, answers back in whatever order they come. */

extern const struct rpc_handler rpc_control_handler;
void rpc_control_greet(struct rpc_connection *connection);

#endif
