/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/container_hooks.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

/* A worker's deadline; each hook has its own. */
#define HOOKS_DEADLINE_MS (32u * 60u * 60u * 1000u)

/* ---- poststart ---- */

struct started {
	struct agent *agent;
	struct container_object *container;
	struct hooks_state state;
	struct completion completion;
};

static int run_poststart(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct started *started = context;

	(void)worker, (void)result;
	return hooks_run(&started->container->config->hooks.poststart, "Hooks.poststart", &started->state, err);
}

static const struct operation_kind poststart_kind = {
	.name = "poststart hooks",
	.deadline_ms = HOOKS_DEADLINE_MS,
	.work = run_poststart,
};

static void poststart_done(void *context, const struct error *error, const void *result)
{
	struct started *started = context;
	struct container_object *container = started->container;
	struct completion completion = started->completion;
	struct error ignored;

	(void)result;
	container->object.users--;
	if (error && process_signal(container->first, SIGKILL, &ignored) < 0)
		log_debug("%s: %s", container->object.id, ignored.message);
	free(started);
	completion.done(completion.context, error, NULL);
}

void container_hooks_started(struct agent *agent, struct container_object *container, struct completion completion)
{
	struct error err;

	if (container->config->hooks.poststart.count == 0) {
		completion.done(completion.context, NULL, NULL);
		return;
	}
	struct started *started = calloc(1, sizeof(*started));
	if (!started) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "hooks");
		completion_fail(&completion, &err);
		return;
	}
	started->agent = agent;
	started->container = container;
	started->completion = completion;
	started->state = (struct hooks_state){
		.id = container->object.id,
		.version = container->config->version,
		.status = "running",
		.pid = container->first->pid,
		.labels = &container->config->labels,
	};
	/* It must not be freed meanwhile. */
	container->object.users++;
	const struct operation_start start = {
		.kind = &poststart_kind,
		.object = &container->object,
		.request = started,
		.completion = { poststart_done, started },
	};
	operation_visit(agent, &start);
}

/* ---- poststop ---- */

struct container_hooks_farewell {
	struct job job;
	char id[COFFER_ID_MAX + 1];
	struct config *config;
	json_object *config_json;
	struct decode_memory config_memory;
	struct completion completion;
};

static int run_poststop(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct container_hooks_farewell *farewell = context;
	const struct hooks_state state = {
		.id = farewell->id,
		.version = farewell->config->version,
		.status = "stopped",
		.labels = &farewell->config->labels,
	};

	(void)worker, (void)result;
	return hooks_run(&farewell->config->hooks.poststop, "Hooks.poststop", &state, err);
}

void container_hooks_drop(struct container_hooks_farewell *farewell)
{
	if (!farewell)
		return;
	decode_free(&farewell->config_memory);
	free(farewell->config);
	json_object_put(farewell->config_json);
	free(farewell);
}

static void poststop_done(struct job *job, const struct error *error, const void *result)
{
	struct container_hooks_farewell *farewell = job->context;
	struct completion completion = farewell->completion;

	(void)result;
	if (error)
		log_warning("%s: %s: %s", farewell->id, error->field, error->message);
	undo_free(&job->undo);
	container_hooks_drop(farewell);
	completion.done(completion.context, NULL, NULL);
}

int container_hooks_keep(struct container_object *container, struct container_hooks_farewell **farewell, struct error *err)
{
	*farewell = NULL;
	if (!container->config || container->config->hooks.poststop.count == 0)
		return 0;
	*farewell = calloc(1, sizeof(**farewell));
	struct config *copy = calloc(1, sizeof(*copy));
	if (!*farewell || !copy) {
		free(copy);
		free(take_pointer(*farewell));
		return error_set(err, ERROR_INTERNAL, ENOMEM, "hooks");
	}
	(*farewell)->config = copy;
	snprintf((*farewell)->id, sizeof((*farewell)->id), "%s", container->object.id);
	/* Decoded once more: the container's own goes with it, or stays with it when the removal fails. */
	(*farewell)->config_json = json_object_get(container->config_json);
	if (config_decode(container->config_json, copy, &(*farewell)->config_memory, err) == 0)
		return 0;
	container_hooks_drop(take_pointer(*farewell));
	return -EINVAL;
}

void container_hooks_stopped(struct agent *agent, struct container_hooks_farewell *farewell, struct completion completion)
{
	if (!farewell) {
		completion.done(completion.context, NULL, NULL);
		return;
	}
	farewell->completion = completion;
	farewell->job = (struct job){
		.name = "poststop hooks",
		.deadline_ms = HOOKS_DEADLINE_MS,
		.work = run_poststop,
		.done = poststop_done,
		.context = farewell,
	};
	job_start(agent->jobs, &farewell->job);
}
