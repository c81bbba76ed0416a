/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "container/groups.h"
#include "container/stage.h"
#include "container/validate.h"
#include "sys/rights.h"

/* Soft limit of descriptors where nothing else is asked for: programs that use select() expect it. */
#define USUAL_DESCRIPTORS 1024u

/* A cgroup namespace's root is the cgroup that its maker is in: with CLONE_INTO_CGROUP, the container's. */
static pid_t clone_child(unsigned long flags, const struct groups *groups, int *pidfd)
{
	bool into = groups && groups->directory >= 0;
	struct clone_args args = {
		.flags = flags | CLONE_PARENT | (into ? CLONE_INTO_CGROUP : 0) | (pidfd ? CLONE_PIDFD : 0),
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.cgroup = into ? (uint64_t)groups->directory : 0,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* Of this worker, whose child inherits it: in an exec, the /proc that the child sees is the container's. */
static int set_oom_score(const struct launch *launch, struct error *err)
{
	int64_t score = launch->process->has_oom_score_adj ? launch->process->oom_score_adj : launch->config->oom_score_adj;
	char text[16];
	fd_auto fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	snprintf(text, sizeof(text), "%d", (int)score);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set oom_score_adj");
	return 0;
}

/* Numbers of processes differ between namespaces; a pidfd's are in its fdinfo, for whoever reads it. */
static pid_t pid_of(int pidfd)
{
	char path[64], text[512];
	int pid = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (text_read_file(path, text, sizeof(text)) < 0)
		return -1;
	const char *line = strstr(text, "\nPid:");
	return line && sscanf(line, "\nPid: %d", &pid) == 1 ? pid : -1;
}

/*
 * Into a user namespace that is joined goes a process of its own, which then makes the container's first process there: the worker
 * must keep its rights.  Both are children of PID 1.
 */
static pid_t clone_in_user_namespace(const struct launch *launch, const struct stage *stage, const struct groups *groups)
{
	const struct namespaces *namespaces = &launch->config->namespaces;
	int pair[2], pidfd = -1;
	char byte;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid_t between = clone_child(0, groups, NULL);
	if (between == 0) {
		struct error err;

		if (namespaces_enter_user(namespaces, &err) < 0)
			_exit(1);
		pid_t pid = clone_child(namespaces->create & ~(unsigned long)CLONE_NEWTIME, NULL, &pidfd);
		if (pid == 0) {
			close(pair[0]);
			close(pair[1]);
			stage_run(stage);
		}
		_exit(pid < 0 || rights_send(pair[1], "p", 1, pidfd) < 0);
	}
	close(pair[1]);
	ssize_t got = between > 0 ? rights_receive(pair[0], &byte, 1, 0, &pidfd) : -1;
	close(pair[0]);
	pid_t pid = got == 1 && pidfd >= 0 ? pid_of(pidfd) : -1;
	close_fd(&pidfd);
	if (pid < 0)
		errno = between < 0 ? errno : EPERM;
	return pid;
}

/* ---- what the child has to say ---- */

static int run_runtime_hooks(const struct launch *launch, int sync, pid_t pid, struct error *err)
{
	const struct hooks *hooks = &launch->config->hooks;
	const struct hooks_state state = {
		.id = launch->id,
		.version = launch->config->version,
		.status = "creating",
		.root = launch->rootfs,
		.pid = pid,
		.labels = &launch->config->labels,
	};
	int result = hooks_run(&hooks->prestart, "Hooks.prestart", &state, err);

	if (result == 0)
		result = hooks_run(&hooks->create_runtime, "Hooks.createRuntime", &state, err);
	if (result == 0 && send(sync, "g", 1, MSG_NOSIGNAL) != 1)
		result = error_set(err, ERROR_CONTAINER, errno, "the process ended while hooks ran");
	return result;
}

static int receive_report(const struct launch *launch, int sync, pid_t pid, int *master, struct error *err)
{
	for (;;) {
		struct stage_report report;
		ssize_t got = rights_receive(sync, &report, sizeof(report), 0, master);
		int result = 0;

		if (got != (ssize_t)sizeof(report))
			return error_set(err, ERROR_CONTAINER, 0, "the process ended while it was prepared");
		switch (report.progress) {
		case STAGE_READY:
			return 0;
		case STAGE_FAILED:
			*err = report.error;
			return error_step(err, "prepare the process");
		case STAGE_HOOKS:
			result = run_runtime_hooks(launch, sync, pid, err);
			if (result < 0)
				return error_step(err, "run the hooks");
		}
	}
}

/* By the worker, which has the right to raise them whatever user namespace the process is in; and last, since a small one would
 * keep the process from being prepared. */
static int set_limits(const struct launch *launch, pid_t pid, struct error *err)
{
	const struct decode_list *list = launch->process->has_rlimits ? &launch->process->rlimits : &launch->config->rlimits;
	const struct config_rlimit *limits = list->items;
	struct rlimit descriptors;

	if (prlimit(pid, RLIMIT_NOFILE, NULL, &descriptors) == 0 && descriptors.rlim_cur > USUAL_DESCRIPTORS) {
		descriptors.rlim_cur = USUAL_DESCRIPTORS;
		if (prlimit(pid, RLIMIT_NOFILE, &descriptors, NULL) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "set the limit of descriptors");
	}
	for (size_t i = 0; i < list->count; i++) {
		struct rlimit limit = { .rlim_cur = limits[i].soft, .rlim_max = limits[i].hard };

		if (prlimit(pid, (__rlimit_resource_t)limits[i].type, &limit, NULL) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "set rlimit %d", (int)limits[i].type);
	}
	return 0;
}

/* ---- the launch ---- */

static int clone_process(const struct launch *launch, const struct stage *stage, const struct groups *groups, pid_t *pid,
			 struct error *err)
{
	const struct namespaces *namespaces = &launch->config->namespaces;
	int result = groups_enter(groups, err);

	if (result == 0)
		result = launch->rootfs ? namespaces_enter(namespaces, err) : namespaces_join(namespaces, launch->target, err);
	if (result < 0)
		return result;
	if (launch->rootfs && (namespaces->join & CLONE_NEWUSER)) {
		*pid = clone_in_user_namespace(launch, stage, groups);
	} else {
		/* The worker is where the child's new time namespace begins: it has unshared it. */
		*pid = clone_child(launch->rootfs ? namespaces->create & ~(unsigned long)CLONE_NEWTIME : 0, groups, NULL);
		if (*pid == 0)
			stage_run(stage);
	}
	if (*pid < 0)
		return error_set(err, ERROR_CONTAINER, errno, "clone the process");
	return groups_leave(groups, err);
}

/* The child waits for its byte meanwhile. */
static int equip_child(const struct launch *launch, pid_t pid, struct error *err)
{
	int result = launch->spawned(launch->context, pid, -1, err);

	if (result == 0 && launch->rootfs)
		result = namespaces_map(&launch->config->namespaces, pid, err);
	if (result == 0 && launch->rootfs)
		result = network_plug(&launch->config->networks, pid, launch->undo, err);
	return result;
}

static int run_child(const struct launch *launch, struct stage *stage, struct groups *groups, pid_t *pid, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "socket to the process");
	fd_auto mine = pair[0], theirs = pair[1], master = -1;
	stage->sync = theirs;
	stage->worker = mine;
	int result = clone_process(launch, stage, groups, pid, err);
	close_fd(&theirs);
	if (result == 0)
		result = equip_child(launch, *pid, err);
	if (result < 0)
		return result;
	steps_done(launch->steps, "clone the process");
	if (send(mine, "g", 1, MSG_NOSIGNAL) != 1)
		return error_set(err, ERROR_CONTAINER, errno, "the process ended at once");
	if (launch->rootfs)
		result = groups_load(groups, &launch->config->cgroups, err);
	if (result == 0)
		result = receive_report(launch, mine, *pid, &master, err);
	if (result == 0)
		result = set_limits(launch, *pid, err);
	/* Before anything of the container's runs, and after its device nodes have been made. */
	if (result == 0 && launch->rootfs)
		result = groups_restrict(groups, &launch->config->cgroups, err);
	if (result == 0 && master >= 0)
		result = launch->spawned(launch->context, 0, master, err);
	steps_done(launch->steps, "prepare the process");
	return result;
}

static bool is_sandbox(const struct launch *launch)
{
	return launch->rootfs && launch->rootfs[0] == '\0';
}

int launch_run(const struct launch *launch, pid_t *pid, struct error *err)
{
	const struct config *config = launch->config;
	struct syscall_filter_program seccomp = { 0 };
	struct groups groups = GROUPS_NONE;
	struct config_process process = *launch->process;
	struct users_ids ids;
	fd_auto proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd_auto program = is_sandbox(launch) ? open("/pause", O_PATH | O_CLOEXEC) : -1;
	struct stage stage = {
		.id = launch->id,
		.rootfs = launch->rootfs,
		.cgroup = launch->cgroup,
		.config = config,
		.process = &process,
		.ids = &ids,
		.seccomp = &seccomp,
		.proc = proc,
		.target = launch->target,
		.gate = launch->gate,
		.program = program,
	};

	memcpy(stage.standard, launch->standard, sizeof(stage.standard));
	if (proc < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /proc");
	if (is_sandbox(launch) && program < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /pause");
	int result = launch->rootfs ? validate_allowed(config, err) : 0;
	if (result < 0)
		return error_within(err, "config");
	result = config->has_seccomp ? syscall_filter_compile(&config->seccomp, &seccomp, err) : 0;
	if (result < 0) {
		error_within(err, "config.seccomp");
		return error_step(err, "compile the filter");
	}
	if (config->has_seccomp)
		steps_done(launch->steps, "compile the filter");
	result = set_oom_score(launch, err);
	if (result == 0)
		result = launch->rootfs ? groups_create(launch->cgroup, &config->cgroups, launch->undo, &groups, err)
					: groups_open(launch->cgroup, &groups, err);
	if (result < 0) {
		error_step(err, "make the cgroup");
	} else {
		steps_done(launch->steps, "make the cgroup");
		result = run_child(launch, &stage, &groups, pid, err);
	}
	groups_close(&groups);
	return result;
}
