/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_BINDS_H
#define SERVICE_BINDS_H

#include "agent.h"
#include "container/config.h"

/*
 * The volumes and scratches that a container's bind mounts lie in: the container stands on them, so none is detached under it.
 * ERROR_NOT_FOUND, ERROR_STATE with the field.  A source that lies in neither is left to who mounts it.
 */
must_check int binds_use(struct agent *agent, struct object *container, const struct config *config, struct error *err);

#endif
