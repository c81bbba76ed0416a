/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "container/groups.h"
#include "container/stage.h"
#include "sys/rights.h"

/* A cgroup namespace's root is the cgroup that its maker is in: with CLONE_INTO_CGROUP, the container's. */
static pid_t clone_child(unsigned long namespaces, const struct groups *groups)
{
	bool into = groups->directory >= 0;
	struct clone_args args = {
		.flags = namespaces | CLONE_PARENT | (into ? CLONE_INTO_CGROUP : 0),
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

static int receive_report(int sync, int *master, struct error *err)
{
	struct stage_report report;
	ssize_t got = rights_receive(sync, &report, sizeof(report), 0, master);

	if (got != (ssize_t)sizeof(report))
		return error_set(err, ERROR_CONTAINER, 0, "the process ended while it was prepared");
	if (!report.failed)
		return 0;
	*err = report.error;
	return error_step(err, "prepare the process");
}

static int join_namespaces(pid_t target, struct error *err)
{
	fd_auto pidfd = (int)syscall(SYS_pidfd_open, target, 0);
	static const int all = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;

	if (pidfd < 0)
		return error_set(err, ERROR_STATE, errno, "the container's process is gone");
	if (setns(pidfd, all) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "join the container's namespaces");
	return 0;
}

static int run_child(const struct launch *launch, const struct groups *groups, pid_t *pid, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "socket to the process");
	fd_auto mine = pair[0], theirs = pair[1];
	if (!launch->rootfs) {
		int result = join_namespaces(launch->target, err);

		if (result < 0)
			return result;
	}
	int entered = groups_enter(groups, err);
	if (entered < 0)
		return entered;
	*pid = clone_child(launch->rootfs ? launch->config->clone_flags : 0, groups);
	if (*pid < 0)
		return error_set(err, ERROR_CONTAINER, errno, "clone the process");
	if (*pid == 0) {
		struct stage stage = {
			.id = launch->id,
			.rootfs = launch->rootfs,
			.config = launch->config,
			.process = launch->process,
			.sync = theirs,
			.gate = launch->gate,
		};

		memcpy(stage.standard, launch->standard, sizeof(stage.standard));
		close(mine);
		stage_run(&stage);
	}
	close_fd(&theirs);
	int result = launch->spawned(launch->context, *pid, -1, err);
	if (result == 0)
		result = groups_leave(groups, err);
	if (result < 0)
		return result;
	steps_done(launch->steps, "clone the process");
	fd_auto master = -1;
	if (send(mine, "g", 1, MSG_NOSIGNAL) != 1)
		return error_set(err, ERROR_CONTAINER, errno, "the process ended at once");
	result = receive_report(mine, &master, err);
	if (result == 0 && launch->rootfs)
		result = groups_restrict(groups, &launch->config->cgroups, err);
	if (result == 0 && master >= 0)
		result = launch->spawned(launch->context, 0, master, err);
	steps_done(launch->steps, "prepare the process");
	return result;
}

int launch_run(const struct launch *launch, pid_t *pid, struct error *err)
{
	struct groups groups = GROUPS_NONE;
	int result = set_oom_score(launch, err);

	if (result < 0)
		return result;
	if (launch->rootfs)
		result = groups_create(launch->cgroup, &launch->config->cgroups, launch->undo, &groups, err);
	else
		result = groups_open(launch->cgroup, &groups, err);
	if (result == 0) {
		steps_done(launch->steps, "make the cgroup");
		result = run_child(launch, &groups, pid, err);
	} else {
		error_step(err, "make the cgroup");
	}
	groups_close(&groups);
	return result;
}
