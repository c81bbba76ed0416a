/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fake of service/ and of rpc/connection.c, below rpc/call.c and rpc/methods.c: operations check what a request must have been
 * checked for and complete at once; what is sent is kept.  Nothing is done.
 */
#include "fake/services.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "rpc/connection.h"
#include "rpc/results.h"
#include "service/agent_info.h"
#include "service/containers.h"
#include "service/encrypted.h"
#include "service/events.h"
#include "service/resize.h"
#include "service/storage.h"
#include "service/volumes.h"

struct fake_services fake_services;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_id(const char *id)
{
	struct error err;

	must(id && decode_check_id(id, &err) == 0);
}

static void complete(struct completion completion, const void *result)
{
	struct error err;

	fake_services.operations++;
	if (fake_services.fail) {
		error_set(&err, ERROR_STATE, EBUSY, "the fake was told to fail");
		completion_fail(&completion, &err);
	} else {
		completion.done(completion.context, NULL, result);
	}
}

/* ---- rpc/connection.c ---- */

void rpc_connection_send(struct rpc_connection *connection, const void *bytes, size_t size)
{
	(void)connection;
	fake_services.lines++;
	must(buf_append(&fake_services.sent, bytes, size) == 0);
}

void rpc_connection_close(struct rpc_connection *connection)
{
	connection->closing = true;
	fake_services.closed = true;
}

/* ---- service/agent_info.c ---- */

const char *const agent_info_features[] = { "fake", NULL };

void agent_info_read(struct agent_info *info)
{
	memset(info, 0, sizeof(*info));
	fake_services.operations++;
}

/* ---- sys/steps.c ---- */

uint64_t steps_written(const struct steps *steps)
{
	return steps->count;
}

/* ---- service/storage.c ---- */

void storage_attach_volume(struct agent *agent, struct volume_attach *request, struct completion completion)
{
	static const struct volume_result result;
	struct volume_bases bases;
	struct error err;

	(void)agent;
	check_id(request->id);
	must(request->timeout_ms >= 1 && request->timeout_ms <= 600000);
	if (volume_check(request, &bases, &err) < 0)
		completion_fail(&completion, &err);
	else
		complete(completion, &result);
}

void storage_create_scratch(struct agent *agent, struct scratch_create *request, struct completion completion)
{
	static const struct scratch_result result;
	struct error err;

	(void)agent;
	check_id(request->id);
	must(volume_check_device(&request->device, &err) == 0);
	must(request->timeout_ms >= 1 && request->timeout_ms <= 600000);
	must(request->plan.layout && request->plan.layout->name && request->plan.use < SCRATCH_USES);
	must(request->plan.disk_size % INTEGRITY_SECTOR == 0);
	complete(completion, &result);
}

void storage_create_rootfs(struct agent *agent, struct rootfs_create *request, struct completion completion)
{
	static const struct rootfs_result result;

	(void)agent;
	check_id(request->id);
	if (request->layer) {
		check_id(request->layer);
		must(!request->scratch && request->lower_count == 0);
	} else {
		check_id(request->scratch);
		must(request->lower_count >= 1 && request->lower_count <= COFFER_LOWER_MAX);
	}
	for (size_t i = 0; i < request->lower_count; i++)
		check_id(request->lower[i]);
	complete(completion, &result);
}

void storage_remove(struct agent *agent, enum object_kind kind, const char *id, struct completion completion)
{
	(void)agent;
	must(kind < OBJECT_KINDS);
	check_id(id);
	complete(completion, NULL);
}

/* ---- service/volumes.c ---- */

void volumes_create(struct agent *agent, struct volumes_create *request, struct completion completion)
{
	static const struct volume_result result;

	(void)agent;
	check_id(request->id);
	must(request->type);
	complete(completion, &result);
}

void volumes_read_stats(struct agent *agent, enum object_kind kind, const char *id, struct completion completion)
{
	static const struct volumes_stats result;

	(void)agent;
	must(kind == OBJECT_VOLUME || kind == OBJECT_SCRATCH);
	check_id(id);
	complete(completion, &result);
}

/* ---- service/encrypted.c, service/resize.c ---- */

static void check_key(const struct key_request *key)
{
	must((key->passphrase != NULL) + (key->raw != NULL) + key->has_file + key->has_service == 1);
	must(!key->has_file || (key->file.volume && key->file.path && *key->file.path));
	must(!key->has_service || (key->service.id && !key->service.unix_path == (key->service.port != 0)));
	must(key->service.attempts <= 90);
}

static void encrypted_made(const struct encrypted_request *request, struct completion completion)
{
	static const struct encrypted_result result;

	check_id(request->id);
	check_key(&request->key);
	must(request->timeout_ms >= 1 && request->timeout_ms <= 600000);
	complete(completion, &result);
}

void encrypted_volume_create(struct agent *agent, struct encrypted_request *request, struct completion completion)
{
	(void)agent;
	encrypted_made(request, completion);
}

void encrypted_volume_open(struct agent *agent, struct encrypted_request *request, struct completion completion)
{
	(void)agent;
	encrypted_made(request, completion);
}

void encrypted_volume_change_key(struct agent *agent, struct encrypted_change *request, struct completion completion)
{
	static const struct encrypted_result result;

	(void)agent;
	check_key(&request->key);
	check_key(&request->new_key);
	complete(completion, &result);
}

void resize_volume(struct agent *agent, struct resize_request *request, struct completion completion)
{
	static const struct encrypted_growth result;

	(void)agent;
	check_id(request->id);
	complete(completion, &result);
}

/* ---- service/containers.c ---- */

static int check_config(json_object *json)
{
	struct decode_memory memory = { 0 };
	struct config config;
	struct error err;
	int result = config_decode(json, &config, &memory, &err);

	decode_free(&memory);
	return result;
}

static int check_process(json_object *json)
{
	struct decode_memory memory = { 0 };
	struct config_process process;
	struct error err;
	int result = config_decode_process(json, &process, &memory, &err);

	decode_free(&memory);
	return result;
}

void containers_create(struct agent *agent, const struct container_create *request, struct completion completion)
{
	static const struct container_result result;
	struct error err;

	(void)agent;
	check_id(request->id);
	check_id(request->rootfs);
	must(request->spec ? !request->config && !request->process : request->config && request->process);
	if (request->spec) {
		complete(completion, &result);
	} else if (check_config(request->config) < 0 || check_process(request->process) < 0) {
		error_field(&err, "config", "is wrong");
		completion_fail(&completion, &err);
	} else {
		complete(completion, &result);
	}
}

void containers_exec(struct agent *agent, const struct container_exec *request, struct completion completion)
{
	static const struct container_result result;
	struct error err;

	(void)agent;
	check_id(request->id);
	check_id(request->exec);
	if (check_process(request->process) < 0) {
		error_field(&err, "process", "is wrong");
		completion_fail(&completion, &err);
	} else {
		complete(completion, &result);
	}
}

static void for_process(const char *id, const char *exec, struct completion completion)
{
	static const struct process_exit result;

	check_id(id);
	if (exec)
		check_id(exec);
	complete(completion, &result);
}

void containers_start(struct agent *agent, const char *id, struct completion completion)
{
	(void)agent;
	for_process(id, NULL, completion);
}

void containers_signal(struct agent *agent, const char *id, const char *exec, int signal, bool all, struct completion completion)
{
	(void)agent;
	must(signal >= 1 && signal <= 64);
	must(!(all && exec));
	for_process(id, exec, completion);
}

void containers_wait(struct agent *agent, const char *id, const char *exec, struct completion completion)
{
	(void)agent;
	for_process(id, exec, completion);
}

void containers_resize(struct agent *agent, const char *id, const char *exec, unsigned width, unsigned height,
		       struct completion completion)
{
	(void)agent;
	must(width <= UINT16_MAX && height <= UINT16_MAX);
	for_process(id, exec, completion);
}

void containers_remove(struct agent *agent, const char *id, bool force, struct completion completion)
{
	(void)agent, (void)force;
	for_process(id, NULL, completion);
}

const char *containers_state(const struct container_object *container)
{
	(void)container;
	return "created";
}

/* ---- service/life.c and service/events.c ---- */

void life_pause(struct agent *agent, const char *id, struct completion completion)
{
	(void)agent;
	for_process(id, NULL, completion);
}

void life_resume(struct agent *agent, const char *id, struct completion completion)
{
	(void)agent;
	for_process(id, NULL, completion);
}

void life_update(struct agent *agent, const char *id, json_object *resources, struct completion completion)
{
	struct decode_memory memory = { 0 };
	struct resources decoded;
	struct error err;

	(void)agent;
	check_id(id);
	if (decode_object(resources, &resources_schema, &decoded, &memory, &err) < 0) {
		error_within(&err, "resources");
		completion_fail(&completion, &err);
	} else {
		complete(completion, NULL);
	}
	decode_free(&memory);
}

int life_stats(struct agent *agent, const char *id, struct usage *usage, struct error *err)
{
	(void)agent;
	check_id(id);
	fake_services.operations++;
	memset(usage, 0xff, sizeof(*usage));
	usage->device_count = USAGE_DEVICES_MAX;
	return fake_services.fail ? error_set(err, ERROR_STATE, EBUSY, "the fake was told to fail") : 0;
}

void events_subscribe(struct agent *agent, struct events_sink *sink)
{
	(void)agent, (void)sink;
	fake_services.operations++;
}

void events_unsubscribe(struct agent *agent, struct events_sink *sink)
{
	(void)agent, (void)sink;
}

void jobs_set_fault(struct jobs *jobs, unsigned after)
{
	(void)jobs;
	must(after <= 1000);
}
