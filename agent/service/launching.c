/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/launching.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "container/launch.h"

void launching_close_theirs(struct launching *launching)
{
	for (int i = 0; i < 4; i++)
		close_fd(&launching->theirs[i]);
}

static void launching_free(struct launching *launching)
{
	launching_close_theirs(launching);
	close_fd(&launching->target);
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
		close_fd(&launching->owners[kind]);
	decode_free(&launching->memory);
	json_object_put(launching->process_json);
	free(launching);
}

struct launching *launching_new(struct agent *agent, json_object *process, struct completion completion)
{
	struct launching *launching = calloc(1, sizeof(*launching));

	if (!launching)
		return NULL;
	launching->agent = agent;
	launching->completion = completion;
	launching->process_json = json_object_get(process);
	for (int i = 0; i < 4; i++)
		launching->theirs[i] = -1;
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
		launching->owners[kind] = -1;
	launching->target = -1;
	return launching;
}

void launching_end(struct launching *launching, const struct error *error)
{
	struct completion completion = launching->completion;
	struct container_result result = launching->result;

	launching_free(launching);
	completion.done(completion.context, error, error ? NULL : &result);
}

static int tell_spawned(void *context, pid_t pid, int fd, struct error *err)
{
	return job_spawned(context, pid, fd, err);
}

int launching_work(struct worker *worker, void *context, void *result, struct error *err)
{
	struct launching *launching = context;
	struct container_result *answer = result;
	struct launch launch = {
		.id = launching->container->object.id,
		.rootfs = launching->exec ? NULL : launching->rootfs, /* of a sandbox: "" */
		.config = launching->container->config,
		.process = &launching->wanted,
		.cgroup = launching->cgroup,
		.target = launching->target,
		.gate = launching->theirs[3],
		.undo = &worker->undo,
		.steps = &worker->steps,
		.spawned = tell_spawned,
		.context = worker,
	};

	memcpy(launch.standard, launching->theirs, sizeof(launch.standard));
	/* This process's copy of the config: the numbers mean nothing in any other. */
	memcpy(launching->container->config->namespaces.owners, launching->owners, sizeof(launching->owners));
	int outcome = launch_run(&launch, &answer->pid, err);
	answer->steps = worker->steps;
	return outcome;
}

int launching_keep(const struct launching *launching, int keep[JOB_KEEP_MAX])
{
	int count = 0;

	for (int i = 0; i < 4; i++)
		keep[count++] = launching->theirs[i];
	keep[count++] = launching->target;
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++)
		keep[count++] = launching->owners[kind];
	return count;
}

void launching_spawned(struct job *job, pid_t pid, int fd)
{
	struct launching *launching = operation_request(job);

	process_spawned(launching->process, pid, fd);
}
