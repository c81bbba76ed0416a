/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_EVENTS_H
#define SERVICE_EVENTS_H

#include "agent.h"

/* What happens to containers, told to whoever subscribed at the moment when it happens.  Nothing is kept for later. */

struct event {
	const char *name; /* "created", "started", "exited", "oom", "paused", "resumed", "removed" */
	const char *id;
	const char *exec;      /* NULL or "": the container's first process, or the container */
	bool has_exit;         /* "exited" */
	int exit_code, signal; /* signal 0: none */
	bool has_count;        /* "oom" */
	uint64_t count;
	uint64_t time_ms; /* since 1970, by the guest's clock; filled in by events_publish */
};

struct events_sink {
	/* May unsubscribe itself, and no other. */
	void (*tell)(struct events_sink *sink, const struct event *event);
	void *context;
	struct events_sink *next;
};

/* The sink is the caller's and must live until it is unsubscribed. */
void events_subscribe(struct agent *agent, struct events_sink *sink);
void events_unsubscribe(struct agent *agent, struct events_sink *sink);
void events_publish(struct agent *agent, const struct event *event);

/* Milliseconds since 1970. */
uint64_t events_now_ms(void);

#endif
