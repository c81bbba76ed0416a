/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_LAUNCHING_H
#define SERVICE_LAUNCHING_H

#include "service/containers.h"

/* What a worker needs to launch a process, a container's first or a later one; freed at the completion. */
struct launching {
	struct agent *agent;
	struct process *process;
	struct container_object *container;
	struct config_process wanted;
	json_object *process_json;
	struct decode_memory memory;
	char rootfs[160], cgroup[160];
	bool exec;
	bool from_spec; /* config and process have been converted: errors name the spec's fields */
	int target;     /* pidfd of the container's first process, for an exec; or -1 */
	int theirs[4];
	int owners[NAMESPACE_KINDS]; /* pidfds of whose namespaces are joined; or -1 */
	struct completion completion;
	struct container_result result;
};

/* NULL: no memory. */
struct launching *launching_new(struct agent *agent, json_object *process, struct completion completion);
/* The answer to the request, and the end of `launching`. */
void launching_end(struct launching *launching, const struct error *error);
/* The child has its own: until these are closed, its execve does not show at the gate. */
void launching_close_theirs(struct launching *launching);

/* The parts of the operation: `work`, `keep` (returns how many) and `spawned`. */
must_check int launching_work(struct worker *worker, void *launching, void *result, struct error *err);
int launching_keep(const struct launching *launching, int keep[JOB_KEEP_MAX]);
void launching_spawned(struct job *job, pid_t pid, int fd);

#endif
