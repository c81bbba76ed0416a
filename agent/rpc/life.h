/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_LIFE_H
#define RPC_LIFE_H

#include "rpc/call.h"

/* The methods about a container that lives, and the notifications of events. */

extern const struct decode_schema rpc_life_update_schema;

void rpc_life_run_state(struct rpc_call *call);
void rpc_life_encode_state(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_life_encode_list(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_life_run_stats(struct rpc_call *call);
void rpc_life_encode_stats(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_life_run_pause(struct rpc_call *call);
void rpc_life_run_resume(struct rpc_call *call);
void rpc_life_run_update(struct rpc_call *call);

/* From then on the connection gets a notification for each event. */
void rpc_life_run_subscribe(struct rpc_call *call);
/* The connection is going. */
void rpc_life_unsubscribe(struct rpc_connection *connection);

#endif
