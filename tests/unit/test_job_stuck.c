/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/job.c agent/loop.c agent/sys/steps.c agent/sys/rights.c tests/fake/rollback.c tests/fake/blockdev.c */
/* links: -Wl,--wrap=kill -Wl,--wrap=loop_arm */
/*
 * Workers that SIGKILL does not end: a disk that hangs keeps them in the kernel.  Here the signal is swallowed until the test lets
 * it through, and long times are a twentieth of what they are.
 */
#include "unit/test.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "coffer/protocol.h"
#include "fake/rollback.h"
#include "job.h"

int __real_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal);
void __real_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t after_ms);
void __wrap_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t after_ms);

#define VICTIMS_MAX 128

static struct {
	struct loop *loop;
	struct jobs *jobs;
	struct loop_timer watchdog, action;
	unsigned done, late, wanted_done, wanted_late;
	bool swallow;
	pid_t victims[VICTIMS_MAX];
	size_t victim_count;
} t;

static struct error last_late, last_done;
static bool last_failed;

int __wrap_kill(pid_t pid, int signal)
{
	if (signal != SIGKILL || !t.swallow)
		return __real_kill(pid, signal);
	assert_true(t.victim_count < VICTIMS_MAX);
	t.victims[t.victim_count++] = pid;
	return 0;
}

void __wrap_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t after_ms)
{
	__real_loop_arm(loop, timer, after_ms >= 1000 ? after_ms / 20 : after_ms);
}

static void before_reap(void *context)
{
	(void)context;
	jobs_drain(t.jobs);
}

static void bark(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(t.loop);
}

static int fresh(void **state)
{
	const struct loop_hooks hooks = { .before_reap = before_reap };
	struct error err;

	(void)state;
	memset(&t, 0, sizeof(t));
	fake_rollback_reset();
	t.swallow = true;
	t.loop = loop_new(&hooks, &err);
	log_open(-1, -1, NULL);
	return t.loop && jobs_new(t.loop, &t.jobs, &err) == 0 ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	free(t.jobs);
	loop_free(t.loop);
	loop_forget_in_child();
	return waitpid(-1, NULL, WNOHANG) == -1 ? 0 : -1;
}

static void check_end(void)
{
	if (t.done >= t.wanted_done && t.late >= t.wanted_late)
		loop_stop(t.loop);
}

/* Until so many more have ended, and so many more answers came late. */
static void run(unsigned done, unsigned late)
{
	t.wanted_done = t.done + done;
	t.wanted_late = t.late + late;
	t.watchdog = (struct loop_timer){ .fire = bark };
	__real_loop_arm(t.loop, &t.watchdog, 8000);
	loop_run(t.loop);
	loop_disarm(t.loop, &t.watchdog);
	assert_int_equal(t.done, t.wanted_done);
	assert_int_equal(t.late, t.wanted_late);
}

static void done(struct job *job, const struct error *error, const void *result)
{
	(void)result;
	last_failed = error != NULL;
	if (error)
		last_done = *error;
	undo_free(&job->undo);
	free(job);
	t.done++;
	check_end();
}

static void answer_late(struct job *job, const struct error *error)
{
	assert_true(job->stuck);
	last_late = *error;
	t.late++;
	check_end();
}

typedef int work_function(struct worker *worker, void *context, void *result, struct error *err);

static struct job *make(work_function *work, void *context)
{
	struct job *job = calloc(1, sizeof(*job));

	*job = (struct job){
		.name = "test.job", .deadline_ms = 100, .work = work, .done = done, .answer_late = answer_late, .context = context
	};
	return job;
}

/* The disk answers: the signals take effect. */
static void release(void)
{
	for (size_t i = 0; i < t.victim_count; i++)
		__real_kill(t.victims[i], SIGKILL);
	t.victim_count = 0;
}

static int hang(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)context, (void)result;
	if (job_claim(worker, makedev(254, 16), err) < 0 || undo_push(&worker->undo, UNDO_RMDIR, "/record", err) < 0)
		return -EINVAL;
	for (;;)
		pause();
	return 0;
}

static int claim(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)context, (void)result;
	return job_claim(worker, makedev(254, 16), err);
}

static void the_answer_does_not_wait_for_the_worker(void **state)
{
	uint64_t start = loop_now_ms();

	(void)state;
	job_start(t.jobs, make(hang, NULL));
	run(0, 1);
	assert_true(loop_now_ms() - start < 5000);
	assert_int_equal(last_late.code, ERROR_TIMEOUT);
	assert_int_equal(last_late.errnum, ETIMEDOUT);
	assert_non_null(strstr(last_late.message, "100 ms"));
	assert_int_equal(jobs_count(t.jobs), 1);
	assert_int_equal(fake_rollback->runs, 0); /* not while it may still act */
	/* The device stays claimed, and others work on. */
	job_start(t.jobs, make(claim, NULL));
	run(1, 0);
	assert_true(last_failed);
	assert_int_equal(last_done.code, ERROR_IN_USE);
	/* The disk comes back: what was done is taken back, and the owner is told that. */
	release();
	run(1, 0);
	assert_true(last_failed);
	assert_int_equal(last_done.code, ERROR_TIMEOUT);
	assert_int_equal(fake_rollback->runs, 1);
	assert_int_equal(fake_rollback->count, 2);
	assert_int_equal(jobs_count(t.jobs), 0);
	job_start(t.jobs, make(claim, NULL));
	run(1, 0);
	assert_false(last_failed);
}

static int wait_and_succeed(struct worker *worker, void *context, void *result, struct error *err)
{
	char byte;

	(void)context, (void)result;
	if (undo_push(&worker->undo, UNDO_RMDIR, "/record", err) < 0)
		return -EINVAL;
	return recv(worker->socket, &byte, 1, 0) == 1 ? 0 : -EIO;
}

static void success_after_the_answer_is_taken_back(void **state)
{
	struct job *job = make(wait_and_succeed, NULL);

	(void)state;
	job_start(t.jobs, job);
	run(0, 1);
	assert_int_equal(send(job->watch.fd, "x", 1, 0), 1);
	run(1, 0);
	assert_true(last_failed);
	assert_int_equal(last_done.code, ERROR_TIMEOUT);
	assert_int_equal(fake_rollback->count, 1);
}

static void nobody_asked(struct loop_timer *timer)
{
	(void)timer;
	release();
}

static void without_anybody_to_tell(void **state)
{
	struct job *job = make(hang, NULL);

	(void)state;
	job->answer_late = NULL;
	t.action = (struct loop_timer){ .fire = nobody_asked };
	__real_loop_arm(t.loop, &t.action, 600);
	job_start(t.jobs, job);
	run(1, 0);
	assert_int_equal(last_done.code, ERROR_TIMEOUT);
	assert_int_equal(fake_rollback->runs, 1);
}

static int nothing(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)worker, (void)context, (void)result, (void)err;
	return 0;
}

static int only_hang(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)worker, (void)context, (void)result, (void)err;
	for (;;)
		pause();
	return 0;
}

static void stuck_workers_take_nobody_s_place(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COFFER_JOBS_MAX; i++)
		job_start(t.jobs, make(only_hang, NULL));
	struct job *next = make(nothing, NULL);
	next->deadline_ms = 20000;
	job_start(t.jobs, next);
	run(1, COFFER_JOBS_MAX);
	assert_false(last_failed);
	assert_int_equal(jobs_count(t.jobs), COFFER_JOBS_MAX);
	release();
	run(COFFER_JOBS_MAX, 0);
	assert_int_equal(jobs_count(t.jobs), 0);
}

static struct job *make_teardown(void)
{
	struct job *job = make(NULL, NULL);
	struct error err;

	assert_worked(undo_push(&job->undo, UNDO_RMDIR, "/record/0", &err), &err);
	return job;
}

static void a_teardown_that_is_stuck_is_tried_again(void **state)
{
	(void)state;
	fake_rollback->hang = 1;
	job_start_teardown(t.jobs, make_teardown());
	run(0, 1);
	assert_int_equal(last_late.code, ERROR_TIMEOUT);
	assert_int_equal(fake_rollback->runs, 1);
	fake_rollback->hang = 0;
	/* Were it not killed in the end, it would have come to an end by itself. */
	release();
	run(1, 0);
	assert_int_equal(fake_rollback->runs, 2);
	assert_false(last_failed);
}

static int break_down(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)context, (void)result;
	if (undo_push(&worker->undo, UNDO_RMDIR, "/record", err) < 0)
		return -EINVAL;
	return error_set(err, ERROR_VERITY, EBADMSG, "the work failed");
}

static void a_rollback_that_is_stuck(void **state)
{
	struct job *job = make(break_down, NULL);

	(void)state;
	fake_rollback->hang = 1;
	job_start(t.jobs, job);
	run(0, 1);
	/* Something is left for now, which no other code says. */
	assert_int_equal(last_late.code, ERROR_TIMEOUT);
	assert_non_null(strstr(last_late.message, "the work failed"));
	fake_rollback->hang = 0;
	fake_rollback->fail = EBUSY;
	release();
	run(1, 0);
	assert_int_equal(last_done.code, ERROR_TEARDOWN);
	assert_int_equal(t.late, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, clean)
	const struct CMUnitTest tests[] = {
		CASE(the_answer_does_not_wait_for_the_worker),
		CASE(success_after_the_answer_is_taken_back),
		CASE(without_anybody_to_tell),
		CASE(stuck_workers_take_nobody_s_place),
		CASE(a_teardown_that_is_stuck_is_tried_again),
		CASE(a_rollback_that_is_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
