/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/close_range.h>

#include "base/cleanup.h"
#include "qemu/argv.h"
#include "qemu/bridge.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/machine.h"
#include "qemu/state.h"

/* What the child needs; all of it is made before the fork. */
struct plan {
	struct argv qemu, bridge;
	char log[PATH_MAX];
	int vhost;     /* -1: the bridge */
	int gate[2];   /* a byte: run QEMU; its end: the parent has died or given up */
	int report[2]; /* the bridge's pid */
};

_Noreturn static void child_fails(const char *what)
{
	dprintf(STDERR_FILENO, "coffer: %s: %s\n", what, strerror(errno));
	_exit(127);
}

/* Dies when QEMU does: its parent is the process that becomes QEMU, and the signal survives exec. */
_Noreturn static void become_bridge(const struct plan *plan, pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		child_fails("prctl");
	if (getppid() != parent)
		_exit(127);
	execv(plan->bridge.items[0], plan->bridge.items);
	child_fails(plan->bridge.items[0]);
}

_Noreturn static void become_qemu(const struct plan *plan)
{
	char go;

	int null = open("/dev/null", O_RDONLY), log = open(plan->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	if (null < 0 || log < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
		_exit(127);
	(void)setsid();
	interrupt_forget();
	/* Whatever our caller left open must not be held by a VM; this also covers `null` and `log`. */
	(void)syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
	if (plan->bridge.count) {
		pid_t self = getpid(), bridge = fork();

		if (bridge < 0)
			child_fails("fork");
		if (bridge == 0)
			become_bridge(plan, self);
		if (write(plan->report[1], &bridge, sizeof(bridge)) != (ssize_t)sizeof(bridge))
			_exit(127);
	}
	/* The parent's end of the gate is also open here: without this close its end would never be seen. */
	close(plan->gate[1]);
	if (read(plan->gate[0], &go, 1) != 1)
		_exit(127);
	if (plan->vhost >= 0 && fcntl(plan->vhost, F_SETFD, 0) < 0)
		child_fails("/dev/vhost-vsock");
	execv(plan->qemu.items[0], plan->qemu.items);
	child_fails(plan->qemu.items[0]);
}

/* Both processes' names, the bridge at work, all of it on disk: then QEMU may run. */
static int oversee(struct vm *vm, struct plan *plan, pid_t child, struct error *err)
{
	pid_t bridge;
	int result;

	if (process_of(child, &vm->qemu) < 0)
		return fail_set(err, ECHILD, "the process for QEMU ended at once");
	close_fd(&plan->report[1]);
	if (plan->bridge.count) {
		if (read(plan->report[0], &bridge, sizeof(bridge)) != (ssize_t)sizeof(bridge) ||
		    process_of(bridge, &vm->bridge) < 0)
			return fail_set(err, ECHILD, "the vsock bridge could not be started");
		result = bridge_wait(vm, err);
		if (result < 0)
			return result;
	}
	result = state_save(vm, err);
	if (result < 0)
		return result;
	if (write(plan->gate[1], "", 1) != 1)
		return error_set(err, ERROR_HOST, errno, "start QEMU");
	return 0;
}

static int make_plan(struct vm *vm, struct plan *plan, struct error *err)
{
	fd_auto runtime = -1;
	int result = vm_path(vm, VM_QEMU_LOG, plan->log, sizeof(plan->log), err);

	if (result == 0)
		result = state_lock_runtime(&runtime, err);
	if (result == 0)
		result = bridge_choose_cid(vm, &plan->vhost, err);
	/* Saved before the runtime lock is given up: the CID is taken now. */
	if (result == 0)
		result = state_save(vm, err);
	if (result == 0 && plan->vhost < 0)
		result = bridge_argv(vm, &plan->bridge, err);
	if (result == 0)
		result = machine_argv(vm, plan->vhost, &plan->qemu, err);
	return result;
}

static int run_plan(struct vm *vm, struct plan *plan, struct error *err)
{
	if (pipe2(plan->gate, O_CLOEXEC) < 0 || pipe2(plan->report, O_CLOEXEC) < 0)
		return error_set(err, ERROR_HOST, errno, "pipe");
	pid_t child = fork();
	if (child < 0)
		return error_set(err, ERROR_HOST, errno, "fork");
	if (child == 0)
		become_qemu(plan);
	int result = oversee(vm, plan, child, err);
	if (result < 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
		(void)process_kill(&vm->bridge);
	}
	return result;
}

int launch_vm(struct vm *vm, struct error *err)
{
	struct plan plan = { .vhost = -1, .gate = { -1, -1 }, .report = { -1, -1 } };
	int result = make_plan(vm, &plan, err);

	if (result == 0)
		result = run_plan(vm, &plan, err);
	close_fd(&plan.vhost);
	close_fd(&plan.gate[0]);
	close_fd(&plan.gate[1]);
	close_fd(&plan.report[0]);
	close_fd(&plan.report[1]);
	argv_free(&plan.qemu);
	argv_free(&plan.bridge);
	return result;
}
