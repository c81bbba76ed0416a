/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/life.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "rpc/params.h"
#include "service/containers.h"
#include "service/events.h"

struct params_update {
	const char *id;
	json_object *resources;
};

static const struct decode_field update_fields[] = {
	{ .name = "id",
	  .kind = DECODE_STRING,
	  .offset = offsetof(struct params_update, id),
	  .flags = DECODE_REQUIRED,
	  .max = COFFER_ID_MAX,
	  .check = decode_check_id },
	{ .name = "resources", .kind = DECODE_RAW, .offset = offsetof(struct params_update, resources), .flags = DECODE_REQUIRED },
};
const struct decode_schema rpc_life_update_schema = { update_fields, array_count(update_fields), sizeof(struct params_update),
						      NULL };

static const char *id_of(const struct rpc_call *call)
{
	return ((const struct params_id *)call->params)->id;
}

void rpc_life_run_pause(struct rpc_call *call)
{
	life_pause(call->agent, id_of(call), rpc_call_answer(call));
}

void rpc_life_run_resume(struct rpc_call *call)
{
	life_resume(call->agent, id_of(call), rpc_call_answer(call));
}

void rpc_life_run_update(struct rpc_call *call)
{
	const struct params_update *params = call->params;

	life_update(call->agent, params->id, params->resources, rpc_call_answer(call));
}

/* ---- state ---- */

void rpc_life_run_state(struct rpc_call *call)
{
	struct object *object;
	struct error err;

	if (objects_get(&call->agent->objects, OBJECT_CONTAINER, id_of(call), "id", &object, &err) < 0)
		rpc_call_fail(call, &err);
	else
		rpc_call_done(call, NULL, object);
}

static void encode_time(struct encode *e, const char *key, uint64_t time_ms)
{
	if (time_ms)
		encode_uint(e, key, time_ms);
	else
		encode_null(e, key);
}

static void encode_process(struct encode *e, const struct process *process)
{
	encode_int(e, "pid", process ? process->pid : 0);
	encode_time(e, "started_ms", process ? process->started_ms : 0);
	encode_time(e, "finished_ms", process ? process->finished_ms : 0);
	if (process && process->state == PROCESS_STOPPED) {
		encode_int(e, "exit_code", process->exit_code);
		if (process->signal)
			encode_int(e, "signal", process->signal);
	}
	encode_bool(e, "terminal", process && process->terminal);
	encode_open(e, "args", '[');
	for (char *const *arg = process ? process->args : NULL; arg && *arg; arg++)
		encode_string(e, NULL, *arg);
	encode_close(e, ']');
}

static void encode_container(struct encode *e, const struct container_object *container)
{
	static const char *const states[] = { "creating", "created", "running", "stopped" };
	const struct decode_list *labels = container->config ? &container->config->labels : NULL;
	/* A sandbox has no root of its own: what it uses are those that it joins. */
	bool has_root = container->object.use_count && !container->sandbox;

	encode_string(e, "id", container->object.id);
	encode_string(e, "state", containers_state(container));
	encode_string(e, "rootfs", has_root ? container->object.uses[0]->id : "");
	encode_bool(e, "sandbox", container->sandbox);
	encode_string(e, "cgroup", container->life.cgroup);
	encode_time(e, "created_ms", container->life.created_ms);
	encode_process(e, container->first);
	encode_open(e, "labels", '[');
	for (size_t i = 0; labels && i < labels->count; i++)
		encode_string(e, NULL, ((const char *const *)labels->items)[i]);
	encode_close(e, ']');
	encode_open(e, "execs", '[');
	for (const struct process *exec = container->execs; exec; exec = exec->next) {
		if (exec->abandoned)
			continue;
		encode_open(e, NULL, '{');
		encode_string(e, "id", exec->id);
		encode_string(e, "state", states[exec->state]);
		encode_process(e, exec);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

void rpc_life_encode_state(struct encode *e, const struct rpc_call *call, const void *result)
{
	(void)call;
	encode_container(e, result);
}

void rpc_life_encode_list(struct encode *e, const struct rpc_call *call, const void *result)
{
	(void)result;
	encode_open(e, "containers", '[');
	for (const struct object *object = call->agent->objects.lists[OBJECT_CONTAINER]; object; object = object->next) {
		encode_open(e, NULL, '{');
		encode_container(e, (const struct container_object *)object);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

/* ---- stats ---- */

void rpc_life_run_stats(struct rpc_call *call)
{
	struct usage usage;
	struct error err;

	if (life_stats(call->agent, id_of(call), &usage, &err) < 0)
		rpc_call_fail(call, &err);
	else
		rpc_call_done(call, NULL, &usage);
}

static void encode_number(struct encode *e, const char *key, uint64_t value)
{
	if (value == USAGE_NONE)
		encode_null(e, key);
	else
		encode_uint(e, key, value);
}

void rpc_life_encode_stats(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct usage *usage = result;

	encode_string(e, "id", id_of(call));
	encode_open(e, "cpu", '{');
	encode_number(e, "usage_us", usage->cpu_us);
	encode_number(e, "user_us", usage->user_us);
	encode_number(e, "system_us", usage->system_us);
	encode_number(e, "periods", usage->periods);
	encode_number(e, "throttled", usage->throttled);
	encode_number(e, "throttled_us", usage->throttled_us);
	encode_close(e, '}');
	encode_open(e, "memory", '{');
	encode_number(e, "current", usage->memory);
	encode_number(e, "peak", usage->peak);
	encode_number(e, "swap", usage->swap);
	encode_number(e, "limit", usage->memory_limit);
	encode_number(e, "anon", usage->anon);
	encode_number(e, "file", usage->file);
	encode_number(e, "kernel", usage->kernel);
	encode_number(e, "oom", usage->oom);
	encode_number(e, "oom_kill", usage->oom_kills);
	encode_close(e, '}');
	encode_open(e, "pids", '{');
	encode_number(e, "current", usage->pids);
	encode_number(e, "limit", usage->pids_limit);
	encode_close(e, '}');
	encode_open(e, "io", '[');
	for (size_t i = 0; i < usage->device_count; i++) {
		const struct usage_device *device = &usage->devices[i];

		encode_open(e, NULL, '{');
		encode_uint(e, "major", device->major);
		encode_uint(e, "minor", device->minor);
		encode_uint(e, "rbytes", device->rbytes);
		encode_uint(e, "wbytes", device->wbytes);
		encode_uint(e, "rios", device->rios);
		encode_uint(e, "wios", device->wios);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

/* ---- events ---- */

/* A peer that does not read loses the connection like any other (rpc_connection_send), and with it the subscription. */
static void tell(struct events_sink *sink, const struct event *event)
{
	struct buf line = { 0 };
	struct encode e = { .buf = &line };

	encode_open(&e, NULL, '{');
	encode_string(&e, "jsonrpc", "2.0");
	encode_string(&e, "method", "event");
	encode_open(&e, "params", '{');
	encode_string(&e, "event", event->name);
	encode_string(&e, "id", event->id);
	if (event->exec && event->exec[0])
		encode_string(&e, "exec", event->exec);
	if (event->has_exit) {
		encode_int(&e, "exit_code", event->exit_code);
		if (event->signal)
			encode_int(&e, "signal", event->signal);
	}
	if (event->has_count)
		encode_uint(&e, "count", event->count);
	encode_uint(&e, "time_ms", event->time_ms);
	encode_close(&e, '}');
	encode_close(&e, '}');
	rpc_call_send(sink->context, &line, &e);
}

void rpc_life_run_subscribe(struct rpc_call *call)
{
	struct rpc_connection *connection = call->connection;
	struct error err;

	if (!connection->subscription) {
		struct events_sink *sink = calloc(1, sizeof(*sink));

		if (!sink) {
			error_set(&err, ERROR_INTERNAL, ENOMEM, "subscription");
			rpc_call_fail(call, &err);
			return;
		}
		sink->tell = tell;
		sink->context = connection;
		connection->subscription = sink;
		events_subscribe(call->agent, sink);
	}
	rpc_call_done(call, NULL, NULL);
}

void rpc_life_unsubscribe(struct rpc_connection *connection)
{
	if (!connection->subscription)
		return;
	events_unsubscribe(connection->agent, connection->subscription);
	free(take_pointer(connection->subscription));
}
