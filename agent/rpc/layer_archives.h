/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_LAYER_ARCHIVES_H
#define RPC_LAYER_ARCHIVES_H

#include "rpc/call.h"

/* layer.import, layer.export, layer.changes and layer.diff_size: rows of rpc/methods.c. */

extern const struct decode_schema rpc_layer_archives_import_schema, rpc_layer_archives_export_schema;

void rpc_layer_archives_run_import(struct rpc_call *call);
void rpc_layer_archives_run_export(struct rpc_call *call);
void rpc_layer_archives_run_changes(struct rpc_call *call);
void rpc_layer_archives_run_size(struct rpc_call *call);

void rpc_layer_archives_encode_import(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layer_archives_encode_export(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layer_archives_encode_changes(struct encode *e, const struct rpc_call *call, const void *result);
void rpc_layer_archives_encode_size(struct encode *e, const struct rpc_call *call, const void *result);

#endif
