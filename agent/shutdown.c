/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shutdown.h"

#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "service/containers.h"
#include "service/storage.h"
#include "service/stores.h"

#define PATIENCE_MS 30000u
#define SYNC_MS     10000u

struct stopping {
	struct agent *agent;
	struct loop_timer patience, turn;
	unsigned removing;
};

static void step(struct stopping *stopping);

static void removed(void *context, const struct error *error, const void *result)
{
	struct stopping *stopping = context;

	(void)result;
	if (error)
		log_warning("shutdown: %s", error->message);
	stopping->removing--;
	if (!error) /* after a failure the next turn goes on: not at once, and for ever */
		step(stopping);
}

/* Everything of one kind that nothing stands on, at once; returns how many are still there in some state. */
static unsigned remove_kind(struct stopping *stopping, enum object_kind kind)
{
	struct agent *agent = stopping->agent;
	struct object *next;
	unsigned left = 0;

	for (struct object *object = agent->objects.lists[kind]; object; object = next) {
		next = object->next;
		if (object->state == OBJECT_BROKEN)
			continue; /* tried already */
		left++;
		if (object->state != OBJECT_READY || object->users > 0)
			continue;
		stopping->removing++;
		const struct completion completion = { removed, stopping };
		if (kind == OBJECT_CONTAINER)
			containers_remove(agent, object->id, true, completion);
		else
			storage_remove(agent, kind, object->id, completion);
	}
	return left;
}

static void step(struct stopping *stopping)
{
	static const enum object_kind order[] = { OBJECT_CONTAINER, OBJECT_ROOTFS,  OBJECT_TREE,
						  OBJECT_IMAGE,     OBJECT_SCRATCH, OBJECT_VOLUME };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (remove_kind(stopping, order[i]) > 0)
			return; /* goes on when these have gone: at a removal, or at the next turn */
		/* Stores of layers keep the scratches and volumes that they lie on; what is finished in them stays on the disk. */
		if (order[i] == OBJECT_IMAGE && stores_forget(stopping->agent) > 0)
			return;
	}
	if (stopping->removing == 0)
		loop_stop(stopping->agent->loop);
}

static void next_turn(struct loop_timer *timer)
{
	struct stopping *stopping = timer->context;

	step(stopping);
	loop_arm(stopping->agent->loop, timer, 100);
}

static void out_of_patience(struct loop_timer *timer)
{
	struct stopping *stopping = timer->context;

	log_error("shutdown: something did not end within %u ms, going down without it", PATIENCE_MS);
	loop_stop(stopping->agent->loop);
}

void shutdown_begin(struct agent *agent)
{
	struct stopping *stopping;

	if (agent->closing)
		return;
	agent->closing = true;
	log_info("shutting down");
	stopping = calloc(1, sizeof(*stopping)); /* lives until the machine is off */
	if (!stopping) {
		loop_stop(agent->loop);
		return;
	}
	stopping->agent = agent;
	stopping->patience = (struct loop_timer){ .fire = out_of_patience, .context = stopping };
	stopping->turn = (struct loop_timer){ .fire = next_turn, .context = stopping };
	loop_arm(agent->loop, &stopping->patience, PATIENCE_MS);
	/* The first step a moment later: whoever asked for this gets the answer before. */
	loop_arm(agent->loop, &stopping->turn, 20);
}

/* In a child: with a disk that hangs sync() never returns. */
static void flush_disks(void)
{
	pid_t child = fork();

	if (child == 0) {
		sync();
		_exit(0);
	}
	for (unsigned waited = 0; child > 0 && waited < SYNC_MS && waitpid(child, NULL, WNOHANG) != child; waited += 10)
		usleep(10 * 1000);
}

void shutdown_machine(bool reboot_wanted)
{
	flush_disks();
	reboot(reboot_wanted ? RB_AUTOBOOT : RB_POWER_OFF);
	/* A machine that cannot power itself off. */
	reboot(RB_HALT_SYSTEM);
}
