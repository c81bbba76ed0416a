/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/containers.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "container/oci.h"
#include "container/validate.h"
#include "service/binds.h"
#include "service/container_hooks.h"
#include "service/joins.h"
#include "service/launching.h"
#include "service/storage.h"
#include "sys/cgroups.h"
#include "sys/paths.h"

static void release_container(struct agent *agent, struct object *object)
{
	struct container_object *container = (struct container_object *)object;

	(void)agent;
	life_end(container);
	while (container->execs) {
		struct process *exec = container->execs;

		container->execs = exec->next;
		process_free(exec);
	}
	if (container->first)
		process_free(container->first);
	decode_free(&container->config_memory);
	free(container->config);
	json_object_put(container->config_json);
}

static const struct operation_kind create_kind = {
	.name = "container.create",
	.deadline_ms = 60000,
	.result_size = sizeof(struct container_result),
	.work = launching_work,
	.release = release_container,
};

static const struct operation_kind exec_kind = {
	.name = "container.exec",
	.deadline_ms = 60000,
	.result_size = sizeof(struct container_result),
	.work = launching_work,
};

/* Who is born while the list is read may be missed: one round is what "all" means. */
static int signal_all(const struct container_object *container, int signal, struct error *err)
{
	char path[192];

	if (text_format(path, sizeof(path), CGROUPS_ROOT "/%s", container->object.id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "cgroup");
	return cgroups_signal(path, signal, err);
}

/* In a pid namespace of its own the kernel ends the others with the first process; in one that is shared nobody else would. */
static void first_stopped(struct process *process, bool waited)
{
	const struct container_object *container = (const struct container_object *)process->container;
	struct error err;

	(void)waited;
	life_over((struct container_object *)process->container);
	if (!(container->config->namespaces.create & CLONE_NEWPID) && signal_all(container, SIGKILL, &err) < 0)
		log_warning("%s: %s", container->object.id, err.message);
}

/* ---- create ---- */

static void sandbox_started(void *context, const struct error *error, const void *result)
{
	(void)result;
	launching_end(context, error);
}

static void create_done(void *context, const struct error *error, const void *result)
{
	struct launching *launching = context;

	if (!error) {
		launching->result = *(const struct container_result *)result;
		if (launching->process->state == PROCESS_CREATING)
			launching->process->state = PROCESS_CREATED;
		life_begin(launching->agent, launching->container);
	}
	if (error && launching->from_spec) {
		struct error named = *error;

		oci_blame(&named);
		launching_end(launching, &named);
		return;
	}
	if (!error && launching->container->sandbox) {
		/* Or the gate would not end when the child executes. */
		launching_close_theirs(launching);
		process_start(launching->process, (struct completion){ sandbox_started, launching });
		return;
	}
	launching_end(launching, error);
}

/* The request's config and process, or what its spec is converted to. */
static int take_json(struct launching *launching, const struct container_create *request, struct error *err)
{
	if (!request->spec) {
		launching->container->config_json = json_object_get(request->config);
		return 0;
	}
	launching->from_spec = true;
	if (oci_convert(request->spec, &launching->container->config_json, &launching->process_json, err) < 0)
		return error_within(err, "spec");
	if (request->stdio)
		return oci_table_put_text(launching->process_json, "stdio", request->stdio, err);
	return 0;
}

static int decode_config(struct container_object *container, struct error *err)
{
	container->config = calloc(1, sizeof(*container->config));
	if (!container->config)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "config");
	if (config_decode(container->config_json, container->config, &container->config_memory, err) < 0)
		return error_within(err, "config");
	return 0;
}

/* A sandbox's process: nothing that the request says, and no rights. */
static int sandbox_process(struct launching *launching, struct error *err)
{
	static const char *const args[] = { "sandbox" };

	if (validate_sandbox(launching->container->config, err) < 0)
		return error_within(err, "config");
	launching->wanted = (struct config_process){
		.args = { (void *)args, array_count(args) },
		.stdio = CONFIG_STDIO_NULL,
		.has_capabilities = true,
		.no_new_privileges = true,
		.has_no_new_privileges = true,
	};
	return 0;
}

static int decode_process(struct launching *launching, struct error *err)
{
	if (launching->container->sandbox)
		return sandbox_process(launching, err);
	if (config_decode_process(launching->process_json, &launching->wanted, &launching->memory, err) < 0)
		return error_within(err, "process");
	return 0;
}

static int prepare_create(struct launching *launching, const struct container_create *request, struct object *object,
			  struct error *err)
{
	struct object *rootfs = NULL;
	int result = 0;

	launching->container->sandbox = !request->rootfs;
	if (request->rootfs)
		result = objects_get(&launching->agent->objects, OBJECT_ROOTFS, request->rootfs, "rootfs", &rootfs, err);
	if (result == 0 && rootfs)
		result = objects_use(object, rootfs, err);
	if (result == 0)
		result = take_json(launching, request, err);
	if (result == 0)
		result = decode_config(launching->container, err);
	if (result == 0)
		result = joins_resolve(launching->agent, object, &launching->container->config->namespaces, launching->owners, err);
	if (result == 0)
		result = binds_use(launching->agent, object, launching->container->config, err);
	if (result == 0)
		result = decode_process(launching, err);
	if (result < 0 && launching->from_spec)
		oci_blame(err);
	if (result == 0 && ((rootfs && text_format(launching->rootfs, sizeof(launching->rootfs), STORAGE_ROOTFS_DIRECTORY "/%s",
						   rootfs->id) < 0) ||
			    text_format(launching->cgroup, sizeof(launching->cgroup), CGROUPS_ROOT "/%s", request->id) < 0))
		result = error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "container %s", request->id);
	if (result == 0)
		result = process_new(launching->agent, object, "", &launching->wanted, launching->theirs, &launching->process, err);
	if (result < 0)
		return result;
	launching->process->stopped = first_stopped;
	launching->container->first = launching->process;
	return 0;
}

void containers_create(struct agent *agent, const struct container_create *request, struct completion completion)
{
	struct launching *launching = launching_new(agent, request->process, completion);
	struct object *object;
	struct error err;

	if (!launching) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "container.create");
		completion_fail(&completion, &err);
		return;
	}
	int result = objects_add(&agent->objects, OBJECT_CONTAINER, request->id, sizeof(struct container_object), &object, &err);
	if (result < 0) {
		launching_end(launching, &err);
		return;
	}
	launching->container = (struct container_object *)object;
	result = prepare_create(launching, request, object, &err);
	if (result < 0) {
		release_container(agent, object);
		objects_remove(&agent->objects, object);
		launching_end(launching, &err);
		return;
	}
	int keep[JOB_KEEP_MAX], keep_count = launching_keep(launching, keep);
	const struct operation_start start = {
		.kind = &create_kind,
		.object = object,
		.request = launching,
		.keep = keep,
		.keep_count = keep_count,
		.spawned = launching_spawned,
		.completion = { create_done, launching },
	};
	operation_create(agent, &start);
}

/* ---- finding ---- */

static int find_container(struct agent *agent, const char *id, struct container_object **container, struct error *err)
{
	return objects_get(&agent->objects, OBJECT_CONTAINER, id, "id", (struct object **)container, err);
}

static void exec_failed(struct process *exec, bool waited);

/* One whose request has been answered with an error is to be buried yet, but its name is free. */
static bool has_name(const struct process *process, const char *exec)
{
	return !process->abandoned && process->stopped != exec_failed && strcmp(process->id, exec) == 0;
}

int containers_process(struct agent *agent, const char *id, const char *exec, struct process **process, struct error *err)
{
	struct container_object *container;
	int result = find_container(agent, id, &container, err);

	if (result < 0)
		return result;
	*process = container->first;
	if (exec) {
		*process = container->execs;
		while (*process && !has_name(*process, exec))
			*process = (*process)->next;
	}
	if (*process)
		return 0;
	result = error_set(err, ERROR_NOT_FOUND, ENOENT, "the container %s has no exec %s", id, exec ? exec : "");
	snprintf(err->field, sizeof(err->field), "exec");
	return result;
}

const char *containers_state(const struct container_object *container)
{
	static const char *const names[] = { "creating", "created", "running", "stopped" };

	if (container->object.state == OBJECT_REMOVING || container->object.state == OBJECT_BROKEN)
		return objects_state_name(container->object.state);
	if (container->object.state == OBJECT_CREATING || !container->first)
		return "creating";
	if (container->first->state == PROCESS_RUNNING && life_is_paused(&container->life))
		return "paused";
	return names[container->first->state];
}

/* ---- start, signal, wait, resize ---- */

struct starting {
	struct agent *agent;
	struct container_object *container;
	struct completion completion;
};

static void first_started(void *context, const struct error *error, const void *result)
{
	struct starting starting = *(struct starting *)context;

	(void)result;
	free(context);
	/* With an error the container may be on its way out. */
	if (error)
		starting.completion.done(starting.completion.context, error, NULL);
	else
		container_hooks_started(starting.agent, starting.container, starting.completion);
}

void containers_start(struct agent *agent, const char *id, struct completion completion)
{
	struct container_object *container;
	struct error err;
	int result = find_container(agent, id, &container, &err);

	if (result == 0 && container->object.state != OBJECT_READY)
		result = error_set(&err, ERROR_STATE, EINVAL, "the container is %s", containers_state(container));
	if (result < 0) {
		completion_fail(&completion, &err);
		return;
	}
	struct starting *starting = calloc(1, sizeof(*starting));
	if (!starting) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "container.start");
		completion_fail(&completion, &err);
		return;
	}
	*starting = (struct starting){ agent, container, completion };
	process_start(container->first, (struct completion){ first_started, starting });
}

void containers_signal(struct agent *agent, const char *id, const char *exec, int signal, bool all, struct completion completion)
{
	struct process *process;
	struct error err;
	int result = containers_process(agent, id, exec, &process, &err);

	if (result == 0 && process->container->state != OBJECT_READY)
		result = error_set(&err, ERROR_STATE, EINVAL, "the container is %s",
				   containers_state((struct container_object *)process->container));
	if (result == 0)
		result = all ? signal_all((struct container_object *)process->container, signal, &err)
			     : process_signal(process, signal, &err);
	if (result < 0) {
		completion_fail(&completion, &err);
		return;
	}
	if (all || !exec)
		life_signalled((struct container_object *)process->container, signal, all);
	completion.done(completion.context, NULL, NULL);
}

static void free_exec(struct process *exec)
{
	struct container_object *container = (struct container_object *)exec->container;
	struct process **at = &container->execs;

	while (*at && *at != exec)
		at = &(*at)->next;
	if (*at)
		*at = exec->next;
	process_free(exec);
}

/* Its name is free again; a connection that still takes its output gets the rest. */
static void forget_exec(struct process *exec)
{
	exec->stopped = NULL;
	if (exec->sinks)
		exec->abandoned = free_exec;
	else
		free_exec(exec);
}

static void exec_stopped(struct process *exec, bool waited)
{
	if (waited)
		forget_exec(exec);
}

static void exec_failed(struct process *exec, bool waited)
{
	(void)waited;
	forget_exec(exec);
}

void containers_wait(struct agent *agent, const char *id, const char *exec, struct completion completion)
{
	struct process *process;
	struct error err;

	if (containers_process(agent, id, exec, &process, &err) < 0) {
		completion_fail(&completion, &err);
		return;
	}
	bool over = process->state == PROCESS_STOPPED;
	process_wait(process, completion);
	if (over && exec)
		forget_exec(process);
}

void containers_resize(struct agent *agent, const char *id, const char *exec, unsigned width, unsigned height,
		       struct completion completion)
{
	struct process *process;
	struct error err;
	int result = containers_process(agent, id, exec, &process, &err);

	if (result == 0)
		result = process_resize(process, width, height, &err);
	if (result < 0)
		completion_fail(&completion, &err);
	else
		completion.done(completion.context, NULL, NULL);
}

/* ---- exec ---- */

/* While an exec is under way, the container must not be freed. */
static void exec_end(struct launching *launching, const struct error *error)
{
	launching->container->object.users--;
	launching_end(launching, error);
}

static void exec_started(void *context, const struct error *error, const void *result)
{
	struct launching *launching = context;
	struct process *exec = launching->process;

	(void)result;
	if (error && exec->state == PROCESS_STOPPED)
		forget_exec(exec);
	else if (error)
		exec->stopped = exec_failed;
	exec_end(launching, error);
}

static void exec_launched(void *context, const struct error *error, const void *result)
{
	struct launching *launching = context;

	if (error) {
		/* Its process, if there is one, stands before a gate that will never open, or has died. */
		if (launching->process->pid > 0)
			kill(launching->process->pid, SIGKILL);
		forget_exec(launching->process);
		exec_end(launching, error);
		return;
	}
	launching->result = *(const struct container_result *)result;
	if (launching->process->state == PROCESS_CREATING)
		launching->process->state = PROCESS_CREATED;
	/* Or the gate would not end when the child executes. */
	launching_close_theirs(launching);
	process_start(launching->process, (struct completion){ exec_started, launching });
}

static int prepare_exec(struct launching *launching, const struct container_exec *request, struct error *err)
{
	struct container_object *container;
	struct process *existing;
	struct error ignored;
	int result = find_container(launching->agent, request->id, &container, err);

	if (result < 0)
		return result;
	if (container->object.state != OBJECT_READY || container->first->state != PROCESS_RUNNING ||
	    container->life.freeze != LIFE_THAWED)
		return error_set(err, ERROR_STATE, EINVAL, "the container is %s",
				 container->life.freeze == LIFE_FREEZING ? "pausing" : containers_state(container));
	if (container->sandbox)
		return error_set(err, ERROR_STATE, EINVAL, "a sandbox has no root file system to execute anything from");
	if (containers_process(launching->agent, request->id, request->exec, &existing, &ignored) == 0) {
		result = error_set(err, ERROR_EXISTS, EEXIST, "the container has an exec %s", request->exec);
		snprintf(err->field, sizeof(err->field), "exec");
		return result;
	}
	unsigned count = 0;
	for (const struct process *exec = container->execs; exec; exec = exec->next)
		count++;
	if (count >= COFFER_EXECS_MAX)
		return error_set(err, ERROR_BUSY, EAGAIN, "the container has %u execs", count);
	launching->container = container;
	launching->exec = true;
	launching->target = joins_open(container, err);
	if (launching->target < 0)
		return launching->target;
	if (text_format(launching->cgroup, sizeof(launching->cgroup), CGROUPS_ROOT "/%s", request->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "container %s", request->id);
	result = decode_process(launching, err);
	if (result == 0)
		result = process_new(launching->agent, &container->object, request->exec, &launching->wanted, launching->theirs,
				     &launching->process, err);
	if (result < 0)
		return result;
	launching->process->stopped = exec_stopped;
	launching->process->next = container->execs;
	container->execs = launching->process;
	container->object.users++;
	return 0;
}

void containers_exec(struct agent *agent, const struct container_exec *request, struct completion completion)
{
	struct launching *launching = launching_new(agent, request->process, completion);
	struct error err;

	if (!launching) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "container.exec");
		completion_fail(&completion, &err);
		return;
	}
	if (prepare_exec(launching, request, &err) < 0) {
		launching_end(launching, &err);
		return;
	}
	int keep[JOB_KEEP_MAX], keep_count = launching_keep(launching, keep);
	const struct operation_start start = {
		.kind = &exec_kind,
		.object = &launching->container->object,
		.request = launching,
		.keep = keep,
		.keep_count = keep_count,
		.spawned = launching_spawned,
		.completion = { exec_launched, launching },
	};
	operation_visit(agent, &start);
}

/* ---- remove ---- */

struct removing {
	struct agent *agent;
	struct container_hooks_farewell *farewell;
	struct completion completion;
};

static void container_removed(void *context, const struct error *error, const void *result)
{
	struct removing removing = *(struct removing *)context;

	(void)result;
	free(context);
	if (!error) {
		container_hooks_stopped(removing.agent, removing.farewell, removing.completion);
		return;
	}
	container_hooks_drop(removing.farewell);
	removing.completion.done(removing.completion.context, error, NULL);
}

void containers_remove(struct agent *agent, const char *id, bool force, struct completion completion)
{
	struct container_hooks_farewell *farewell = NULL;
	struct container_object *container;
	struct error err;
	int result = find_container(agent, id, &container, &err);

	if (result == 0)
		result = objects_check_removable(&container->object, &err);
	if (result == 0 && !force && container->object.state == OBJECT_READY && container->first->state == PROCESS_RUNNING)
		result = error_set(&err, ERROR_STATE, EBUSY, "the container is running");
	if (result == 0)
		result = container_hooks_keep(container, &farewell, &err);
	if (result < 0) {
		completion_fail(&completion, &err);
		return;
	}
	struct removing *removing = calloc(1, sizeof(*removing));
	if (!removing) {
		container_hooks_drop(farewell);
		error_set(&err, ERROR_INTERNAL, ENOMEM, "container.remove");
		completion_fail(&completion, &err);
		return;
	}
	*removing = (struct removing){ agent, farewell, completion };
	operation_remove(agent, &create_kind, &container->object, (struct completion){ container_removed, removing });
}
