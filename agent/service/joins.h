/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_JOINS_H
#define SERVICE_JOINS_H

#include "service/containers.h"

/*
 * Namespaces of other containers that a new one joins.  Each path of config->namespaces is resolved to a container that runs or is
 * created; it is used by the new one from then on, so it cannot be removed before it.  fds[kind] is a pidfd of its first process,
 * or -1; the caller closes them.
 */
must_check int joins_resolve(struct agent *agent, struct object *object, const struct namespaces *namespaces,
			     int fds[NAMESPACE_KINDS], struct error *err);

/* A pidfd of the container's first process. */
must_check int joins_open(const struct container_object *container, struct error *err);

#endif
