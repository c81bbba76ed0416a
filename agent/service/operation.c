/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/operation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

struct operation {
	struct job job;
	struct agent *agent;
	const struct operation_kind *kind;
	struct object *object;
	void *request;
	struct completion completion;
};

void *operation_request(struct job *job)
{
	return ((struct operation *)job->context)->request;
}

static void created(struct job *job, const struct error *error, const void *result);

static int run_work(struct worker *worker, void *context, void *result, struct error *err)
{
	struct operation *operation = context;

	return operation->kind->work(worker, operation->request, result, err);
}

/* The front end's completion, unless it has had its answer. */
static void complete(struct operation *operation, const struct error *error, const void *result)
{
	struct completion completion = operation->completion;

	operation->completion.done = NULL;
	if (completion.done)
		completion.done(completion.context, error, result);
}

/* The object is shown as being removed until the worker has died and its records have been played. */
static void stuck(struct job *job, const struct error *error)
{
	struct operation *operation = job->context;

	if (job->done == created)
		operation->object->state = OBJECT_REMOVING;
	operation->request = NULL; /* it ends with the completion */
	complete(operation, error, NULL);
}

static void drop_object(struct operation *operation)
{
	if (operation->kind->release)
		operation->kind->release(operation->agent, operation->object);
	objects_remove(&operation->agent->objects, operation->object);
}

static void keep_broken(struct operation *operation)
{
	undo_free(&operation->object->teardown);
	operation->object->teardown = operation->job.undo;
	operation->object->state = OBJECT_BROKEN;
}

static void created(struct job *job, const struct error *error, const void *result)
{
	auto_free struct operation *operation = job->context;
	struct object *object = operation->object;

	if (!error) {
		object->teardown = job->undo;
		object->state = OBJECT_READY;
		if (operation->kind->apply)
			operation->kind->apply(object, result);
	} else if (error->code == ERROR_TEARDOWN) {
		keep_broken(operation);
	} else {
		undo_free(&job->undo);
		drop_object(operation);
	}
	complete(operation, error, result);
}

static void removed(struct job *job, const struct error *error, const void *result)
{
	auto_free struct operation *operation = job->context;

	(void)result;
	if (error) {
		keep_broken(operation);
	} else {
		undo_free(&job->undo);
		drop_object(operation);
	}
	complete(operation, error, NULL);
}

static void visited(struct job *job, const struct error *error, const void *result)
{
	auto_free struct operation *operation = job->context;

	undo_free(&job->undo);
	complete(operation, error, result);
}

static struct operation *make(struct agent *agent, const struct operation_start *start)
{
	struct operation *operation = calloc(1, sizeof(*operation));

	if (!operation)
		return NULL;
	operation->agent = agent;
	operation->kind = start->kind;
	operation->object = start->object;
	operation->request = start->request;
	operation->completion = start->completion;
	operation->job = (struct job){
		.name = start->kind->name,
		.deadline_ms = start->kind->deadline_ms + start->wait_ms,
		.work = run_work,
		.result_size = start->kind->result_size,
		.spawned = start->spawned,
		.answer_late = stuck,
		.context = operation,
		.keep_count = start->keep_count,
	};
	for (int i = 0; i < start->keep_count; i++)
		operation->job.keep[i] = start->keep[i];
	return operation;
}

void operation_create(struct agent *agent, const struct operation_start *start)
{
	struct operation *operation = make(agent, start);
	struct error err;

	if (!operation) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "%s", start->kind->name);
		if (start->kind->release)
			start->kind->release(agent, start->object);
		objects_remove(&agent->objects, start->object);
		completion_fail(&start->completion, &err);
		return;
	}
	operation->job.done = created;
	job_start(agent->jobs, &operation->job);
}

void operation_visit(struct agent *agent, const struct operation_start *start)
{
	struct operation *operation = make(agent, start);
	struct error err;

	if (!operation) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "%s", start->kind->name);
		completion_fail(&start->completion, &err);
		return;
	}
	operation->job.done = visited;
	job_start(agent->jobs, &operation->job);
}

void operation_remove(struct agent *agent, const struct operation_kind *kind, struct object *object, struct completion completion)
{
	const struct operation_start start = { .kind = kind, .object = object, .completion = completion };
	struct operation *operation = make(agent, &start);
	struct error err;

	if (!operation) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "remove %s", object->id);
		completion_fail(&completion, &err);
		return;
	}
	object->state = OBJECT_REMOVING;
	operation->job.undo = object->teardown;
	object->teardown = (struct undo){ 0 };
	operation->job.done = removed;
	job_start_teardown(agent->jobs, &operation->job);
}
