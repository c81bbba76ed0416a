/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/loop.c */
/* The loop in an ordinary process: descriptors, timers, children, signals, and callbacks that change what is watched. */
#include "unit/test.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

static struct {
	struct loop *loop;
	struct error err;
	char order[512]; /* one letter for each callback */
	int pipes[4][2];
	struct loop_watch watches[4];
	struct loop_timer timers[6];
	struct loop_child children[4];
	int status, signal;
	unsigned drained;
} t;

static void note(char letter)
{
	size_t used = strlen(t.order);

	assert_true(used + 1 < sizeof(t.order));
	t.order[used] = letter;
}

static void on_signal(void *context, int number)
{
	assert_ptr_equal(context, &t);
	t.signal = number;
	note('s');
	loop_stop(t.loop);
}

static void before_reap(void *context)
{
	assert_ptr_equal(context, &t);
	t.drained++;
	note('d');
}

static int fresh(void **state)
{
	const struct loop_hooks hooks = { .signal = on_signal, .before_reap = before_reap, .context = &t };

	(void)state;
	memset(&t, 0, sizeof(t));
	t.loop = loop_new(&hooks, &t.err);
	for (int i = 0; i < 4; i++) {
		if (pipe(t.pipes[i]) < 0)
			return -1;
	}
	return t.loop ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	loop_free(t.loop);
	for (int i = 0; i < 4; i++) {
		close(t.pipes[i][0]);
		close(t.pipes[i][1]);
	}
	loop_forget_in_child(); /* the signals as they were */
	return 0;
}

static void stop_later(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(t.loop);
}

/* Runs for at most so long; a test that hangs is killed by the alarm. */
static void run(uint64_t ms)
{
	struct loop_timer end = { .fire = stop_later };

	alarm(20);
	loop_arm(t.loop, &end, ms);
	loop_run(t.loop);
	loop_disarm(t.loop, &end);
	alarm(0);
}

static struct loop_watch *watch(int i, void (*ready)(struct loop_watch *, uint32_t))
{
	t.watches[i] = (struct loop_watch){ .fd = t.pipes[i][0], .ready = ready, .context = &t };
	assert_worked(loop_add(t.loop, &t.watches[i], EPOLLIN, &t.err), &t.err);
	return &t.watches[i];
}

static void write_to(int i)
{
	assert_int_equal(write(t.pipes[i][1], "x", 1), 1);
}

/* ---- descriptors ---- */

static void read_and_note(struct loop_watch *w, uint32_t events)
{
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(w->fd, &byte, 1), 1);
	note((char)('0' + (w - t.watches)));
	loop_stop(t.loop);
}

static void a_descriptor_that_is_ready(void **state)
{
	(void)state;
	watch(1, read_and_note);
	write_to(1);
	run(5000);
	assert_string_equal(t.order, "1");
}

static void note_end(struct loop_watch *w, uint32_t events)
{
	assert_true(events & EPOLLHUP);
	note('h');
	loop_remove(t.loop, w);
	loop_stop(t.loop);
}

static void the_end_of_a_pipe_comes_too(void **state)
{
	(void)state;
	t.watches[0] = (struct loop_watch){ .fd = t.pipes[0][0], .ready = note_end };
	assert_worked(loop_add(t.loop, &t.watches[0], 0, &t.err), &t.err); /* without asking for it */
	close(t.pipes[0][1]);
	run(5000);
	t.pipes[0][1] = -1;
	assert_string_equal(t.order, "h");
}

static void ask_for_it(struct loop_timer *timer)
{
	(void)timer;
	note('t');
	loop_change(t.loop, &t.watches[0], EPOLLIN);
}

static void what_is_not_asked_for_does_not_come(void **state)
{
	(void)state;
	watch(0, read_and_note);
	loop_change(t.loop, &t.watches[0], 0);
	write_to(0);
	t.timers[0].fire = ask_for_it;
	loop_arm(t.loop, &t.timers[0], 50);
	run(5000);
	assert_string_equal(t.order, "t0");
}

static void what_is_removed_does_not_come(void **state)
{
	(void)state;
	watch(0, read_and_note);
	loop_remove(t.loop, &t.watches[0]);
	write_to(0);
	run(50);
	assert_string_equal(t.order, "");
}

/* Both are ready in one batch; whichever comes first removes the other, whose struct is then as good as freed. */
static void remove_the_other(struct loop_watch *w, uint32_t events)
{
	struct loop_watch *other = &t.watches[w == &t.watches[0] ? 1 : 0];

	(void)events;
	note('x');
	loop_remove(t.loop, w);
	loop_remove(t.loop, other);
	memset(other, 0xff, sizeof(*other));
}

static void removal_during_the_batch(void **state)
{
	(void)state;
	watch(0, remove_the_other);
	watch(1, remove_the_other);
	write_to(0);
	write_to(1);
	run(100);
	assert_string_equal(t.order, "x");
}

static void remove_itself(struct loop_watch *w, uint32_t events)
{
	(void)events;
	note('i');
	loop_remove(t.loop, w);
	memset(w, 0xff, sizeof(*w));
}

static void a_callback_may_remove_itself(void **state)
{
	(void)state;
	watch(0, remove_itself);
	write_to(0);
	run(50);
	assert_string_equal(t.order, "i");
}

static void add_another(struct loop_watch *w, uint32_t events)
{
	(void)events;
	note('a');
	loop_remove(t.loop, w);
	watch(1, read_and_note);
}

static void a_callback_may_add(void **state)
{
	(void)state;
	watch(0, add_another);
	write_to(0);
	write_to(1);
	run(5000);
	assert_string_equal(t.order, "a1");
}

static void an_unwatched_descriptor_is_removed_without_harm(void **state)
{
	struct loop_watch none = { .fd = -1 };

	(void)state;
	loop_remove(t.loop, &none);
	watch(0, read_and_note);
	loop_remove(t.loop, &t.watches[0]);
	loop_remove(t.loop, &t.watches[0]);
}

static void a_descriptor_that_cannot_be_watched(void **state)
{
	struct loop_watch none = { .fd = 9999, .ready = read_and_note };

	(void)state;
	assert_int_equal(loop_add(t.loop, &none, EPOLLIN, &t.err), -EBADF);
	assert_int_equal(t.err.code, ERROR_INTERNAL);
}

/* More descriptors than one batch takes. */
static void hundreds_of_descriptors(void **state)
{
	enum { COUNT = 200 };
	static struct loop_watch many[COUNT];
	static int pairs[COUNT][2];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(pipe(pairs[i]), 0);
		assert_int_equal(write(pairs[i][1], "x", 1), 1);
		many[i] = (struct loop_watch){ .fd = pairs[i][0], .ready = remove_itself };
		assert_worked(loop_add(t.loop, &many[i], EPOLLIN, &t.err), &t.err);
	}
	run(100);
	assert_int_equal(strlen(t.order), COUNT);
	for (int i = 0; i < COUNT; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
}

/* ---- timers ---- */

static void fire(struct loop_timer *timer)
{
	note((char)('0' + (timer - t.timers)));
	assert_false(timer->armed);
}

static void arm(int i, uint64_t ms)
{
	t.timers[i].fire = fire;
	loop_arm(t.loop, &t.timers[i], ms);
}

static void timers_fire_in_order(void **state)
{
	(void)state;
	arm(0, 200);
	arm(1, 100);
	arm(2, 300);
	arm(3, 100);
	arm(4, 0);
	run(400);
	assert_string_equal(t.order, "41302");
}

static void a_timer_does_not_fire_early(void **state)
{
	uint64_t start = loop_now_ms();

	(void)state;
	arm(0, 30);
	run(60);
	assert_string_equal(t.order, "0");
	assert_true(loop_now_ms() - start >= 60);
}

static void timers_can_be_disarmed_and_armed_anew(void **state)
{
	(void)state;
	arm(0, 10);
	arm(1, 10);
	arm(2, 10);
	loop_disarm(t.loop, &t.timers[1]);
	loop_disarm(t.loop, &t.timers[1]);
	arm(0, 40);                        /* later than it was */
	loop_disarm(t.loop, &t.timers[5]); /* never armed */
	run(200);
	assert_string_equal(t.order, "20");
}

static void disarm_the_next(struct loop_timer *timer)
{
	note('n');
	(void)timer;
	loop_disarm(t.loop, &t.timers[1]);
	memset(&t.timers[1], 0xff, sizeof(t.timers[1]));
}

static void a_timer_may_disarm_one_that_is_due(void **state)
{
	(void)state;
	t.timers[0].fire = disarm_the_next;
	loop_arm(t.loop, &t.timers[0], 5);
	arm(1, 5);
	arm(2, 5);
	run(50);
	assert_string_equal(t.order, "n2");
}

static void again(struct loop_timer *timer)
{
	note('a');
	if (strlen(t.order) < 5)
		loop_arm(t.loop, timer, 1);
}

static void a_timer_may_arm_itself(void **state)
{
	(void)state;
	t.timers[0].fire = again;
	loop_arm(t.loop, &t.timers[0], 1);
	run(200);
	assert_string_equal(t.order, "aaaaa");
}

static void a_timer_of_many_days(void **state)
{
	(void)state;
	arm(0, (uint64_t)100 * 24 * 3600 * 1000);
	arm(1, 5);
	run(30);
	assert_string_equal(t.order, "1");
}

/* ---- children ---- */

static void exited(struct loop_child *child, int status)
{
	note((char)('A' + (child - t.children)));
	t.status = status;
	loop_stop(t.loop);
}

static void spawn(int i, int code)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(code);
	t.children[i] = (struct loop_child){ .pid = pid, .exited = exited, .context = &t };
	loop_add_child(t.loop, &t.children[i]);
}

static void a_child_that_ends(void **state)
{
	(void)state;
	spawn(0, 42);
	run(5000);
	/* What it may have said is heard before its end. */
	assert_string_equal(t.order, "dA");
	assert_true(WIFEXITED(t.status) && WEXITSTATUS(t.status) == 42);
}

static void a_child_that_is_killed(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		for (;;)
			pause();
	t.children[0] = (struct loop_child){ .pid = pid, .exited = exited };
	loop_add_child(t.loop, &t.children[0]);
	kill(pid, SIGKILL);
	run(5000);
	assert_true(WIFSIGNALED(t.status) && WTERMSIG(t.status) == SIGKILL);
}

/* Ends that come together are one signal: all are reaped, those of nobody too. */
static void many_ends_in_one_signal(void **state)
{
	pid_t pids[100];
	siginfo_t info;

	(void)state;
	for (int i = 0; i < 100; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(0);
	}
	spawn(0, 1);
	spawn(1, 2);
	spawn(2, 3);
	for (int i = 0; i < 100; i++)
		assert_int_equal(waitid(P_PID, (id_t)pids[i], &info, WEXITED | WNOWAIT), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(waitid(P_PID, (id_t)t.children[i].pid, &info, WEXITED | WNOWAIT), 0);
	run(5000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_non_null(strchr(t.order, 'A'));
	assert_non_null(strchr(t.order, 'B'));
	assert_non_null(strchr(t.order, 'C'));
}

static void a_child_that_nobody_waits_for_any_more(void **state)
{
	siginfo_t info;

	(void)state;
	spawn(0, 1);
	loop_remove_child(t.loop, &t.children[0]);
	loop_remove_child(t.loop, &t.children[0]);
	assert_int_equal(waitid(P_PID, (id_t)t.children[0].pid, &info, WEXITED | WNOWAIT), 0);
	run(100);
	assert_null(strchr(t.order, 'A'));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped all the same */
}

static void spawn_next(struct loop_child *child, int status)
{
	(void)status;
	note('n');
	memset(child, 0xff, sizeof(*child)); /* it has been removed, and may be freed */
	loop_remove_child(t.loop, &t.children[2]);
	spawn(1, 7);
}

/* It ends before or after the other, and is not told in the second case. */
static void exited_unless_removed(struct loop_child *child, int status)
{
	(void)child, (void)status;
	assert_null(strchr(t.order, 'n'));
}

static void an_end_may_start_another_child(void **state)
{
	(void)state;
	spawn(2, 0);
	spawn(0, 0);
	t.children[0].exited = spawn_next;
	t.children[2].exited = exited_unless_removed;
	run(5000);
	assert_non_null(strchr(t.order, 'n'));
	assert_non_null(strchr(t.order, 'B'));
}

/* ---- signals ---- */

static void signals_come_through_the_loop(void **state)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGPWR };

	(void)state;
	for (size_t i = 0; i < array_count(numbers); i++) {
		kill(getpid(), numbers[i]);
		run(5000);
		assert_int_equal(t.signal, numbers[i]);
		clean(NULL);
		fresh(NULL);
	}
}

static void a_broken_pipe_is_no_signal(void **state)
{
	(void)state;
	close(t.pipes[0][0]);
	assert_int_equal(write(t.pipes[0][1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	t.pipes[0][0] = -1;
}

static void a_child_forgets_the_signals_of_the_loop(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		sigset_t mask;

		loop_forget_in_child();
		sigprocmask(SIG_SETMASK, NULL, &mask);
		for (int number = 1; number < 65; number++) {
			if (sigismember(&mask, number) == 1)
				_exit(1);
		}
		if (signal(SIGPIPE, SIG_DFL) != SIG_DFL)
			_exit(2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_descriptor_that_is_ready, fresh, clean),
		cmocka_unit_test_setup_teardown(the_end_of_a_pipe_comes_too, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_not_asked_for_does_not_come, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_removed_does_not_come, fresh, clean),
		cmocka_unit_test_setup_teardown(removal_during_the_batch, fresh, clean),
		cmocka_unit_test_setup_teardown(a_callback_may_remove_itself, fresh, clean),
		cmocka_unit_test_setup_teardown(a_callback_may_add, fresh, clean),
		cmocka_unit_test_setup_teardown(an_unwatched_descriptor_is_removed_without_harm, fresh, clean),
		cmocka_unit_test_setup_teardown(a_descriptor_that_cannot_be_watched, fresh, clean),
		cmocka_unit_test_setup_teardown(hundreds_of_descriptors, fresh, clean),
		cmocka_unit_test_setup_teardown(timers_fire_in_order, fresh, clean),
		cmocka_unit_test_setup_teardown(a_timer_does_not_fire_early, fresh, clean),
		cmocka_unit_test_setup_teardown(timers_can_be_disarmed_and_armed_anew, fresh, clean),
		cmocka_unit_test_setup_teardown(a_timer_may_disarm_one_that_is_due, fresh, clean),
		cmocka_unit_test_setup_teardown(a_timer_may_arm_itself, fresh, clean),
		cmocka_unit_test_setup_teardown(a_timer_of_many_days, fresh, clean),
		cmocka_unit_test_setup_teardown(a_child_that_ends, fresh, clean),
		cmocka_unit_test_setup_teardown(a_child_that_is_killed, fresh, clean),
		cmocka_unit_test_setup_teardown(many_ends_in_one_signal, fresh, clean),
		cmocka_unit_test_setup_teardown(a_child_that_nobody_waits_for_any_more, fresh, clean),
		cmocka_unit_test_setup_teardown(an_end_may_start_another_child, fresh, clean),
		cmocka_unit_test_setup_teardown(signals_come_through_the_loop, fresh, clean),
		cmocka_unit_test_setup_teardown(a_broken_pipe_is_no_signal, fresh, clean),
		cmocka_unit_test_setup_teardown(a_child_forgets_the_signals_of_the_loop, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
