/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_GROUPS_H
#define CONTAINER_GROUPS_H

#include "base/undo.h"
#include "container/resources.h"

/*
 * A container's cgroup with its limits and device rules, on either version.
 *
 * How a process gets into it: on v2 it is cloned into `directory` (CLONE_INTO_CGROUP).  On v1 the kernel cannot do that, so the
 * worker that clones goes in itself, clones, and comes out again: groups_enter, clone3, groups_leave.  Either way the child is born
 * in the group, which is then also the root of a cgroup namespace that is made by the same clone3.
 */
struct groups {
	const char *path; /* borrowed; sys/cgroups.h says how it is meant on v1 */
	int directory;    /* v2: for CLONE_INTO_CGROUP; v1: -1 */
	int mount;        /* v1: of the hierarchies, for groups_enter and groups_leave; v2: -1 */
	int filter;       /* v2: the device rules as the kernel has them, from groups_load; -1: not loaded */
};

#define GROUPS_NONE                                                                                                                \
	{                                                                                                                          \
		.directory = -1, .mount = -1, .filter = -1                                                                         \
	}

/*
 * Makes the group and sets the limits, before anything runs in it.  Devices are open until groups_restrict.  Errors name the field
 * as config.cgroups.KEY.  `groups` is to be closed whatever is returned.
 */
must_check int groups_create(const char *path, const struct resources *resources, struct undo *undo, struct groups *groups,
			     struct error *err);
/*
 * Prepares what groups_restrict does then in one step: to be called while others work.  May be left out.  Errors as there.
 */
must_check int groups_load(struct groups *groups, const struct resources *resources, struct error *err);
/*
 * Sets the config's device rules: when the agent's own code in the container has made its nodes, before the container's program can
 * run.
 */
must_check int groups_restrict(const struct groups *groups, const struct resources *resources, struct error *err);
/* An existing one. */
must_check int groups_open(const char *path, struct groups *groups, struct error *err);
void groups_close(struct groups *groups);

/*
 * v1: the calling process goes into the group, or back to the root of each hierarchy; also when it has joined the container's mount
 * namespace meanwhile.  On v2 nothing happens.
 */
must_check int groups_enter(const struct groups *groups, struct error *err);
must_check int groups_leave(const struct groups *groups, struct error *err);

/*
 * Changes the limits that `resources` names, in a worker.  What a file held is pushed as an undo record before it is written, so
 * whatever fails, all of it is as before.  Device rules come last: on v2 they are replaced in one step; on v1 in several, with less
 * allowed in between, and `former` (what holds now) is set again when one fails.  Errors name the field as resources.KEY.
 */
must_check int groups_update(const char *path, const struct resources *resources, const struct resources *former, struct undo *undo,
			     struct error *err);

#endif
