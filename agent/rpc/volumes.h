/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_VOLUMES_H
#define RPC_VOLUMES_H

#include "rpc/call.h"

/* volume.create, volume.stats and scratch.stats: rows of rpc/methods.c. */

void rpc_volumes_run_create(struct rpc_call *call);
void rpc_volumes_run_stats(struct rpc_call *call);
void rpc_volumes_run_scratch_stats(struct rpc_call *call);

void rpc_volumes_encode_create(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_volumes_encode_stats(struct encode *e, const struct rpc_call *call, const void *result);

#endif
