/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * The loop of PID 1: descriptors, timers, children and signals.  loop_run is the only place where PID 1 blocks, and the only
 * caller of waitpid.  Callbacks run one at a time and may add and remove anything, themselves included.  All structs are the
 * caller's and must live until removed.
 */

struct loop;

struct loop_watch {
	int fd; /* -1: not watched */
	void (*ready)(struct loop_watch *watch, uint32_t events);
	void *context;
};

struct loop_timer {
	uint64_t at_ms; /* CLOCK_MONOTONIC */
	void (*fire)(struct loop_timer *timer);
	void *context;
	struct loop_timer *next;
	bool armed;
};

struct loop_child {
	pid_t pid;
	void (*exited)(struct loop_child *child, int status); /* status as of waitpid; the child has been removed by then */
	void *context;
	struct loop_child *next;
};

struct loop_hooks {
	void (*signal)(void *context, int signal); /* SIGTERM, SIGINT, SIGPWR */
	/* Before children are reaped: what they said before they died must be heard first. */
	void (*before_reap)(void *context);
	void *context;
};

/* Blocks the signals that it reads from then on.  NULL: `err` says why. */
struct loop *loop_new(const struct loop_hooks *hooks, struct error *err);
void loop_free(struct loop *loop);

/* EPOLLIN, EPOLLOUT; EPOLLHUP and EPOLLERR always come too.  The descriptor stays the caller's. */
must_check int loop_add(struct loop *loop, struct loop_watch *watch, uint32_t events, struct error *err);
void loop_change(struct loop *loop, struct loop_watch *watch, uint32_t events);
/* Before the descriptor is closed.  Nothing happens when it is not watched. */
void loop_remove(struct loop *loop, struct loop_watch *watch);

void loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t after_ms);
void loop_disarm(struct loop *loop, struct loop_timer *timer);

void loop_add_child(struct loop *loop, struct loop_child *child);
void loop_remove_child(struct loop *loop, struct loop_child *child);

/* Until loop_stop, which may have come before.  It can be called again. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* In a forked child: default signal handling and an empty mask. */
void loop_forget_in_child(void);
uint64_t loop_now_ms(void);

#endif
