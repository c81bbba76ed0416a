/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/joins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct object *find_by_pid(const struct agent *agent, pid_t pid)
{
	for (struct object *object = agent->objects.lists[OBJECT_CONTAINER]; object; object = object->next) {
		const struct container_object *container = (const struct container_object *)object;

		if (container->first && container->first->pid == pid)
			return object;
	}
	return NULL;
}

int joins_open(const struct container_object *container, struct error *err)
{
	pid_t pid = container->first ? container->first->pid : 0;
	/* Only the loop reaps, so the number is still this process's. */
	int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	return fd >= 0 ? fd
		       : error_set(err, ERROR_STATE, pid > 0 ? errno : ESRCH, "the container %s is %s", container->object.id,
				   containers_state(container));
}

static int resolve(struct agent *agent, struct object *object, const struct namespaces *namespaces, enum namespace_kind kind,
		   int *fd, struct error *err)
{
	char id[COFFER_ID_MAX + 1];
	pid_t pid;
	int result = namespaces_owner(namespaces->paths[kind], kind, id, sizeof(id), &pid, err);

	if (result < 0)
		return result;
	struct object *base = pid ? find_by_pid(agent, pid) : objects_find(&agent->objects, OBJECT_CONTAINER, id);
	if (!base || base == object)
		return error_set(err, ERROR_NOT_FOUND, ENOENT, "%s is of no container of this VM", namespaces->paths[kind]);
	if (!objects_uses(object, base))
		result = objects_use(object, base, err);
	if (result < 0)
		return result;
	*fd = joins_open((const struct container_object *)base, err);
	return *fd < 0 ? *fd : 0;
}

int joins_resolve(struct agent *agent, struct object *object, const struct namespaces *namespaces, int fds[NAMESPACE_KINDS],
		  struct error *err)
{
	for (int kind = 0; kind < NAMESPACE_KINDS; kind++) {
		if (!namespaces->paths[kind])
			continue;
		int result = resolve(agent, object, namespaces, (enum namespace_kind)kind, &fds[kind], err);
		if (result < 0) {
			snprintf(err->field, sizeof(err->field), "config.namespaces[%zu].path", namespaces->positions[kind]);
			return result;
		}
	}
	return 0;
}
