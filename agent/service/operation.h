/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_OPERATION_H
#define SERVICE_OPERATION_H

#include "agent.h"
#include "service/completion.h"

/*
 * How every request that needs a worker runs: the object is in the list (CREATING or REMOVING) while the worker is busy, and
 * afterwards it is READY, gone, or BROKEN when undoing failed.
 */

struct operation_kind {
	const char *name;     /* for the log: "volume.attach" */
	unsigned deadline_ms; /* added to what the request itself allows for waiting */
	size_t result_size;
	int (*work)(struct worker *worker, void *request, void *result, struct error *err);
	/* In PID 1, when the worker has succeeded: copies into the object what lists show.  May be NULL. */
	void (*apply)(struct object *object, const void *result);
	/* In PID 1, before the object is freed (failed creation, or removal).  May be NULL. */
	void (*release)(struct agent *agent, struct object *object);
};

/*
 * `object` has been added and is CREATING.  `request` must live until the completion; it is read in the worker.  keep: descriptors
 * for the worker, up to JOB_KEEP_MAX.  When no memory is left the object is removed and the completion called with the error.
 */
struct operation_start {
	const struct operation_kind *kind;
	struct object *object;
	void *request;
	unsigned wait_ms;
	const int *keep;
	int keep_count;
	void (*spawned)(struct job *job, pid_t pid, int fd); /* see operation_request */
	struct completion completion;
};

void operation_create(struct agent *agent, const struct operation_start *start);
/* Plays the object's teardown list and frees it.  The caller has checked that it may go. */
void operation_remove(struct agent *agent, const struct operation_kind *kind, struct object *object, struct completion completion);
/* A worker on a ready object that leaves it ready whatever happens: its undo list must be empty at the end. */
void operation_visit(struct agent *agent, const struct operation_start *start);

/* The `request` of the operation that a job belongs to. */
void *operation_request(struct job *job);

#endif
