/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_RESULTS_H
#define RPC_RESULTS_H

#include "rpc/call.h"
#include "sys/steps.h"

/* How each method's answer is written: docs/PROTOCOL.md has the shapes. */

/* The member "steps". */
void rpc_results_steps(struct encode *e, const struct steps *steps);

void rpc_results_info(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_volume(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_volumes(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_scratch(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_scratches(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_rootfs(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_rootfs_list(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_container(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_exec(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_results_exit(struct encode *e, const struct rpc_call *call, const void *result);

#endif
