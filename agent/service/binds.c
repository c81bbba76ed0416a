/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/binds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "container/rootfs_mount.h"
#include "service/storage.h"
#include "service/stores.h"

static int use(struct agent *agent, struct object *container, const char *source, struct error *err)
{
	char id[COFFER_ID_MAX + 1];
	struct object *base;
	const char *inside;
	bool scratch;

	if (rootfs_mount_base(source, &scratch, id, &inside) < 0)
		return 0;
	int result = scratch ? storage_get_scratch(agent, id, "", &base, err)
			     : objects_get(&agent->objects, OBJECT_VOLUME, id, "", &base, err);
	if (result < 0 || objects_uses(container, base))
		return result;
	if (stores_on(agent, base))
		return error_set(err, ERROR_IN_USE, EBUSY, "a store of layers is open on %s", id);
	return objects_use(container, base, err);
}

int binds_use(struct agent *agent, struct object *container, const struct config *config, struct error *err)
{
	const struct config_mount *mounts = config->mounts.items;

	for (size_t i = 0; i < config->mounts.count; i++) {
		if (strcmp(mounts[i].device, "bind") != 0)
			continue;
		int result = use(agent, container, mounts[i].source, err);
		if (result < 0) {
			snprintf(err->field, sizeof(err->field), "config.mounts[%zu].source", i);
			return result;
		}
	}
	return 0;
}
