/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_LAYERS_H
#define RPC_LAYERS_H

#include "layer/store.h"
#include "rpc/call.h"

/* The layer.* methods: rows of rpc/methods.c, in its order. */

extern const struct decode_schema rpc_layers_open_schema, rpc_layers_store_schema, rpc_layers_create_schema, rpc_layers_list_schema,
	rpc_layers_get_schema;

void rpc_layers_run_open(struct rpc_call *call);
void rpc_layers_run_close(struct rpc_call *call);
void rpc_layers_run_status(struct rpc_call *call);
void rpc_layers_run_create(struct rpc_call *call);
void rpc_layers_run_get(struct rpc_call *call);
void rpc_layers_run_put(struct rpc_call *call);
void rpc_layers_run_remove(struct rpc_call *call);
void rpc_layers_run_exists(struct rpc_call *call);
void rpc_layers_run_metadata(struct rpc_call *call);
void rpc_layers_run_list(struct rpc_call *call);

void rpc_layers_encode_open(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layers_encode_status(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layers_encode_create(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layers_encode_get(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layers_encode_exists(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layers_encode_metadata(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layers_encode_list(struct encode *e, const struct rpc_call *call, const void *result);

/* For rpc/layer_archives.c: a digest, and what is known of a layer that was imported. */
void rpc_layers_encode_digest(struct encode *e, const char *key, const uint8_t digest[DIGEST_SIZE]);
void rpc_layers_encode_facts(struct encode *e, const struct store_layer *facts);

#endif
