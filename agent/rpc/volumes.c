/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/volumes.h"

#include "rpc/params.h"
#include "rpc/results.h"

void rpc_volumes_run_create(struct rpc_call *call)
{
	volumes_create(call->agent, call->params, rpc_call_answer(call));
}

void rpc_volumes_run_stats(struct rpc_call *call)
{
	volumes_read_stats(call->agent, OBJECT_VOLUME, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}

void rpc_volumes_run_scratch_stats(struct rpc_call *call)
{
	volumes_read_stats(call->agent, OBJECT_SCRATCH, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}

void rpc_volumes_encode_create(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct volume_result *volume = result;

	encode_string(e, "id", ((const struct volumes_create *)call->params)->id);
	encode_string(e, "type", volume->attached.type);
	encode_string(e, "fs_type", volume->attached.fs_type);
	encode_uint(e, "size", volume->attached.size);
	rpc_results_steps(e, &volume->steps);
}

void rpc_volumes_encode_stats(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct volumes_stats *stats = result;

	encode_string(e, "id", ((const struct params_id *)call->params)->id);
	encode_uint(e, "size", stats->size);
	encode_uint(e, "used", stats->used);
	encode_uint(e, "available", stats->available);
	encode_uint(e, "files", stats->files);
	encode_uint(e, "files_free", stats->files_free);
	if (!stats->has_device) {
		encode_null(e, "device");
		return;
	}
	encode_open(e, "device", '{');
	encode_uint(e, "rbytes", stats->read_bytes);
	encode_uint(e, "wbytes", stats->written_bytes);
	encode_uint(e, "rios", stats->reads);
	encode_uint(e, "wios", stats->writes);
	encode_close(e, '}');
}
