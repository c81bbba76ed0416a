/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/claim.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "coffer/protocol.h"
#include "sys/blockdev.h"
#include "sys/rights.h"
#include "sys/rollback.h"

#define TEARDOWN_DEADLINE_MS 60000u
#define TEARDOWN_RECORD_MS   100u /* for each record besides: a tree of sealed layers has more than a thousand */
/* How long a worker may take to die of SIGKILL: one that waits for a disk in the kernel does not before the disk answers. */
#define DEATH_MS 2000u

/* What a worker says: one datagram, the first byte is its kind.  Undo records and log lines of a worker are "U" and "L". */
enum { SAYS_UNDO = 'U', SAYS_CLAIM = 'C', SAYS_LOG = 'L', SAYS_PROCESS = 'P', SAYS_RESULT = 'R', SAYS_ERROR = 'E' };

enum { PHASE_QUEUED, PHASE_WORK, PHASE_TEARDOWN };

struct jobs {
	struct loop *loop;
	struct job *running, *queued;
	unsigned running_count; /* without those that are stuck: they are no work for anybody */
	unsigned stuck_count, queued_count, fault_after;
	int (*claimed)(void *context, const char *claim);
	void *claims_context;
};

/* One message, of any kind, on either side. */
struct message {
	char kind;
	_Alignas(8) union {
		struct undo_record undo;
		struct error error;
		pid_t pid;
		unsigned char result[JOB_RESULT_MAX];
	} body;
};

#define MESSAGE_SIZE(member) (offsetof(struct message, body) + sizeof(((struct message *)0)->body.member))

int jobs_new(struct loop *loop, struct jobs **jobs, struct error *err)
{
	*jobs = calloc(1, sizeof(**jobs));
	if (!*jobs)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "jobs");
	(*jobs)->loop = loop;
	return 0;
}

unsigned jobs_count(const struct jobs *jobs)
{
	return jobs->running_count + jobs->stuck_count + jobs->queued_count;
}

void jobs_set_fault(struct jobs *jobs, unsigned after)
{
	jobs->fault_after = after;
}

void jobs_set_claims(struct jobs *jobs, int (*claimed)(void *context, const char *claim), void *context)
{
	jobs->claimed = claimed;
	jobs->claims_context = context;
}

/* ---- the worker's side ---- */

static int say(int socket, const struct message *message, size_t size, int fd, struct error *err)
{
	int result = rights_send(socket, message, size, fd);

	return result < 0 ? error_set(err, ERROR_INTERNAL, -result, "tell the agent") : 0;
}

/* Test builds: dies as if a library had crashed, at a point that the test chose. */
static void maybe_die(struct worker *worker)
{
#ifdef COFFER_FAULTS
	if (worker->fault_after && ++worker->published >= worker->fault_after)
		kill(getpid(), SIGKILL);
#else
	(void)worker;
#endif
}

static int publish(void *context, const struct undo_record *record, struct error *err)
{
	struct worker *worker = context;
	struct message message = { .kind = SAYS_UNDO, .body.undo = *record };
	int result = say(worker->socket, &message, MESSAGE_SIZE(undo), -1, err);

	if (result == 0)
		maybe_die(worker);
	return result;
}

int job_claim(void *context, dev_t device, struct error *err)
{
	struct worker *worker = context;
	struct message message = { .kind = SAYS_CLAIM };
	char verdict = 0;
	dev_t disk;
	ssize_t got;

	message.body.undo.kind = UNDO_CLAIM;
	int result = blockdev_whole(device, &disk, err);
	if (result == 0) {
		claim_format(message.body.undo.name, device, disk);
		result = say(worker->socket, &message, MESSAGE_SIZE(undo), -1, err);
	}
	if (result < 0)
		return result;
	do
		got = recv(worker->socket, &verdict, 1, 0);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		return error_set(err, ERROR_INTERNAL, EPIPE, "claim device %s", message.body.undo.name);
	if (verdict != 'y')
		return error_set(err, ERROR_IN_USE, EBUSY, "device %s belongs to another volume or scratch",
				 message.body.undo.name);
	maybe_die(worker);
	return 0;
}

int job_spawned(struct worker *worker, pid_t pid, int fd, struct error *err)
{
	struct message message = { .kind = SAYS_PROCESS };

	message.body.pid = pid;
	return say(worker->socket, &message, MESSAGE_SIZE(pid), fd, err);
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* A connection that a worker kept open would not end when the agent closes it. */
static void close_others(const struct job *job, int socket)
{
	int kept[JOB_KEEP_MAX + 1];
	size_t count = 0;
	unsigned from = 3;

	for (int i = 0; i < job->keep_count; i++) {
		if (job->keep[i] >= 3)
			kept[count++] = job->keep[i];
	}
	kept[count++] = socket;
	qsort(kept, count, sizeof(kept[0]), compare_ints);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)kept[i] > from)
			close_range(from, (unsigned)kept[i] - 1, 0);
		from = (unsigned)kept[i] + 1;
	}
	close_range(from, ~0u, 0);
}

static _Noreturn void run_worker(struct job *job, int socket)
{
	struct worker worker = { .socket = socket, .fault_after = job->phase == PHASE_WORK ? job->jobs->fault_after : 0 };
	struct message message = { .kind = SAYS_RESULT };
	struct error err = { 0 }, lost;
	int result;

	loop_forget_in_child();
	close_others(job, socket);
	log_to_parent(socket);
	prctl(PR_SET_NAME, "coffer-worker");
	prctl(PR_SET_DUMPABLE, 0);
	worker.undo.publish = publish;
	worker.undo.context = &worker;
	steps_begin(&worker.steps);
	if (job->phase == PHASE_TEARDOWN)
		result = rollback_run(&job->undo, &err);
	else
		result = job->work(&worker, job->context, message.body.result, &err);
	if (result < 0) {
		message.kind = SAYS_ERROR;
		message.body.error = err;
		result = say(socket, &message, MESSAGE_SIZE(error), -1, &lost);
	} else {
		if (job->phase == PHASE_WORK)
			maybe_die(&worker);
		result = say(socket, &message, offsetof(struct message, body) + job->result_size, -1, &lost);
	}
	_exit(result < 0 ? 1 : 0);
}

/* ---- the parent's side ---- */

static void launch(struct job *job);

static void run_queue(struct jobs *jobs)
{
	while (jobs->queued && jobs->running_count < COFFER_JOBS_MAX) {
		struct job *job = jobs->queued;

		jobs->queued = job->next;
		jobs->queued_count--;
		launch(job);
	}
}

static int is_claimed(struct jobs *jobs, const char *claim)
{
	for (struct job *job = jobs->running; job; job = job->next) {
		for (size_t i = 0; i < job->undo.count; i++) {
			if (job->undo.records[i].kind == UNDO_CLAIM && claim_conflicts(job->undo.records[i].name, claim))
				return 1;
		}
	}
	return jobs->claimed && jobs->claimed(jobs->claims_context, claim);
}

static void keep_record(struct job *job, struct undo_record *record)
{
	struct error err;

	record->name[UNDO_NAME_MAX - 1] = '\0';
	/* With no memory for the record the change must not happen: the worker is stopped before it acts, as good as can be. */
	if ((unsigned)record->kind >= UNDO_COUNT || undo_push(&job->undo, record->kind, record->name, &err) < 0) {
		log_error("%s: an undo record was lost: %s", job->name, record->name);
		kill(job->child.pid, SIGKILL);
	}
}

/* A worker that the bytes of a disk have taken over may say anything: texts end, and the code is one of ours. */
static void take_error(struct job *job, const struct error *said)
{
	struct error *error = &job->error;

	*error = *said;
	error->step[sizeof(error->step) - 1] = '\0';
	error->field[sizeof(error->field) - 1] = '\0';
	error->message[sizeof(error->message) - 1] = '\0';
	if ((unsigned)error->code >= ERROR_COUNT || error->code == ERROR_NONE)
		error->code = ERROR_INTERNAL;
}

static void hear(struct job *job, struct message *message, size_t size, int fd)
{
	switch (message->kind) {
	case SAYS_UNDO:
		if (size == MESSAGE_SIZE(undo))
			keep_record(job, &message->body.undo);
		break;
	case SAYS_CLAIM:
		if (size == MESSAGE_SIZE(undo)) {
			message->body.undo.name[UNDO_NAME_MAX - 1] = '\0';
			bool taken = is_claimed(job->jobs, message->body.undo.name);

			if (!taken)
				keep_record(job, &message->body.undo);
			send(job->watch.fd, taken ? "n" : "y", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		}
		break;
	case SAYS_LOG:
		/* base/log.c writes it: the level's digit and the text follow the kind. */
		if (size > 2)
			log_from_child(((const char *)message)[1] - '0', (const char *)message + 2, size - 2);
		break;
	case SAYS_PROCESS:
		if (size == MESSAGE_SIZE(pid) && job->spawned) {
			job->spawned(job, message->body.pid, fd);
			fd = -1;
		}
		break;
	case SAYS_RESULT:
		if (size == offsetof(struct message, body) + job->result_size && job->result)
			memcpy(job->result, message->body.result, job->result_size);
		job->error.code = ERROR_NONE;
		break;
	case SAYS_ERROR:
		if (size == MESSAGE_SIZE(error))
			take_error(job, &message->body.error);
		break;
	}
	close_fd(&fd);
}

static void drain(struct job *job)
{
	struct message message;
	ssize_t size;
	int fd;

	while ((size = rights_receive(job->watch.fd, &message, sizeof(message), MSG_DONTWAIT, &fd)) > 0)
		hear(job, &message, (size_t)size, fd);
}

void jobs_drain(struct jobs *jobs)
{
	for (struct job *job = jobs->running; job; job = job->next) {
		if (job->watch.fd >= 0)
			drain(job);
	}
}

static void readable(struct loop_watch *watch, uint32_t events)
{
	struct job *job = watch->context;

	drain(job);
	/* The worker has closed its end; its death is reported by the reaper. */
	if (events & EPOLLHUP)
		loop_remove(job->jobs->loop, watch);
}

static void unlink_running(struct job *job)
{
	struct job **at = &job->jobs->running;

	while (*at && *at != job)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = job->next;
	job->next = NULL;
	if (job->stuck)
		job->jobs->stuck_count--;
	else
		job->jobs->running_count--;
	job->stuck = false;
}

static void finish(struct job *job, const struct error *error)
{
	struct jobs *jobs = job->jobs;
	struct error copy = error ? *error : (struct error){ 0 };
	auto_free unsigned char *result = take_pointer(job->result);

	unlink_running(job);
	job->done(job, error ? &copy : NULL, result); /* may free the job */
	run_queue(jobs);
}

static void teardown_ended(struct job *job)
{
	bool undone = job->error.code == ERROR_NONE, had_cause = job->cause.code != ERROR_NONE;

	if (undone) {
		undo_free(&job->undo);
		finish(job, had_cause ? &job->cause : NULL);
		return;
	}
	if (had_cause)
		log_error("%s: %s", job->name, job->cause.message);
	job->error.code = ERROR_TEARDOWN;
	finish(job, &job->error);
}

/* The second worker of a failed job, or the next one of a teardown whose worker was stuck. */
static void tear_down(struct job *job)
{
	job->phase = PHASE_TEARDOWN;
	unlink_running(job);
	launch(job);
}

static void worker_exited(struct loop_child *child, int status)
{
	struct job *job = child->context;
	struct loop *loop = job->jobs->loop;
	bool was_stuck = job->stuck;

	drain(job);
	loop_disarm(loop, &job->timer);
	loop_remove(loop, &job->watch);
	close_fd(&job->watch.fd);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		if (job->error.code == ERROR_NONE)
			job->error.code = ERROR_INTERNAL;
		log_warning("%s: the worker ended by %s %d", job->name, WIFSIGNALED(status) ? "signal" : "status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	/* What has been answered stands, even if the work came to its end after all. */
	if (job->late && job->phase == PHASE_WORK)
		job->error = job->cause;
	if (job->phase == PHASE_TEARDOWN && was_stuck && job->error.code != ERROR_NONE) {
		tear_down(job);
	} else if (job->phase == PHASE_TEARDOWN) {
		teardown_ended(job);
	} else if (job->error.code == ERROR_NONE || job->undo.count == 0) {
		finish(job, job->error.code == ERROR_NONE ? NULL : &job->error);
	} else {
		/* The error is answered when what was done has been taken back. */
		job->cause = job->error;
		tear_down(job);
	}
}

static unsigned limit_ms(const struct job *job)
{
	return job->phase == PHASE_TEARDOWN ? TEARDOWN_DEADLINE_MS + (unsigned)job->undo.count * TEARDOWN_RECORD_MS
					    : job->deadline_ms;
}

/* It keeps its claims and its records until it dies, but neither its place among the workers nor whoever waits for the answer. */
static void does_not_die(struct loop_timer *timer)
{
	struct job *job = timer->context;
	struct jobs *jobs = job->jobs;
	struct error error;

	log_error("%s: the worker (pid %d) does not die: it waits in the kernel, for a disk as like as not", job->name,
		  (int)job->child.pid);
	job->stuck = true;
	jobs->running_count--;
	jobs->stuck_count++;
	if (!job->late && job->answer_late) {
		error_set(&error, ERROR_TIMEOUT, ETIMEDOUT, "%s did not end within %u ms, and its worker cannot be stopped",
			  job->name, limit_ms(job));
		if (job->cause.code != ERROR_NONE)
			error_wrap(&error, "%s; undoing it", job->cause.message);
		job->late = true;
		if (job->phase == PHASE_WORK)
			job->cause = error;
		job->spawned = NULL;
		job->answer_late(job, &error);
	}
	run_queue(jobs);
}

static void deadline_passed(struct loop_timer *timer)
{
	struct job *job = timer->context;

	drain(job);
	if (job->error.code == ERROR_INTERNAL)
		error_set(&job->error, ERROR_TIMEOUT, ETIMEDOUT, "%s did not end within %u ms", job->name, job->deadline_ms);
	kill(job->child.pid, SIGKILL);
	timer->fire = does_not_die;
	loop_arm(job->jobs->loop, timer, DEATH_MS);
}

/* Takes a job that is in neither list. */
static void launch(struct job *job)
{
	struct jobs *jobs = job->jobs;
	int pair[2] = { -1, -1 };
	struct error err;

	job->next = jobs->running;
	jobs->running = job;
	jobs->running_count++;
	job->watch = (struct loop_watch){ .fd = -1, .ready = readable, .context = job };
	job->child = (struct loop_child){ .pid = -1, .exited = worker_exited, .context = job };
	job->timer = (struct loop_timer){ .fire = deadline_passed, .context = job };
	if (job->phase == PHASE_QUEUED) {
		job->phase = PHASE_WORK;
		job->result = calloc(1, JOB_RESULT_MAX);
	}
	/* What stands if the worker dies without a word. */
	error_set(&job->error, ERROR_INTERNAL, 0, "the worker for %s ended unexpectedly", job->name);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		job->watch.fd = pair[0];
		if (loop_add(jobs->loop, &job->watch, EPOLLIN, &err) == 0)
			job->child.pid = fork();
	}
	if (job->child.pid == 0)
		run_worker(job, pair[1]);
	int errnum = errno;
	close_fd(&pair[1]);
	if (job->child.pid < 0) {
		error_set(&job->error, job->phase == PHASE_TEARDOWN ? ERROR_TEARDOWN : ERROR_INTERNAL, errnum,
			  "start a worker for %s", job->name);
		loop_remove(jobs->loop, &job->watch);
		close_fd(&job->watch.fd);
		finish(job, &job->error);
		return;
	}
	loop_add_child(jobs->loop, &job->child);
	loop_arm(jobs->loop, &job->timer, limit_ms(job));
	if (job->phase == PHASE_WORK)
		jobs->fault_after = 0;
}

static void enqueue(struct jobs *jobs, struct job *job)
{
	struct job **at = &jobs->queued;

	job->jobs = jobs;
	job->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = job;
	jobs->queued_count++;
	run_queue(jobs);
}

void job_start(struct jobs *jobs, struct job *job)
{
	job->phase = PHASE_QUEUED;
	job->late = job->stuck = false;
	job->cause.code = ERROR_NONE;
	enqueue(jobs, job);
}

void job_start_teardown(struct jobs *jobs, struct job *job)
{
	job->phase = PHASE_TEARDOWN;
	job->late = job->stuck = false;
	job->cause.code = ERROR_NONE;
	enqueue(jobs, job);
}
