/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/undo.h"
#include "loop.h"
#include "sys/steps.h"

/*
 * A job is work that may block, parse a disk or call a large library: it runs in a forked worker, so a crash in it is an error
 * answer, its keys die with it, and many run at once.
 *
 *   job_start -> queued -> worker runs work() -> success: done(), with the undo list in job->undo
 *                                             -> failure, crash or deadline: a second worker plays the undo list -> done() with the
 * error
 *
 * The worker tells its parent each undo record before it acts on it, so whatever happens to it the parent can take back what it
 * did.  If that fails too, the error is ERROR_TEARDOWN and job->undo still holds the records.
 *
 * A worker that has been killed at its deadline may still not die: it waits in the kernel for a disk that does not answer.  Then
 * answer_late() is told, two seconds later, so that the request can be answered.  Claims and records stay, the teardown comes when
 * the worker does die, and done() is called after that.
 */

#define JOB_RESULT_MAX 8192u
#define JOB_KEEP_MAX   16

struct jobs; /* the scheduler: one for the agent */

/* The worker's side. */
struct worker {
	int socket;
	struct undo undo;
	struct steps steps;
	unsigned fault_after, published; /* COFFER_FAULTS: die after this many records */
};

struct job {
	/* Set by the owner.  The strings and descriptors must stay until done() is called. */
	const char *name; /* for the log */
	unsigned deadline_ms;
	/* In the worker.  `result` (JOB_RESULT_MAX bytes, zeroed) goes to the parent as it is. */
	int (*work)(struct worker *worker, void *context, void *result, struct error *err);
	size_t result_size;
	/* In the parent, once.  `error` is NULL on success.  The undo list is the owner's now: move it or free it. */
	void (*done)(struct job *job, const struct error *error, const void *result);
	/*
	 * In the parent, optional, at most once and before done(): the worker is stuck.  What follows cannot change the answer any
	 * more: done() comes with an error, or of a teardown perhaps with success.  `spawned` is not called any more, and `context`
	 * is only handed to done().
	 */
	void (*answer_late)(struct job *job, const struct error *error);
	/* In the parent, optional: a process that the worker made (a container's), before it can have ended. */
	void (*spawned)(struct job *job, pid_t pid, int fd);
	void *context;
	int keep[JOB_KEEP_MAX]; /* descriptors that the worker needs; the others are closed in it */
	int keep_count;

	/* The scheduler's. */
	struct undo undo;
	struct jobs *jobs;
	struct job *next;
	struct loop_watch watch;
	struct loop_child child;
	struct loop_timer timer;
	struct error error;    /* of the worker that runs now */
	struct error cause;    /* why the teardown runs; ERROR_NONE when it was asked for */
	unsigned char *result; /* of a successful worker, until done() returns */
	int phase;
	bool stuck; /* the worker that runs now has been killed and does not die */
	bool late;  /* answer_late() has been called */
};

must_check int jobs_new(struct loop *loop, struct jobs **jobs, struct error *err);
/* Reads what all workers have said: loop_hooks.before_reap. */
void jobs_drain(struct jobs *jobs);
/* Queued and running ones. */
unsigned jobs_count(const struct jobs *jobs);
/* Test builds only: the next job's worker is killed after that many undo records; 0 for none. */
void jobs_set_fault(struct jobs *jobs, unsigned after);

/* The job is the scheduler's until done(). */
void job_start(struct jobs *jobs, struct job *job);
/* A job whose work is to play `job->undo`, which the owner has filled.  On success the list comes back empty. */
void job_start_teardown(struct jobs *jobs, struct job *job);

/*
 * In a worker: takes the device for the owner of the undo list, as a UNDO_CLAIM record.  ERROR_IN_USE when another list has it, the
 * disk of which it is a partition, or a partition of it.
 */
must_check int job_claim(void *worker, dev_t device, struct error *err);
/* In a worker: tells the parent of a process that it must reap; `fd` (or -1) goes along. */
must_check int job_spawned(struct worker *worker, pid_t pid, int fd, struct error *err);

/* Asked by the scheduler: does any object's list have a conflicting claim (base/claim.h)?  Set once by the owner of the objects. */
void jobs_set_claims(struct jobs *jobs, int (*claimed)(void *context, const char *claim), void *context);

#endif
