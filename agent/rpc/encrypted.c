/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/encrypted.h"

#include "rpc/params.h"
#include "rpc/results.h"

#define DEVICE_TIMEOUT_MS 10000

static struct encrypted_request *request_of(struct rpc_call *call)
{
	struct params_encrypted *params = call->params;

	params->request = (struct encrypted_request){
		.id = params->id,
		.device = params->device,
		.key = params->key,
		.timeout_ms = params_or(params->timeout_ms, DEVICE_TIMEOUT_MS),
		.force = params->force,
		.header_sha256 = params->header_sha256,
		.read_only = params->read_only,
	};
	return &params->request;
}

void rpc_encrypted_run_create(struct rpc_call *call)
{
	encrypted_volume_create(call->agent, request_of(call), rpc_call_answer(call));
}

void rpc_encrypted_run_open(struct rpc_call *call)
{
	encrypted_volume_open(call->agent, request_of(call), rpc_call_answer(call));
}

void rpc_encrypted_run_change_key(struct rpc_call *call)
{
	struct params_change_key *params = call->params;

	params->request = (struct encrypted_change){
		.id = params->id,
		.device = params->device,
		.key = params->key,
		.new_key = params->new_key,
		.timeout_ms = params_or(params->timeout_ms, DEVICE_TIMEOUT_MS),
	};
	encrypted_volume_change_key(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_encrypted_run_resize(struct rpc_call *call)
{
	struct params_volume_resize *params = call->params;

	params->request = (struct resize_request){ .id = params->id, .key = params->key };
	resize_volume(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_encrypted_encode_volume(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct encrypted_result *made = result;

	encode_string(e, "id", ((const struct params_encrypted *)call->params)->id);
	encode_string(e, "type", made->attached.type);
	encode_string(e, "device", made->attached.device);
	encode_string(e, "fs_type", made->attached.fs_type);
	encode_uint(e, "size", made->attached.size);
	encode_string(e, "header_sha256", made->header_sha256);
	encode_string(e, "key_from", keys_source(&((const struct params_encrypted *)call->params)->key));
	encode_uint(e, "written", steps_written(&made->steps));
	rpc_results_steps(e, &made->steps);
}

void rpc_encrypted_encode_change(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct encrypted_result *made = result;

	encode_string(e, "header_sha256", made->header_sha256);
	encode_string(e, "key_from", keys_source(&((const struct params_change_key *)call->params)->new_key));
}

void rpc_encrypted_encode_growth(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct encrypted_growth *growth = result;

	encode_string(e, "id", ((const struct params_volume_resize *)call->params)->id);
	encode_uint(e, "size", growth->size);
	rpc_results_steps(e, &growth->steps);
}
