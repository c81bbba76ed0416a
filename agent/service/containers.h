/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_CONTAINERS_H
#define SERVICE_CONTAINERS_H

#include "service/process.h"

/* Containers and the processes in them.  Requests must live until their completion. */

struct container_object {
	struct object object; /* uses: the root file system, first, unless it is a sandbox; containers whose namespaces it joins */
	bool sandbox;
	struct process *first;
	struct process *execs;
	/* The decoded config, kept since an exec gets the container's restrictions: owned, with the JSON that it points into. */
	struct config *config;
	json_object *config_json;
	struct decode_memory config_memory;
};

struct container_create {
	const char *id, *rootfs; /* rootfs NULL: a sandbox, and process too */
	json_object *config;     /* a reference is taken for as long as the container lives */
	json_object *process;
	json_object *spec; /* an OCI runtime spec in place of both, which are NULL then */
	const char *stdio; /* of a spec's process; NULL: as if the process did not say */
};

struct container_result {
	pid_t pid;
	struct steps steps;
};

struct container_exec {
	const char *id, *exec;
	json_object *process;
};

/* A sandbox runs when it has been created; a container waits for containers_start. */
void containers_create(struct agent *agent, const struct container_create *request, struct completion completion);
void containers_start(struct agent *agent, const char *id, struct completion completion);
/* Completion: struct container_result, when the program has been executed. */
void containers_exec(struct agent *agent, const struct container_exec *request, struct completion completion);
/* `exec` NULL: the first process.  `all`: every process in the container. */
void containers_signal(struct agent *agent, const char *id, const char *exec, int signal, bool all, struct completion completion);
void containers_wait(struct agent *agent, const char *id, const char *exec, struct completion completion);
void containers_resize(struct agent *agent, const char *id, const char *exec, unsigned width, unsigned height,
		       struct completion completion);
void containers_remove(struct agent *agent, const char *id, bool force, struct completion completion);

/* ERROR_NOT_FOUND, or the process. */
must_check int containers_process(struct agent *agent, const char *id, const char *exec, struct process **process,
				  struct error *err);
/* "creating", "created", "running", "stopped", "removing", "broken". */
const char *containers_state(const struct container_object *container);

#endif
