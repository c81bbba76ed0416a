/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_CONTAINER_HOOKS_H
#define SERVICE_CONTAINER_HOOKS_H

#include "service/containers.h"

/* The hooks that run when no launch is under way: poststart and poststop, each in a worker. */

/* `completion` is called when the container's poststart hooks have run.  When one fails the container is killed. */
void container_hooks_started(struct agent *agent, struct container_object *container, struct completion completion);

/*
 * To be made before the container is removed, and run once it is gone.  NULL: nothing to do (or no memory: then err is set and the
 * result of container_hooks_keep is negative).
 */
struct container_hooks_farewell;
must_check int container_hooks_keep(struct container_object *container, struct container_hooks_farewell **farewell,
				    struct error *err);
/* Runs the poststop hooks.  A hook that fails is logged: the container is gone whatever it says. */
void container_hooks_stopped(struct agent *agent, struct container_hooks_farewell *farewell, struct completion completion);
/* The removal has failed: nothing is run. */
void container_hooks_drop(struct container_hooks_farewell *farewell);

#endif
