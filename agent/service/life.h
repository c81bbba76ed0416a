/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_LIFE_H
#define SERVICE_LIFE_H

#include <json-c/json.h>

#include "container/usage.h"
#include "service/operation.h"

/*
 * What can be done with and learnt of a container while it lives: pause and resume, change its limits, what it uses, and the events
 * of its group.  The container's own file calls the hooks at the end.
 */

enum life_freeze { LIFE_THAWED, LIFE_FREEZING, LIFE_FROZEN, LIFE_THAWING };

struct container_object;
struct life_rules;

/* Part of a container. */
struct life {
	struct agent *agent; /* NULL: not begun */
	char cgroup[160];    /* as sys/cgroups.h names it */
	uint64_t created_ms; /* since 1970 */
	enum life_freeze freeze;
	struct completion completion; /* of the pause or resume that is under way */
	struct loop_watch frozen;     /* v2: cgroup.events */
	struct loop_timer timer;      /* the deadline; on v1 also the next look */
	uint64_t deadline_ms;
	struct loop_watch oom; /* v2: memory.events; v1: an eventfd */
	uint64_t oom_kills;
	bool updating;
	struct life_rules *rules; /* of the last update that named device rules; NULL: the config's hold */
};

void life_pause(struct agent *agent, const char *id, struct completion completion);
void life_resume(struct agent *agent, const char *id, struct completion completion);
/* `resources`: a reference is taken for as long as it is needed.  All of it holds afterwards, or, after an error, nothing of it. */
void life_update(struct agent *agent, const char *id, json_object *resources, struct completion completion);
must_check int life_stats(struct agent *agent, const char *id, struct usage *usage, struct error *err);

/* Is it to be shown as "paused"? */
bool life_is_paused(const struct life *life);

/* Hooks.  `id`: the container's; it must live as long as the container. */
void life_begin(struct agent *agent, struct container_object *container);
/* The first process has ended. */
void life_over(struct container_object *container);
/* A signal has been sent: SIGKILL wakes what is frozen. */
void life_signalled(struct container_object *container, int signal, bool all);
/* Before the container is freed; nothing happens when it had not begun. */
void life_end(struct container_object *container);

#endif
