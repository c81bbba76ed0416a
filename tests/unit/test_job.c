/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/job.c agent/loop.c agent/sys/steps.c agent/sys/rights.c tests/fake/rollback.c tests/fake/blockdev.c */
/* links: -Wl,--wrap=fork -Wl,--wrap=socketpair */
/* Jobs with the real loop and real workers; what they would undo is written down (tests/fake/rollback.c). */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/ring.h"
#include "base/text.h"
#include "coffer/protocol.h"
#include "fake/rollback.h"
#include "job.h"

pid_t __real_fork(void);
pid_t __wrap_fork(void);
int __real_socketpair(int domain, int type, int protocol, int pair[2]);
int __wrap_socketpair(int domain, int type, int protocol, int pair[2]);

static struct {
	struct loop *loop;
	struct jobs *jobs;
	unsigned wanted, done; /* the loop stops when so many jobs have ended */
	struct ring ring;
	int forks_that_fail, pairs_that_fail;
	int descriptors;
	struct loop_timer watchdog;
	int claimed; /* what the owner of the objects says */
	pid_t spawned_pid;
	int spawned_fd;
} t;

/* Of the last job that ended. */
static struct {
	bool failed;
	struct error error;
	char result[JOB_RESULT_MAX];
	struct undo undo;
} last;

pid_t __wrap_fork(void)
{
	if (t.forks_that_fail > 0) {
		t.forks_that_fail--;
		errno = EAGAIN;
		return -1;
	}
	return __real_fork();
}

int __wrap_socketpair(int domain, int type, int protocol, int pair[2])
{
	if (t.pairs_that_fail > 0) {
		t.pairs_that_fail--;
		errno = EMFILE;
		return -1;
	}
	return __real_socketpair(domain, type, protocol, pair);
}

static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void before_reap(void *context)
{
	(void)context;
	jobs_drain(t.jobs);
}

static int ask_claimed(void *context, const char *device)
{
	assert_ptr_equal(context, &t);
	return t.claimed && strcmp(device, "254:99") == 0;
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
	memset(&last, 0, sizeof(last));
	fake_rollback_reset();
	t.descriptors = open_descriptors();
	t.spawned_fd = -1;
	t.loop = loop_new(&hooks, &err);
	if (!t.loop || jobs_new(t.loop, &t.jobs, &err) < 0)
		return -1;
	jobs_set_claims(t.jobs, ask_claimed, &t);
	log_open(-1, -1, &t.ring);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	undo_free(&last.undo);
	free(t.jobs);
	loop_free(t.loop);
	loop_forget_in_child();
	log_open(-1, -1, NULL);
	if (t.spawned_fd >= 0)
		close(t.spawned_fd);
	/* No worker and no descriptor is left. */
	if (waitpid(-1, NULL, WNOHANG) != -1 || open_descriptors() != t.descriptors)
		return -1;
	return 0;
}

/* A job frees itself in done(): the address sanitizer sees whether somebody looks at it afterwards. */
static void done(struct job *job, const struct error *error, const void *result)
{
	undo_free(&last.undo);
	last.failed = error != NULL;
	memset(&last.error, 0, sizeof(last.error));
	memset(last.result, 0, sizeof(last.result));
	if (error)
		last.error = *error;
	else if (result)
		memcpy(last.result, result, job->result_size);
	last.undo = job->undo;
	free(job);
	if (++t.done == t.wanted)
		loop_stop(t.loop);
}

typedef int work_function(struct worker *worker, void *context, void *result, struct error *err);

static struct job *make(work_function *work, void *context)
{
	struct job *job = calloc(1, sizeof(*job));

	*job = (struct job){
		.name = "test.job", .deadline_ms = 20000, .work = work, .result_size = 64, .done = done, .context = context
	};
	return job;
}

static void run(unsigned jobs)
{
	t.wanted = t.done + jobs;
	t.watchdog = (struct loop_timer){ .fire = bark };
	loop_arm(t.loop, &t.watchdog, 30000);
	loop_run(t.loop);
	loop_disarm(t.loop, &t.watchdog);
	assert_int_equal(t.done, t.wanted);
	assert_int_equal(jobs_count(t.jobs), 0);
}

static void run_one(work_function *work, void *context)
{
	job_start(t.jobs, make(work, context));
	run(1);
}

static void assert_log_has(const char *text)
{
	static char log[RING_SIZE + 1];
	uint64_t position = 0;

	log[ring_read(&t.ring, &position, log, RING_SIZE)] = '\0';
	check_row(strstr(log, text), "not in the log: %s\n%s", text, log);
}

/* ---- ends ---- */

static int push_records(struct worker *worker, int count, struct error *err)
{
	for (int i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/record/%d", i);
		if (undo_push(&worker->undo, i % 2 ? UNDO_UMOUNT : UNDO_RMDIR, name, err) < 0)
			return -EINVAL;
	}
	return 0;
}

static int succeed(struct worker *worker, void *context, void *result, struct error *err)
{
	const int *records = context;

	snprintf(result, 64, "made by %d", getppid());
	return push_records(worker, records ? *records : 0, err);
}

static void success(void **state)
{
	int records = 3;
	char wanted[64];

	(void)state;
	run_one(succeed, &records);
	assert_false(last.failed);
	snprintf(wanted, sizeof(wanted), "made by %d", getpid());
	assert_string_equal(last.result, wanted);
	/* The list is the owner's, in the order of the pushes; nothing has been undone. */
	assert_int_equal(last.undo.count, 3);
	assert_string_equal(last.undo.records[0].name, "/record/0");
	assert_string_equal(last.undo.records[2].name, "/record/2");
	assert_int_equal(last.undo.records[1].kind, UNDO_UMOUNT);
	assert_int_equal(fake_rollback->runs, 0);
}

static void assert_rolled_back(unsigned records)
{
	assert_int_equal(fake_rollback->runs, records ? 1 : 0);
	assert_int_equal(fake_rollback->count, records);
	for (unsigned i = 0; i < records; i++) {
		char name[32];

		snprintf(name, sizeof(name), "/record/%u", records - 1 - i);
		assert_string_equal(fake_rollback->records[i].name, name);
	}
	assert_int_equal(last.undo.count, 0);
}

static int fail_after(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)result;
	if (push_records(worker, *(const int *)context, err) < 0)
		return -EINVAL;
	error_set(err, ERROR_CRYPT, EIO, "the work failed");
	return error_step(err, "do the work");
}

static void failure_takes_back_what_was_done(void **state)
{
	(void)state;
	for (int records = 0; records < 5; records++) {
		run_one(fail_after, &records);
		assert_true(last.failed);
		assert_int_equal(last.error.code, ERROR_CRYPT);
		assert_int_equal(last.error.errnum, EIO);
		assert_string_equal(last.error.message, "the work failed: Input/output error");
		assert_string_equal(last.error.step, "do the work");
		assert_rolled_back((unsigned)records);
		clean(NULL);
		fresh(NULL);
	}
}

/* For every n: the worker is killed as soon as its parent has record n, or with its result ready. */
static void killed_after_every_record(void **state)
{
	enum { RECORDS = 6 };
	int records = RECORDS;

	(void)state;
	for (unsigned after = 1; after <= RECORDS + 1; after++) {
		jobs_set_fault(t.jobs, after);
		run_one(succeed, &records);
		assert_true(last.failed);
		assert_int_equal(last.error.code, ERROR_INTERNAL);
		assert_non_null(strstr(last.error.message, "test.job"));
		assert_rolled_back(after <= RECORDS ? after : RECORDS);
		assert_log_has("signal 9");
		clean(NULL);
		fresh(NULL);
	}
	/* More than there are: nothing happens. */
	jobs_set_fault(t.jobs, RECORDS + 2);
	run_one(succeed, &records);
	assert_false(last.failed);
}

static void a_fault_is_for_one_job_only(void **state)
{
	int records = 2;

	(void)state;
	jobs_set_fault(t.jobs, 1);
	job_start(t.jobs, make(succeed, &records));
	job_start(t.jobs, make(succeed, &records));
	run(2);
	assert_int_equal(fake_rollback->runs, 1);
	assert_int_equal(fake_rollback->count, 1);
}

static int die(struct worker *worker, void *context, void *result, struct error *err)
{
	const int *how = context;

	(void)result;
	if (push_records(worker, 2, err) < 0)
		return -EINVAL;
	if (*how >= 0)
		_exit(*how);
	kill(getpid(), -*how);
	for (;;)
		pause();
	return 0;
}

static void a_worker_that_ends_without_a_word(void **state)
{
	static const int hows[] = { 0, 1, 77, -SIGKILL, -SIGTERM, -SIGUSR1 };

	(void)state;
	for (size_t i = 0; i < array_count(hows); i++) {
		int how = hows[i];

		run_one(die, &how);
		check_row(last.failed, "%d", how);
		assert_int_equal(last.error.code, ERROR_INTERNAL);
		assert_rolled_back(2);
		clean(NULL);
		fresh(NULL);
	}
}

static int lie(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)context, (void)result, (void)err;
	/* A result, and then a death: what counts is the death. */
	char message[8 + 64] = "R";
	assert_int_equal(send(worker->socket, message, sizeof(message), 0), sizeof(message));
	kill(getpid(), SIGKILL);
	return 0;
}

static void a_result_of_a_worker_that_then_dies_does_not_count(void **state)
{
	(void)state;
	run_one(lie, NULL);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_INTERNAL);
	assert_true(last.error.message[0] != '\0');
}

static int hang(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)context, (void)result;
	if (push_records(worker, 2, err) < 0)
		return -EINVAL;
	signal(SIGTERM, SIG_IGN);
	for (;;)
		pause();
	return 0;
}

static void the_deadline(void **state)
{
	uint64_t start = loop_now_ms();
	struct job *job = make(hang, NULL);

	(void)state;
	job->deadline_ms = 150;
	job_start(t.jobs, job);
	run(1);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_TIMEOUT);
	assert_int_equal(last.error.errnum, ETIMEDOUT);
	assert_non_null(strstr(last.error.message, "150 ms"));
	assert_rolled_back(2);
	assert_true(loop_now_ms() - start >= 150);
}

static void a_rollback_that_fails_keeps_the_list(void **state)
{
	int records = 3;

	(void)state;
	fake_rollback->fail = EBUSY;
	run_one(fail_after, &records);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_TEARDOWN);
	assert_int_equal(last.undo.count, 3);
	assert_string_equal(last.undo.records[0].name, "/record/0");
	/* Why it was taken back stands in the log. */
	assert_log_has("the work failed");
}

static void a_rollback_that_crashes_keeps_the_list(void **state)
{
	int records = 3;

	(void)state;
	fake_rollback->crash = 1;
	run_one(fail_after, &records);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_TEARDOWN);
	assert_int_equal(last.undo.count, 3);
}

/* ---- teardown on request ---- */

static struct job *make_teardown(void)
{
	struct job *job = make(NULL, NULL);
	struct error err;

	assert_worked(undo_push(&job->undo, UNDO_RMDIR, "/record/0", &err), &err);
	assert_worked(undo_push(&job->undo, UNDO_RMDIR, "/record/1", &err), &err);
	return job;
}

static void a_teardown(void **state)
{
	(void)state;
	job_start_teardown(t.jobs, make_teardown());
	run(1);
	assert_false(last.failed);
	assert_rolled_back(2);
}

static void a_teardown_that_fails_can_be_tried_again(void **state)
{
	(void)state;
	fake_rollback->fail = EBUSY;
	job_start_teardown(t.jobs, make_teardown());
	run(1);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_TEARDOWN);
	assert_int_equal(last.error.errnum, EBUSY);
	assert_int_equal(last.undo.count, 2);
}

static void a_teardown_that_crashes(void **state)
{
	(void)state;
	fake_rollback->crash = 1;
	job_start_teardown(t.jobs, make_teardown());
	run(1);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_TEARDOWN);
	assert_int_equal(last.undo.count, 2);
}

/* ---- no worker at all ---- */

static void when_no_worker_can_be_made(void **state)
{
	int records = 2;

	(void)state;
	for (int pair = 0; pair <= 1; pair++) {
		*(pair ? &t.pairs_that_fail : &t.forks_that_fail) = 1;
		t.wanted = 1;
		job_start(t.jobs, make(succeed, &records)); /* done() before it returns */
		assert_int_equal(t.done, 1);
		assert_true(last.failed);
		assert_int_equal(last.error.code, ERROR_INTERNAL);
		assert_int_equal(last.error.errnum, pair ? EMFILE : EAGAIN);
		assert_int_equal(jobs_count(t.jobs), 0);
		clean(NULL);
		fresh(NULL);
		*(pair ? &t.pairs_that_fail : &t.forks_that_fail) = 1;
		job_start_teardown(t.jobs, make_teardown());
		assert_int_equal(last.error.code, ERROR_TEARDOWN);
		assert_int_equal(last.undo.count, 2);
		clean(NULL);
		fresh(NULL);
	}
}

static void when_the_rollback_cannot_be_started(void **state)
{
	int records = 2;

	(void)state;
	job_start(t.jobs, make(fail_after, &records)); /* its worker is there; the one that takes back will not be */
	t.forks_that_fail = 1;
	run(1);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_TEARDOWN);
	assert_int_equal(last.undo.count, 2);
}

/* ---- claims ---- */

static int claim(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)result;
	return job_claim(worker, *(const dev_t *)context, err);
}

static int claim_and_stay(struct worker *worker, void *context, void *result, struct error *err)
{
	int outcome = claim(worker, context, result, err);
	char byte;

	/* Until the test has seen the other one. */
	if (outcome == 0)
		recv(worker->socket, &byte, 1, 0);
	return outcome;
}

static void a_claim_becomes_a_record(void **state)
{
	dev_t device = makedev(254, 16);

	(void)state;
	run_one(claim, &device);
	assert_false(last.failed);
	assert_int_equal(last.undo.count, 1);
	assert_int_equal(last.undo.records[0].kind, UNDO_CLAIM);
	assert_string_equal(last.undo.records[0].name, "254:16");
	/* That list belongs to an object now, which answers for it; another job is free to ask. */
	clean(NULL);
	fresh(NULL);
	run_one(claim, &device);
	assert_false(last.failed);
}

static void an_object_s_device_cannot_be_claimed(void **state)
{
	dev_t device = makedev(254, 99);

	(void)state;
	t.claimed = 1;
	run_one(claim, &device);
	assert_true(last.failed);
	assert_int_equal(last.error.code, ERROR_IN_USE);
	assert_int_equal(last.undo.count, 0);
	assert_int_equal(fake_rollback->runs, 0); /* nothing was done */
}

static void a_partition_is_claimed_with_its_disk(void **state)
{
	dev_t device = makedev(259, 12); /* tests/fake/blockdev.c */

	(void)state;
	run_one(claim, &device);
	assert_false(last.failed);
	assert_string_equal(last.undo.records[0].name, "259:12@259:10");
}

static void let_the_first_go(struct job *job, const struct error *error, const void *result)
{
	assert_non_null(error);
	assert_int_equal(error->code, ERROR_IN_USE);
	(void)result;
	struct job *first = job->context;
	assert_int_equal(send(first->watch.fd, "x", 1, 0), 1);
	undo_free(&job->undo);
	free(job);
	t.done++;
}

static int claim_through_pointer(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct job *first = context;

	return claim(worker, first->context, result, err);
}

static void start_the_second(struct loop_timer *timer)
{
	struct job *second = make(claim_through_pointer, timer->context);

	second->done = let_the_first_go;
	job_start(t.jobs, second);
}

static void a_running_job_s_device_cannot_be_claimed(void **state)
{
	dev_t device = makedev(254, 17);
	struct job *first = make(claim_and_stay, &device);
	struct loop_timer soon = { .fire = start_the_second, .context = first };

	(void)state;
	job_start(t.jobs, first);
	loop_arm(t.loop, &soon, 200);
	run(2);
	assert_false(last.failed);
	assert_int_equal(last.undo.count, 1);
}

/* ---- what a worker says ---- */

static int log_lines(struct worker *worker, void *context, void *result, struct error *err)
{
	char text[2000];

	(void)worker, (void)context, (void)result, (void)err;
	log_info("a line of the worker");
	log_debug("a line that nobody wants");
	log_error("two\nlines");
	memset(text, 'l', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_warning("%s", text);
	return 0;
}

static void lines_of_a_worker_reach_the_log(void **state)
{
	static char log[RING_SIZE + 1];
	uint64_t position = 0;

	(void)state;
	run_one(log_lines, NULL);
	assert_log_has("coffer info: a line of the worker\n");
	assert_log_has("coffer error: two?lines\n");
	assert_log_has("coffer warning: llllllll");
	log[ring_read(&t.ring, &position, log, RING_SIZE)] = '\0';
	assert_null(strstr(log, "nobody wants"));
}

static int spawn(struct worker *worker, void *context, void *result, struct error *err)
{
	int ends[2];

	(void)context, (void)result;
	if (pipe(ends) < 0 || write(ends[1], "hello", 5) != 5)
		return error_set(err, ERROR_INTERNAL, errno, "pipe");
	if (job_spawned(worker, 4711, -1, err) < 0)
		return -EINVAL;
	return job_spawned(worker, 0, ends[0], err);
}

static void spawned(struct job *job, pid_t pid, int fd)
{
	(void)job;
	if (pid > 0) {
		assert_int_equal(fd, -1);
		t.spawned_pid = pid;
	} else {
		t.spawned_fd = fd;
	}
}

static void a_process_and_a_descriptor_come_over(void **state)
{
	struct job *job = make(spawn, NULL);
	char text[8] = "";

	(void)state;
	job->spawned = spawned;
	job_start(t.jobs, job);
	run(1);
	assert_int_equal(t.spawned_pid, 4711);
	assert_true(t.spawned_fd >= 0);
	assert_int_equal(read(t.spawned_fd, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	assert_true(fcntl(t.spawned_fd, F_GETFD) & FD_CLOEXEC);
}

static void a_descriptor_that_nobody_takes_is_closed(void **state)
{
	(void)state;
	run_one(spawn, NULL); /* clean() counts */
	assert_false(last.failed);
}

static int count_descriptors(struct worker *worker, void *context, void *result, struct error *err)
{
	const int *kept = context;
	char byte = 0, *out = result;

	(void)err;
	snprintf(out, 64, "%d %d %d", open_descriptors() - 3 /* ".", ".." and its own */, fcntl(kept[0], F_GETFD) >= 0,
		 read(kept[1], &byte, 1) == 1 && byte == 'k' && fcntl(worker->socket, F_GETFD) >= 0);
	return 0;
}

static void a_worker_has_what_it_needs_and_no_more(void **state)
{
	int ends[2], others[2], kept[2], before = open_descriptors();

	(void)state;
	assert_int_equal(pipe(others), 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "k", 1), 1);
	kept[0] = others[1];
	kept[1] = ends[0];
	struct job *job = make(count_descriptors, kept);
	job->keep[0] = ends[0];
	job->keep[1] = -1;
	job->keep[2] = others[1];
	job->keep_count = 3;
	job_start(t.jobs, job);
	run(1);
	/* 0, 1, 2, the two that are kept, and its socket. */
	assert_string_equal(last.result, "6 1 1");
	close(ends[0]);
	close(ends[1]);
	close(others[0]);
	close(others[1]);
	assert_int_equal(open_descriptors(), before);
}

/* ---- a worker that has been taken over ---- */

static int say(struct worker *worker, const void *bytes, size_t size)
{
	return send(worker->socket, bytes, size, 0) == (ssize_t)size ? 0 : -EINVAL;
}

static int babble(struct worker *worker, void *context, void *result, struct error *err)
{
	char bytes[sizeof(struct undo_record) + 9000];

	(void)context, (void)err;
	for (int kind = 0; kind < 256; kind++) {
		if (kind == 'U')
			continue; /* that has a test of its own */
		memset(bytes, 0xff, sizeof(bytes));
		bytes[0] = (char)kind;
		for (size_t size = 1; size < sizeof(bytes); size = size * 3 + 1) {
			if (say(worker, bytes, size) < 0)
				return error_set(err, ERROR_INTERNAL, errno, "say");
			if (kind == 'C' && size == 8 + sizeof(struct undo_record))
				recv(worker->socket, bytes + 1, 1, 0);
		}
	}
	snprintf(result, 64, "still here");
	return 0;
}

static void nonsense_is_passed_over(void **state)
{
	(void)state;
	run_one(babble, NULL);
	assert_false(last.failed);
	assert_string_equal(last.result, "still here");
	assert_int_equal(last.undo.count, 0);
}

static int forge_lines(struct worker *worker, void *context, void *result, struct error *err)
{
	static const char *const lines[] = {
		"L6harmless\n[    0.000] coffer error: forged", "L6\x1b[2Jescape", "L6", "L", "L\xff", "L9debug", "L6end"
	};

	(void)context, (void)result, (void)err;
	for (size_t i = 0; i < array_count(lines); i++) {
		if (say(worker, lines[i], strlen(lines[i])) < 0)
			return -EIO;
	}
	return 0;
}

static void a_worker_forges_no_line_of_the_log(void **state)
{
	static char log[RING_SIZE + 1];
	uint64_t position = 0;

	(void)state;
	run_one(forge_lines, NULL);
	assert_log_has("harmless?[    0.000] coffer error: forged\n");
	assert_log_has("coffer info: ?[2Jescape\n");
	assert_log_has("coffer info: end\n");
	log[ring_read(&t.ring, &position, log, RING_SIZE)] = '\0';
	for (const char *c = log; *c; c++)
		assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
	assert_null(strstr(log, "debug"));
}

static int say_error_without_end(struct worker *worker, void *context, void *result, struct error *err)
{
	struct {
		char kind;
		_Alignas(8) struct error error;
	} message;

	(void)context, (void)result, (void)err;
	memset(&message, 'x', sizeof(message));
	message.kind = 'E';
	if (say(worker, &message, sizeof(message)) == 0)
		_exit(1); /* or the real error would follow */
	return 0;
}

static void texts_of_a_worker_s_error_end(void **state)
{
	(void)state;
	run_one(say_error_without_end, NULL);
	assert_true(last.failed);
	assert_true(strnlen(last.error.message, sizeof(last.error.message)) < sizeof(last.error.message));
	assert_true(strnlen(last.error.step, sizeof(last.error.step)) < sizeof(last.error.step));
	assert_true(strnlen(last.error.field, sizeof(last.error.field)) < sizeof(last.error.field));
	assert_true(last.error.code > ERROR_NONE && last.error.code < ERROR_COUNT);
}

static int say_record(struct worker *worker, void *context, void *result, struct error *err)
{
	struct {
		char kind;
		_Alignas(8) struct undo_record record;
	} message;

	(void)result, (void)err;
	memset(&message, 'x', sizeof(message));
	message.kind = 'U';
	message.record.kind = *(const enum undo_kind *)context;
	say(worker, &message, offsetof(typeof(message), record) + sizeof(message.record));
	for (;;)
		pause();
	return 0;
}

static void a_record_of_no_kind_ends_the_worker(void **state)
{
	static const int kinds[] = { UNDO_COUNT, -1, 0x7fffffff };

	(void)state;
	for (size_t i = 0; i < array_count(kinds); i++) {
		enum undo_kind kind = (enum undo_kind)kinds[i];

		run_one(say_record, &kind);
		assert_true(last.failed);
		assert_log_has("undo record was lost");
		assert_int_equal(fake_rollback->count, 0);
		clean(NULL);
		fresh(NULL);
	}
}

static void a_record_s_name_ends(void **state)
{
	enum undo_kind kind = UNDO_RMDIR;
	struct job *job = make(say_record, &kind);

	(void)state;
	job->deadline_ms = 200;
	job_start(t.jobs, job);
	run(1);
	assert_int_equal(last.error.code, ERROR_TIMEOUT);
	assert_int_equal(fake_rollback->count, 1);
	assert_int_equal(strnlen(fake_rollback->records[0].name, UNDO_NAME_MAX), UNDO_NAME_MAX - 1);
}

static int leave_a_child(struct worker *worker, void *context, void *result, struct error *err)
{
	(void)worker, (void)context, (void)err;
	/* It keeps the socket open; that does not keep the job from ending. */
	pid_t child = fork();
	if (child == 0) {
		usleep(300 * 1000);
		_exit(0);
	}
	snprintf(result, 64, "left %d", child > 0);
	return 0;
}

static void a_worker_s_child_does_not_hold_up_the_job(void **state)
{
	(void)state;
	run_one(leave_a_child, NULL);
	assert_false(last.failed);
	assert_string_equal(last.result, "left 1");
}

/* ---- many ---- */

static struct shared {
	unsigned running, most, order_count;
	int order[256];
	int gate;
} * shared;

static int count_running(struct worker *worker, void *context, void *result, struct error *err)
{
	unsigned now = __atomic_add_fetch(&shared->running, 1, __ATOMIC_SEQ_CST), most = shared->most;

	(void)worker, (void)result, (void)err;
	while (now > most && !__atomic_compare_exchange_n(&shared->most, &most, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	shared->order[__atomic_fetch_add(&shared->order_count, 1, __ATOMIC_SEQ_CST)] = (int)(intptr_t)context;
	/* Until the test has seen how many there are. */
	while (!__atomic_load_n(&shared->gate, __ATOMIC_SEQ_CST))
		usleep(2000);
	__atomic_sub_fetch(&shared->running, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void open_gate(struct loop_timer *timer)
{
	if (__atomic_load_n(&shared->running, __ATOMIC_SEQ_CST) == COFFER_JOBS_MAX)
		__atomic_store_n(&shared->gate, 1, __ATOMIC_SEQ_CST);
	else
		loop_arm(t.loop, timer, 10);
}

static void at_most_so_many_at_once(void **state)
{
	struct loop_timer soon = { .fire = open_gate };

	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	for (intptr_t i = 0; i < 200; i++)
		job_start(t.jobs, make(count_running, (void *)i));
	assert_int_equal(jobs_count(t.jobs), 200);
	loop_arm(t.loop, &soon, 10);
	run(200);
	assert_int_equal(shared->most, COFFER_JOBS_MAX);
	assert_int_equal(shared->order_count, 200);
	/* First come, first served: the first 64 are the first 64. */
	for (unsigned i = 0; i < COFFER_JOBS_MAX; i++)
		assert_true(shared->order[i] < (int)COFFER_JOBS_MAX);
	munmap(shared, sizeof(*shared));
}

static void start_another(struct job *job, const struct error *error, const void *result)
{
	assert_null(error);
	(void)result;
	t.done++;
	job_start(t.jobs, make(succeed, NULL));
	undo_free(&job->undo);
	free(job);
}

static void done_may_start_another_job(void **state)
{
	struct job *job = make(succeed, NULL);

	(void)state;
	job->done = start_another;
	job_start(t.jobs, job);
	run(2);
	assert_false(last.failed);
}

static void one_job_s_failure_is_its_own(void **state)
{
	int records = 2, how = -SIGKILL;

	(void)state;
	job_start(t.jobs, make(succeed, &records));
	job_start(t.jobs, make(die, &how));
	job_start(t.jobs, make(succeed, &records));
	run(3);
	assert_int_equal(fake_rollback->runs, 1);
	assert_int_equal(fake_rollback->count, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, clean)
	const struct CMUnitTest tests[] = {
		CASE(success),
		CASE(failure_takes_back_what_was_done),
		CASE(killed_after_every_record),
		CASE(a_fault_is_for_one_job_only),
		CASE(a_worker_that_ends_without_a_word),
		CASE(a_result_of_a_worker_that_then_dies_does_not_count),
		CASE(the_deadline),
		CASE(a_rollback_that_fails_keeps_the_list),
		CASE(a_rollback_that_crashes_keeps_the_list),
		CASE(a_teardown),
		CASE(a_teardown_that_fails_can_be_tried_again),
		CASE(a_teardown_that_crashes),
		CASE(when_no_worker_can_be_made),
		CASE(when_the_rollback_cannot_be_started),
		CASE(a_claim_becomes_a_record),
		CASE(a_partition_is_claimed_with_its_disk),
		CASE(an_object_s_device_cannot_be_claimed),
		CASE(a_running_job_s_device_cannot_be_claimed),
		CASE(lines_of_a_worker_reach_the_log),
		CASE(a_process_and_a_descriptor_come_over),
		CASE(a_descriptor_that_nobody_takes_is_closed),
		CASE(a_worker_has_what_it_needs_and_no_more),
		CASE(nonsense_is_passed_over),
		CASE(a_worker_forges_no_line_of_the_log),
		CASE(texts_of_a_worker_s_error_end),
		CASE(a_record_of_no_kind_ends_the_worker),
		CASE(a_record_s_name_ends),
		CASE(a_worker_s_child_does_not_hold_up_the_job),
		CASE(at_most_so_many_at_once),
		CASE(done_may_start_another_job),
		CASE(one_job_s_failure_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
