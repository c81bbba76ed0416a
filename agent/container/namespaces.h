/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_NAMESPACES_H
#define CONTAINER_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/decode.h"
#include "base/error.h"

/*
 * libcontainer's namespaces: new ones, and those of other containers of the VM, named by path.  Two paths name one:
 *
 *     /proc/PID/ns/NAME                        PID: the first process of a container, as container.create answers it
 *     /run/coffer/container/ID/ns/NAME         ID: a container or sandbox of this VM
 *
 * NAME must be the kind's own file (net, pid, ipc, uts, user, cgroup, time).  The agent's own namespaces cannot be named.
 */

enum namespace_kind {
	NAMESPACE_MNT,
	NAMESPACE_PID,
	NAMESPACE_UTS,
	NAMESPACE_IPC,
	NAMESPACE_NET,
	NAMESPACE_USER,
	NAMESPACE_CGROUP,
	NAMESPACE_TIME,
	NAMESPACE_KINDS,
};

struct namespaces_entry {
	const char *type, *path;
};

struct namespaces_mapping {
	uint64_t container_id, host_id, size;
};

struct namespaces_offset {
	int64_t secs;
	uint64_t nanosecs;
};

struct namespaces_offsets {
	struct namespaces_offset monotonic, boottime;
};

struct namespaces {
	unsigned long create, join;            /* CLONE_NEW* */
	const char *paths[NAMESPACE_KINDS];    /* of those to join */
	size_t positions[NAMESPACE_KINDS];     /* in the config's list, for errors */
	int owners[NAMESPACE_KINDS];           /* pidfd of a process in it, or -1; not owned */
	const struct decode_list *uid, *gid;   /* struct namespaces_mapping */
	const struct namespaces_offsets *time; /* NULL: none */
};

extern const struct decode_schema namespaces_entry_schema, namespaces_mapping_schema, namespaces_offsets_schema;

/* From the config's list of struct namespaces_entry.  Every kind at most once. */
must_check int namespaces_read(const struct decode_list *entries, struct namespaces *namespaces, struct error *err);
/* Who is meant by a path: a container's id (*pid 0), or a process (id ""). */
must_check int namespaces_owner(const char *path, enum namespace_kind kind, char id[], size_t size, pid_t *pid, struct error *err);

/* ---- in a worker ---- */

/*
 * Everything to be joined, and a new time namespace with its offsets, for the children; but what namespaces_enter_user or
 * namespaces_enter_cgroup is for.
 */
must_check int namespaces_enter(const struct namespaces *namespaces, struct error *err);
/* For an exec: the namespaces of a container's process, but the cgroup's and the user's. */
must_check int namespaces_join(const struct namespaces *namespaces, int process, struct error *err);
/* A new user namespace's maps, once its first process is there. */
must_check int namespaces_map(const struct namespaces *namespaces, pid_t pid, struct error *err);

/* ---- in the child ---- */

/* When a user namespace is joined, in a process between worker and child: that one, and what must be joined with the rights of
 * before. */
must_check int namespaces_enter_user(const struct namespaces *namespaces, struct error *err);
/* When none is joined. */
must_check int namespaces_enter_cgroup(const struct namespaces *namespaces, struct error *err);
/* For an exec: what namespaces_join has left. */
must_check int namespaces_follow(const struct namespaces *namespaces, int process, struct error *err);
/* Root of the user namespace that the child is in. */
must_check int namespaces_become_root(struct error *err);

#endif
