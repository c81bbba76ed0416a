/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/results.h"

#include "rpc/params.h"
#include "service/agent_info.h"
#include "service/containers.h"
#include "service/storage.h"

void rpc_results_steps(struct encode *e, const struct steps *steps)
{
	encode_open(e, "steps", '[');
	for (uint32_t i = 0; i < steps->count && i < STEPS_MAX; i++) {
		encode_open(e, NULL, '{');
		encode_string(e, "name", steps->items[i].name);
		encode_uint(e, "us", steps->items[i].us);
		encode_uint(e, "written", steps->items[i].written);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

void rpc_results_info(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct agent_info *info = result;
	const struct agent_info_resources *resources = &info->resources;
	const struct objects *objects = &call->agent->objects;

	encode_string(e, "version", AGENT_VERSION);
	encode_int(e, "protocol", COFFER_PROTOCOL_VERSION);
	encode_open(e, "features", '[');
	for (const char *const *feature = agent_info_features; *feature; feature++)
		encode_string(e, NULL, *feature);
	encode_close(e, ']');
	encode_bool(e, "plain_storage", call->agent->plain_storage);
	encode_string(e, "kernel", info->kernel);
	encode_uint(e, "uptime_ms", info->uptime_ms);
	encode_uint(e, "boot_ms", call->agent->boot_ms);
	encode_open(e, "memory", '{');
	encode_uint(e, "pss_kib", info->pss_kib);
	encode_uint(e, "rss_kib", info->rss_kib);
	encode_close(e, '}');
	encode_open(e, "resources", '{');
	encode_uint(e, "mounts", resources->mounts);
	encode_uint(e, "mappings", resources->mappings);
	encode_uint(e, "loops", resources->loops);
	encode_uint(e, "keys", resources->keys);
	encode_uint(e, "descriptors", resources->descriptors);
	encode_uint(e, "processes", resources->processes);
	encode_uint(e, "cgroups", resources->cgroups);
	encode_close(e, '}');
	encode_open(e, "objects", '{');
	encode_uint(e, "volumes", objects->counts[OBJECT_VOLUME]);
	encode_uint(e, "scratches", objects->counts[OBJECT_SCRATCH]);
	encode_uint(e, "rootfs", objects->counts[OBJECT_ROOTFS]);
	encode_uint(e, "containers", objects->counts[OBJECT_CONTAINER]);
	encode_close(e, '}');
}

/* ---- storage ---- */

void rpc_results_volume(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct volume_result *volume = result;

	encode_string(e, "id", ((const struct params_volume *)call->params)->id);
	encode_string(e, "type", volume->attached.type);
	encode_string(e, "device", volume->attached.device);
	encode_string(e, "fs_type", volume->attached.fs_type);
	encode_uint(e, "size", volume->attached.size);
	rpc_results_steps(e, &volume->steps);
}

static void encode_object(struct encode *e, const struct object *object)
{
	encode_string(e, "id", object->id);
	encode_string(e, "state", objects_state_name(object->state));
	encode_uint(e, "users", object->users);
}

void rpc_results_volumes(struct encode *e, const struct rpc_call *call, const void *result)
{
	(void)result;
	encode_open(e, "volumes", '[');
	for (const struct object *object = call->agent->objects.lists[OBJECT_VOLUME]; object; object = object->next) {
		const struct volume_object *volume = (const struct volume_object *)object;

		encode_open(e, NULL, '{');
		encode_object(e, object);
		encode_string(e, "type", volume->attached.type);
		encode_string(e, "device", volume->attached.device);
		encode_string(e, "fs_type", volume->attached.fs_type);
		encode_uint(e, "size", volume->attached.size);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

static void encode_scratch(struct encode *e, const char *device, enum scratch_use use, const struct integrity_layout *layout,
			   uint64_t size, uint64_t disk_size)
{
	encode_string(e, "device", device);
	encode_string(e, "use", scratch_plan_use_name(use));
	encode_string(e, "cipher", layout->name);
	encode_uint(e, "size", size);
	encode_uint(e, "disk_size", disk_size);
}

void rpc_results_scratch(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct params_scratch *params = call->params;
	const struct scratch_plan *plan = &params->request.plan;
	const struct scratch_result *scratch = result;

	encode_string(e, "id", params->id);
	encode_scratch(e, scratch->device, plan->use, plan->layout, scratch->size, scratch->disk_size);
	encode_uint(e, "written", steps_written(&scratch->steps));
	rpc_results_steps(e, &scratch->steps);
}

void rpc_results_scratches(struct encode *e, const struct rpc_call *call, const void *result)
{
	(void)result;
	encode_open(e, "scratches", '[');
	for (const struct object *object = call->agent->objects.lists[OBJECT_SCRATCH]; object; object = object->next) {
		const struct scratch_object *scratch = (const struct scratch_object *)object;

		encode_open(e, NULL, '{');
		encode_object(e, object);
		encode_scratch(e, scratch->device, scratch->use, scratch->layout, scratch->size, scratch->disk_size);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

void rpc_results_rootfs(struct encode *e, const struct rpc_call *call, const void *result)
{
	encode_string(e, "id", ((const struct params_rootfs *)call->params)->id);
	rpc_results_steps(e, &((const struct rootfs_result *)result)->steps);
}

static void encode_bases(struct encode *e, const struct object *rootfs)
{
	const struct object *last = rootfs->use_count ? rootfs->uses[rootfs->use_count - 1] : NULL;

	if (last && last->kind == OBJECT_TREE) {
		encode_string(e, "layer", last->id);
		return;
	}
	encode_open(e, "lower", '[');
	for (size_t i = 0; i + 1 < rootfs->use_count; i++)
		encode_string(e, NULL, rootfs->uses[i]->id);
	encode_close(e, ']');
	encode_string(e, "scratch", last ? last->id : "");
}

void rpc_results_rootfs_list(struct encode *e, const struct rpc_call *call, const void *result)
{
	(void)result;
	encode_open(e, "rootfs", '[');
	for (const struct object *object = call->agent->objects.lists[OBJECT_ROOTFS]; object; object = object->next) {
		encode_open(e, NULL, '{');
		encode_object(e, object);
		encode_bases(e, object);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

/* ---- containers ---- */

void rpc_results_container(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct container_result *container = result;

	encode_string(e, "id", ((const struct params_container *)call->params)->id);
	encode_int(e, "pid", container->pid);
	rpc_results_steps(e, &container->steps);
}

void rpc_results_exec(struct encode *e, const struct rpc_call *call, const void *result)
{
	(void)call;
	encode_int(e, "pid", ((const struct container_result *)result)->pid);
}

void rpc_results_exit(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct process_exit *end = result;

	(void)call;
	encode_int(e, "exit_code", end->exit_code);
	if (end->signal)
		encode_int(e, "signal", end->signal);
}
