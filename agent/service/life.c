/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/life.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "container/groups.h"
#include "service/containers.h"
#include "service/events.h"
#include "sys/cgroups.h"

#define FREEZE_DEADLINE_MS 10000u
#define LOOK_AGAIN_MS      10u /* v1 tells nobody when it has frozen */
#define FOLDER_SIZE        512

/* The device rules in force after an update: they are needed again when the next one fails half-way on cgroup v1. */
struct life_rules {
	json_object *json;
	struct decode_memory memory;
	struct resources resources;
};

static void publish(const struct container_object *container, const char *name)
{
	const struct event event = { .name = name, .id = container->object.id };

	events_publish(container->life.agent, &event);
}

/* Of a container that is ready to be acted on. */
static int find(struct agent *agent, const char *id, struct container_object **container, struct error *err)
{
	int result = objects_get(&agent->objects, OBJECT_CONTAINER, id, "id", (struct object **)container, err);

	if (result == 0 && (*container)->object.state != OBJECT_READY)
		result = error_set(err, ERROR_STATE, EINVAL, "the container is %s", containers_state(*container));
	return result;
}

/* ---- pause and resume ---- */

bool life_is_paused(const struct life *life)
{
	return life->freeze == LIFE_FROZEN || life->freeze == LIFE_THAWING;
}

static void forget_wait(struct life *life)
{
	loop_disarm(life->agent->loop, &life->timer);
	loop_remove(life->agent->loop, &life->frozen);
	close_fd(&life->frozen.fd);
}

/* `error` NULL: it has come to pass. */
static void end_wait(struct container_object *container, const struct error *error)
{
	struct life *life = &container->life;
	bool freezing = life->freeze == LIFE_FREEZING;
	struct completion completion = life->completion;

	if (!freezing && life->freeze != LIFE_THAWING)
		return;
	forget_wait(life);
	life->freeze = freezing == !error ? LIFE_FROZEN : LIFE_THAWED;
	if (!error)
		publish(container, freezing ? "paused" : "resumed");
	completion.done(completion.context, error, NULL);
}

static void look(struct container_object *container)
{
	struct life *life = &container->life;
	bool freezing = life->freeze == LIFE_FREEZING;
	struct error err;
	int frozen = cgroups_frozen(life->cgroup);

	if (frozen == freezing) {
		end_wait(container, NULL);
	} else if (loop_now_ms() >= life->deadline_ms) {
		struct error ignored;

		/* Neither the one nor the other is no state to be left in. */
		if (freezing)
			(void)!cgroups_freeze(life->cgroup, false, &ignored);
		error_set(&err, ERROR_TIMEOUT, ETIMEDOUT, "not every process could be %s", freezing ? "stopped" : "let go");
		end_wait(container, &err);
	} else if (life->frozen.fd < 0) {
		loop_arm(life->agent->loop, &life->timer, LOOK_AGAIN_MS);
	}
}

static void timer_fired(struct loop_timer *timer)
{
	look(timer->context);
}

static void events_changed(struct loop_watch *watch, uint32_t events)
{
	struct container_object *container = watch->context;
	char text[256];

	(void)events;
	/* Until it is read the kernel goes on saying that it has changed. */
	if (pread(watch->fd, text, sizeof(text), 0) < 0) {
		loop_remove(container->life.agent->loop, watch);
		close_fd(&watch->fd);
	}
	look(container);
}

static int watch_events(struct life *life, struct error *err)
{
	char path[FOLDER_SIZE];

	life->deadline_ms = loop_now_ms() + FREEZE_DEADLINE_MS;
	if (cgroups_version() == CGROUPS_V1)
		return 0;
	if (text_format(path, sizeof(path), "%s/cgroup.events", life->cgroup) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "cgroup");
	life->frozen.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (life->frozen.fd < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open cgroup.events");
	loop_arm(life->agent->loop, &life->timer, FREEZE_DEADLINE_MS);
	return loop_add(life->agent->loop, &life->frozen, EPOLLPRI, err);
}

static void change(struct container_object *container, bool freeze, struct completion completion)
{
	struct life *life = &container->life;
	struct error err;
	int result = watch_events(life, &err);

	if (result == 0)
		result = cgroups_freeze(life->cgroup, freeze, &err);
	if (result < 0) {
		forget_wait(life);
		error_step(&err, freeze ? "pause" : "resume");
		completion_fail(&completion, &err);
		return;
	}
	life->freeze = freeze ? LIFE_FREEZING : LIFE_THAWING;
	life->completion = completion;
	look(container);
}

void life_pause(struct agent *agent, const char *id, struct completion completion)
{
	struct container_object *container;
	struct error err;
	int result = find(agent, id, &container, &err);

	if (result == 0 &&
	    (container->first->state != PROCESS_RUNNING || container->first->starting || container->life.freeze != LIFE_THAWED))
		result = error_set(&err, ERROR_STATE, EINVAL, "the container is %s",
				   container->life.freeze == LIFE_THAWED && container->first->starting
					   ? "starting"
					   : containers_state(container));
	/* What is being launched into it would stand still half-way, and its worker with it. */
	if (result == 0 && container->object.users > 0)
		result = error_set(&err, ERROR_BUSY, EAGAIN, "an exec or an update is under way");
	if (result < 0)
		completion_fail(&completion, &err);
	else
		change(container, true, completion);
}

void life_resume(struct agent *agent, const char *id, struct completion completion)
{
	struct container_object *container;
	struct error err;
	int result = find(agent, id, &container, &err);

	if (result == 0 && container->life.freeze != LIFE_FROZEN)
		result = error_set(&err, ERROR_STATE, EINVAL, "the container is %s", containers_state(container));
	if (result < 0)
		completion_fail(&completion, &err);
	else
		change(container, false, completion);
}

/* ---- limits ---- */

struct updating {
	struct agent *agent;
	struct container_object *container;
	struct life_rules *rules; /* what is asked for */
	const struct resources *former;
	struct completion completion;
};

static void free_rules(struct life_rules *rules)
{
	if (!rules)
		return;
	decode_free(&rules->memory);
	json_object_put(rules->json);
	free(rules);
}

/* In the worker. */
static int update_work(struct worker *worker, void *context, void *result, struct error *err)
{
	struct updating *updating = context;

	(void)result;
	return groups_update(updating->container->life.cgroup, &updating->rules->resources, updating->former, &worker->undo, err);
}

static const struct operation_kind update_kind = {
	.name = "container.update",
	.deadline_ms = 60000, /* a lower limit of memory makes the kernel look for pages to take back */
	.work = update_work,
};

static void updated(void *context, const struct error *error, const void *result)
{
	struct updating *updating = context;
	struct container_object *container = updating->container;
	struct completion completion = updating->completion;

	(void)result;
	container->object.users--;
	container->life.updating = false;
	if (!error && resources_has_rules(&updating->rules->resources)) {
		free_rules(container->life.rules);
		container->life.rules = take_pointer(updating->rules);
	}
	free_rules(updating->rules);
	free(updating);
	completion.done(completion.context, error, NULL);
}

static int prepare_update(struct updating *updating, const char *id, json_object *json, struct error *err)
{
	struct container_object *container;
	struct life_rules *rules = updating->rules;
	int result = find(updating->agent, id, &container, err);

	if (result < 0)
		return result;
	if (container->first->state == PROCESS_STOPPED)
		return error_set(err, ERROR_STATE, EINVAL, "the container is %s", containers_state(container));
	if (container->life.updating)
		return error_set(err, ERROR_BUSY, EAGAIN, "an update is under way");
	rules->json = json_object_get(json);
	if (decode_object(json, &resources_schema, &rules->resources, &rules->memory, err) < 0)
		return error_within(err, "resources");
	if (rules->resources.freezer && strcmp(rules->resources.freezer, "THAWED") == 0 && container->life.freeze != LIFE_THAWED) {
		result = error_set(err, ERROR_STATE, EINVAL, "the container is paused; container.resume lets it go");
		snprintf(err->field, sizeof(err->field), "resources.freezer");
		return result;
	}
	updating->container = container;
	updating->former = container->life.rules ? &container->life.rules->resources : &container->config->cgroups;
	return 0;
}

void life_update(struct agent *agent, const char *id, json_object *resources, struct completion completion)
{
	struct updating *updating = calloc(1, sizeof(*updating));
	struct life_rules *rules = calloc(1, sizeof(*rules));
	struct error err;
	int result = 0;

	if (!updating || !rules)
		result = error_set(&err, ERROR_INTERNAL, ENOMEM, "container.update");
	if (result == 0) {
		*updating = (struct updating){ .agent = agent, .rules = rules, .completion = completion };
		result = prepare_update(updating, id, resources, &err);
	}
	if (result < 0) {
		free_rules(rules);
		free(updating);
		completion_fail(&completion, &err);
		return;
	}
	updating->container->object.users++;
	updating->container->life.updating = true;
	const struct operation_start start = {
		.kind = &update_kind,
		.object = &updating->container->object,
		.request = updating,
		.completion = { updated, updating },
	};
	operation_visit(agent, &start);
}

int life_stats(struct agent *agent, const char *id, struct usage *usage, struct error *err)
{
	struct container_object *container;
	int result = find(agent, id, &container, err);

	return result < 0 ? result : usage_read(container->life.cgroup, usage, err);
}

/* ---- out of memory ---- */

static void oom_changed(struct loop_watch *watch, uint32_t events)
{
	struct container_object *container = watch->context;
	struct life *life = &container->life;
	char text[512];

	(void)events;
	if (pread(watch->fd, text, sizeof(text), 0) < 0 && (errno != ESPIPE || read(watch->fd, text, sizeof(text)) < 0)) {
		/* The group has gone; it would go on saying so. */
		loop_remove(life->agent->loop, watch);
		close_fd(&watch->fd);
		return;
	}
	uint64_t kills = usage_oom_kills(life->cgroup);
	/* v1 tells of the group's end in the same way. */
	if (kills == USAGE_NONE || container->object.state != OBJECT_READY)
		return;
	/* v1 tells before it kills: what is not counted yet is counted as one. */
	if (cgroups_version() == CGROUPS_V1 && kills <= life->oom_kills)
		kills = life->oom_kills + 1;
	if (kills > life->oom_kills) {
		const struct event event = { .name = "oom", .id = container->object.id, .has_count = true, .count = kills };

		life->oom_kills = kills;
		events_publish(life->agent, &event);
	}
}

/* v1: an eventfd, told to the kernel together with the file that it is about. */
static int register_oom(const char *folder, struct error *err)
{
	char path[FOLDER_SIZE], text[64];
	fd_auto event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (event < 0 || text_format(path, sizeof(path), "%s/memory.oom_control", folder) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "eventfd");
	fd_auto control = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(text, sizeof(text), "%d %d", event, control);
	int result = control < 0 ? error_set(err, ERROR_CONTAINER, errno, "open memory.oom_control")
				 : cgroups_write(folder, "cgroup.event_control", text, err);
	return result < 0 ? result : take_fd(&event);
}

static void watch_oom(struct life *life)
{
	bool v1 = cgroups_version() == CGROUPS_V1;
	char folder[FOLDER_SIZE], path[FOLDER_SIZE];
	struct error err;
	int result = cgroups_path(life->cgroup, "memory", folder, sizeof(folder), &err);

	if (result < 0 || text_format(path, sizeof(path), "%s/%s", folder, v1 ? "memory.oom_control" : "memory.events") < 0)
		return;
	if (access(path, F_OK) < 0)
		return; /* no memory controller: no limit that could be hit */
	life->oom.fd = v1 ? register_oom(folder, &err) : open(path, O_RDONLY | O_CLOEXEC);
	if (life->oom.fd < 0 || loop_add(life->agent->loop, &life->oom, v1 ? EPOLLIN : EPOLLPRI, &err) < 0) {
		log_warning("%s: no events of memory running out", life->cgroup);
		if (life->oom.fd >= 0)
			close(life->oom.fd);
		life->oom.fd = -1;
	}
}

/* ---- hooks ---- */

void life_begin(struct agent *agent, struct container_object *container)
{
	struct life *life = &container->life;

	*life = (struct life){
		.agent = agent,
		.created_ms = events_now_ms(),
		.frozen = { .fd = -1, .ready = events_changed, .context = container },
		.timer = { .fire = timer_fired, .context = container },
		.oom = { .fd = -1, .ready = oom_changed, .context = container },
	};
	snprintf(life->cgroup, sizeof(life->cgroup), CGROUPS_ROOT "/%s", container->object.id);
	watch_oom(life);
	publish(container, "created");
}

void life_over(struct container_object *container)
{
	struct life *life = &container->life;
	struct error err, ignored;

	if (!life->agent || life->freeze == LIFE_THAWED)
		return;
	error_set(&err, ERROR_STATE, ESRCH, "the container has ended");
	if (life->freeze == LIFE_FREEZING || life->freeze == LIFE_THAWING)
		end_wait(container, &err);
	/* Whatever the first process left behind must not look paused for ever. */
	if (cgroups_freeze(life->cgroup, false, &ignored) == 0)
		life->freeze = LIFE_THAWED;
}

void life_signalled(struct container_object *container, int signal, bool all)
{
	struct life *life = &container->life;
	struct error ignored;

	/* v2 lets a killed process die where it is frozen.  On v1 it has to be thawed, which is right when nothing else survives.
	 */
	if (!life->agent || signal != SIGKILL || life->freeze == LIFE_THAWED || cgroups_version() == CGROUPS_V2)
		return;
	if (all || (container->config->namespaces.create & CLONE_NEWPID))
		(void)!cgroups_freeze(life->cgroup, false, &ignored);
}

void life_end(struct container_object *container)
{
	struct life *life = &container->life;
	struct error err;

	if (!life->agent)
		return;
	if (life->freeze == LIFE_FREEZING || life->freeze == LIFE_THAWING) {
		error_set(&err, ERROR_NOT_FOUND, ESRCH, "the container is gone");
		end_wait(container, &err);
	}
	forget_wait(life);
	loop_remove(life->agent->loop, &life->oom);
	close_fd(&life->oom.fd);
	free_rules(life->rules);
	life->rules = NULL;
	publish(container, "removed");
	life->agent = NULL;
}
