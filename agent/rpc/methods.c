/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "rpc/call.h"
#include "rpc/encrypted.h"
#include "rpc/layer_archives.h"
#include "rpc/layer_images.h"
#include "rpc/layers.h"
#include "rpc/life.h"
#include "rpc/params.h"
#include "rpc/results.h"
#include "rpc/volumes.h"
#include "service/agent_info.h"
#include "service/containers.h"
#include "service/storage.h"

/* The table of methods: each decodes nothing and does nothing itself, but hands the decoded request to its service. */

#define DEVICE_TIMEOUT_MS 10000

/* ---- agent ---- */

static void run_info(struct rpc_call *call)
{
	struct agent_info info;

	agent_info_read(&info);
	rpc_call_done(call, NULL, &info);
}

static void run_shutdown(struct rpc_call *call)
{
	struct agent *agent = call->agent;

	agent->reboot = ((const struct params_shutdown *)call->params)->reboot;
	rpc_call_done(call, NULL, NULL);
	agent->shut_down(agent);
}

#ifdef COFFER_FAULTS
static void run_fault(struct rpc_call *call)
{
	jobs_set_fault(call->agent->jobs, (unsigned)((const struct params_fault *)call->params)->after);
	rpc_call_done(call, NULL, NULL);
}
#endif

/* Answers what the call's own encoder finds in the agent. */
static void run_list(struct rpc_call *call)
{
	rpc_call_done(call, NULL, NULL);
}

/* ---- storage ---- */

static void run_attach(struct rpc_call *call)
{
	struct params_volume *params = call->params;
	struct error err;

	params->request.id = params->id;
	params->request.timeout_ms = params_or(params->timeout_ms, DEVICE_TIMEOUT_MS);
	if (virtual_volume_decode(params->volume_json, &params->request.volume, &call->extra, &call->memory, &err) < 0) {
		error_within(&err, "volume");
		error_step(&err, "read the request");
		rpc_call_fail(call, &err);
		return;
	}
	storage_attach_volume(call->agent, &params->request, rpc_call_answer(call));
}

static void run_scratch(struct rpc_call *call)
{
	struct params_scratch *params = call->params;

	params->request = (struct scratch_create){
		.id = params->id,
		.device = params->device,
		.plan = {
			.use = params->use ? scratch_plan_find_use(params->use) : SCRATCH_FILESYSTEM,
			.layout = params->cipher ? integrity_layout_find(params->cipher) : integrity_scratch,
			.disk_size = params->size,
		},
		.timeout_ms = params_or(params->timeout_ms, DEVICE_TIMEOUT_MS),
	};
	storage_create_scratch(call->agent, &params->request, rpc_call_answer(call));
}

static void run_rootfs(struct rpc_call *call)
{
	struct params_rootfs *params = call->params;

	params->request = (struct rootfs_create){
		.id = params->id,
		.lower = params->lower.items,
		.lower_count = params->lower.count,
		.scratch = params->scratch,
		.label = params->label,
		.layer = params->layer,
	};
	storage_create_rootfs(call->agent, &params->request, rpc_call_answer(call));
}

static void run_detach(struct rpc_call *call)
{
	storage_remove(call->agent, OBJECT_VOLUME, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}

static void run_scratch_remove(struct rpc_call *call)
{
	storage_remove(call->agent, OBJECT_SCRATCH, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}

static void run_rootfs_remove(struct rpc_call *call)
{
	storage_remove(call->agent, OBJECT_ROOTFS, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}

/* ---- containers ---- */

static void run_create(struct rpc_call *call)
{
	const struct params_container *params = call->params;
	const struct container_create request = {
		.id = params->id,
		.rootfs = params->rootfs,
		.config = params->config,
		.process = params->process,
		.spec = params->spec,
		.stdio = params->stdio,
	};

	containers_create(call->agent, &request, rpc_call_answer(call));
}

static void run_start(struct rpc_call *call)
{
	containers_start(call->agent, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}

static void run_exec(struct rpc_call *call)
{
	const struct params_container *params = call->params;
	const struct container_exec request = { .id = params->id, .exec = params->exec, .process = params->process };

	containers_exec(call->agent, &request, rpc_call_answer(call));
}

/* A number, or a name with or without SIG.  -1: neither. */
static int read_signal(json_object *json)
{
	if (json_object_is_type(json, json_type_int)) {
		int64_t number = json_object_get_int64(json);

		return number >= 1 && number <= 64 ? (int)number : -1;
	}
	if (!json_object_is_type(json, json_type_string))
		return -1;
	const char *name = json_object_get_string(json);
	if (strncmp(name, "SIG", 3) == 0)
		name += 3;
	for (int number = 1; number < 32; number++) {
		const char *known = sigabbrev_np(number);

		if (known && strcmp(known, name) == 0)
			return number;
	}
	return -1;
}

static void run_signal(struct rpc_call *call)
{
	const struct params_signal *params = call->params;
	int number = read_signal(params->signal);
	struct error err;

	if (number < 0 || (params->all && params->exec)) {
		if (number < 0)
			error_field(&err, "signal", "a number within 1 and 64, or a name as \"SIGTERM\", is needed");
		else
			error_field(&err, "exec", "`all` means every process in the container");
		error_step(&err, "read the request");
		rpc_call_fail(call, &err);
		return;
	}
	containers_signal(call->agent, params->id, params->exec, number, params->all, rpc_call_answer(call));
}

static void run_wait(struct rpc_call *call)
{
	const struct params_wait *params = call->params;

	containers_wait(call->agent, params->id, params->exec, rpc_call_answer(call));
}

static void run_resize(struct rpc_call *call)
{
	const struct params_resize *params = call->params;

	containers_resize(call->agent, params->id, params->exec, (unsigned)params->width, (unsigned)params->height,
			  rpc_call_answer(call));
}

static void run_remove(struct rpc_call *call)
{
	const struct params_remove *params = call->params;

	containers_remove(call->agent, params->id, params->force, rpc_call_answer(call));
}

const struct rpc_method rpc_methods[] = {
	{ "agent.info", &params_none, run_info, rpc_results_info, true },
	{ "agent.shutdown", &params_shutdown, run_shutdown, NULL, true },
	{ "volume.attach", &params_volume, run_attach, rpc_results_volume, false },
	{ "volume.detach", &params_id, run_detach, NULL, false },
	{ "volume.list", &params_none, run_list, rpc_results_volumes, true },
	{ "volume.create", &params_volume_create, rpc_volumes_run_create, rpc_volumes_encode_create, false },
	{ "volume.stats", &params_id, rpc_volumes_run_stats, rpc_volumes_encode_stats, false },
	{ "scratch.stats", &params_id, rpc_volumes_run_scratch_stats, rpc_volumes_encode_stats, false },
	{ "volume.resize", &params_volume_resize, rpc_encrypted_run_resize, rpc_encrypted_encode_growth, false },
	{ "encrypted.create", &params_encrypted_create, rpc_encrypted_run_create, rpc_encrypted_encode_volume, false },
	{ "encrypted.open", &params_encrypted_open, rpc_encrypted_run_open, rpc_encrypted_encode_volume, false },
	{ "encrypted.change_key", &params_change_key, rpc_encrypted_run_change_key, rpc_encrypted_encode_change, false },
	{ "scratch.create", &params_scratch, run_scratch, rpc_results_scratch, false },
	{ "scratch.remove", &params_id, run_scratch_remove, NULL, false },
	{ "scratch.list", &params_none, run_list, rpc_results_scratches, true },
	{ "layer.open", &rpc_layers_open_schema, rpc_layers_run_open, rpc_layers_encode_open, false },
	{ "layer.close", &rpc_layers_store_schema, rpc_layers_run_close, NULL, false },
	{ "layer.status", &rpc_layers_store_schema, rpc_layers_run_status, rpc_layers_encode_status, true },
	{ "layer.create", &rpc_layers_create_schema, rpc_layers_run_create, rpc_layers_encode_create, false },
	{ "layer.unlock", &rpc_layer_images_unlock_schema, rpc_layer_images_run_unlock, rpc_layer_images_encode_unlock, false },
	{ "layer.lock", &params_id, rpc_layer_images_run_lock, NULL, false },
	{ "layer.import", &rpc_layer_archives_import_schema, rpc_layer_archives_run_import, rpc_layer_archives_encode_import,
	  false },
	{ "layer.export", &rpc_layer_archives_export_schema, rpc_layer_archives_run_export, rpc_layer_archives_encode_export,
	  false },
	{ "layer.changes", &rpc_layer_archives_export_schema, rpc_layer_archives_run_changes, rpc_layer_archives_encode_changes,
	  false },
	{ "layer.diff_size", &params_id, rpc_layer_archives_run_size, rpc_layer_archives_encode_size, false },
	{ "layer.get", &rpc_layers_get_schema, rpc_layers_run_get, rpc_layers_encode_get, false },
	{ "layer.put", &params_id, rpc_layers_run_put, NULL, false },
	{ "layer.remove", &params_id, rpc_layers_run_remove, NULL, false },
	{ "layer.exists", &params_id, rpc_layers_run_exists, rpc_layers_encode_exists, true },
	{ "layer.metadata", &params_id, rpc_layers_run_metadata, rpc_layers_encode_metadata, true },
	{ "layer.list", &rpc_layers_list_schema, rpc_layers_run_list, rpc_layers_encode_list, true },
	{ "rootfs.create", &params_rootfs, run_rootfs, rpc_results_rootfs, false },
	{ "rootfs.remove", &params_id, run_rootfs_remove, NULL, false },
	{ "rootfs.list", &params_none, run_list, rpc_results_rootfs_list, true },
	{ "sandbox.create", &params_sandbox, run_create, rpc_results_container, false },
	{ "container.create", &params_container, run_create, rpc_results_container, false },
	{ "container.start", &params_id, run_start, NULL, false },
	{ "container.exec", &params_exec, run_exec, rpc_results_exec, false },
	{ "container.signal", &params_signal, run_signal, NULL, true },
	{ "container.wait", &params_wait, run_wait, rpc_results_exit, true },
	{ "container.resize", &params_resize, run_resize, NULL, false },
	{ "container.list", &params_none, run_list, rpc_life_encode_list, true },
	{ "container.remove", &params_remove, run_remove, NULL, false },
	{ "container.state", &params_id, rpc_life_run_state, rpc_life_encode_state, true },
	{ "container.stats", &params_id, rpc_life_run_stats, rpc_life_encode_stats, true },
	{ "container.pause", &params_id, rpc_life_run_pause, NULL, false },
	{ "container.resume", &params_id, rpc_life_run_resume, NULL, false },
	{ "container.update", &rpc_life_update_schema, rpc_life_run_update, NULL, false },
	{ "events.subscribe", &params_none, rpc_life_run_subscribe, NULL, true },
#ifdef COFFER_FAULTS
	{ "test.fault", &params_fault, run_fault, NULL, false },
#endif
};
const size_t rpc_method_count = array_count(rpc_methods);
