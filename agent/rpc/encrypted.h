/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_ENCRYPTED_H
#define RPC_ENCRYPTED_H

#include "rpc/call.h"

/* The methods of encrypted volumes, and volume.resize: rows of rpc/methods.c, with params_encrypted* of rpc/params.h. */

void rpc_encrypted_run_create(struct rpc_call *call);
void rpc_encrypted_run_open(struct rpc_call *call);
void rpc_encrypted_run_change_key(struct rpc_call *call);
void rpc_encrypted_run_resize(struct rpc_call *call);

void rpc_encrypted_encode_volume(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_encrypted_encode_change(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_encrypted_encode_growth(struct encode *e, const struct rpc_call *call, const void *result);

#endif
