/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

#define BATCH 64

struct loop {
	int epoll;
	struct loop_watch signals;
	struct loop_hooks hooks;
	struct loop_timer *timers; /* soonest first */
	struct loop_child *children;
	struct epoll_event batch[BATCH];
	int batch_count;
	bool stop;
};

static const int handled[] = { SIGCHLD, SIGTERM, SIGINT, SIGPWR };

uint64_t loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void reap(struct loop *loop)
{
	int status;
	pid_t pid;

	if (loop->hooks.before_reap)
		loop->hooks.before_reap(loop->hooks.context);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct loop_child **at = &loop->children;

		while (*at && (*at)->pid != pid)
			at = &(*at)->next;
		if (!*at)
			continue; /* an orphan of some container */
		struct loop_child *child = *at;

		*at = child->next;
		child->next = NULL;
		child->exited(child, status);
	}
}

static void read_signals(struct loop_watch *watch, uint32_t events)
{
	struct loop *loop = watch->context;
	struct signalfd_siginfo info;
	bool children = false;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			children = true;
		else if (loop->hooks.signal)
			loop->hooks.signal(loop->hooks.context, (int)info.ssi_signo);
	}
	if (children)
		reap(loop);
}

struct loop *loop_new(const struct loop_hooks *hooks, struct error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	sigset_t set;

	if (!loop) {
		error_set(err, ERROR_INTERNAL, ENOMEM, "loop");
		return NULL;
	}
	loop->hooks = *hooks;
	sigemptyset(&set);
	for (size_t i = 0; i < array_count(handled); i++)
		sigaddset(&set, handled[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->signals = (struct loop_watch){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.ready = read_signals,
		.context = loop,
	};
	if (loop->epoll < 0 || loop->signals.fd < 0) {
		error_set(err, ERROR_INTERNAL, errno, "epoll and signalfd");
	} else if (loop_add(loop, &loop->signals, EPOLLIN, err) == 0) {
		return loop;
	}
	loop_free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	close_fd(&loop->signals.fd);
	close_fd(&loop->epoll);
	free(loop);
}

int loop_add(struct loop *loop, struct loop_watch *watch, uint32_t events, struct error *err)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "watch a descriptor");
	return 0;
}

void loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event) < 0)
		log_error("change a watch: %s", strerror(errno));
}

void loop_remove(struct loop *loop, struct loop_watch *watch)
{
	if (watch->fd < 0)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	/* Its events in the batch that is being handled must not reach a struct that may be gone. */
	for (int i = 0; i < loop->batch_count; i++) {
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].data.ptr = NULL;
	}
}

void loop_disarm(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **at = &loop->timers;

	if (!timer->armed)
		return;
	while (*at && *at != timer)
		at = &(*at)->next;
	if (*at)
		*at = timer->next;
	timer->armed = false;
}

void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t after_ms)
{
	struct loop_timer **at = &loop->timers;

	loop_disarm(loop, timer);
	timer->at_ms = loop_now_ms() + after_ms;
	while (*at && (*at)->at_ms <= timer->at_ms)
		at = &(*at)->next;
	timer->next = *at;
	timer->armed = true;
	*at = timer;
}

void loop_add_child(struct loop *loop, struct loop_child *child)
{
	child->next = loop->children;
	loop->children = child;
}

void loop_remove_child(struct loop *loop, struct loop_child *child)
{
	struct loop_child **at = &loop->children;

	while (*at && *at != child)
		at = &(*at)->next;
	if (*at)
		*at = child->next;
	child->next = NULL;
}

static int next_timeout(const struct loop *loop)
{
	if (!loop->timers)
		return -1;
	uint64_t now = loop_now_ms();
	uint64_t left = loop->timers->at_ms > now ? loop->timers->at_ms - now : 0;

	return left > 3600000 ? 3600000 : (int)left;
}

static void fire_timers(struct loop *loop)
{
	uint64_t now = loop_now_ms();

	while (loop->timers && loop->timers->at_ms <= now) {
		struct loop_timer *timer = loop->timers;

		loop->timers = timer->next;
		timer->armed = false;
		timer->fire(timer);
	}
}

void loop_run(struct loop *loop)
{
	while (!loop->stop) {
		int count = epoll_wait(loop->epoll, loop->batch, BATCH, next_timeout(loop));

		if (count < 0 && errno != EINTR) {
			log_error("epoll_wait: %s", strerror(errno));
			return;
		}
		loop->batch_count = count > 0 ? count : 0;
		for (int i = 0; i < loop->batch_count; i++) {
			struct loop_watch *watch = loop->batch[i].data.ptr;

			if (watch)
				watch->ready(watch, loop->batch[i].events);
		}
		loop->batch_count = 0;
		fire_timers(loop);
	}
	loop->stop = false;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}

void loop_forget_in_child(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* PID 1 goes before what it starts, and nothing that it starts goes before anything else. */
	setpriority(PRIO_PROCESS, 0, 0);
}
