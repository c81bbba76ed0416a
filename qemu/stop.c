/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "qemu/client.h"
#include "qemu/commands.h"
#include "qemu/fail.h"
#include "qemu/output.h"
#include "qemu/qmp.h"
#include "qemu/state.h"

#define STOP_TIMEOUT_MS 20000
#define STOP_BUTTON_MS  5000 /* after the power button has been pressed */
#define STOP_LOCK_MS    5000

struct request {
	bool force, quiet;
	int milliseconds;
	size_t stopped;
};

static bool wait_end(const struct vm *vm, int milliseconds, const char *what)
{
	struct progress progress = { 0 };
	int64_t end = process_now() + milliseconds;
	bool gone = false;

	progress_begin(&progress, "stop the VM %s (%s)", vm->name, what);
	while (!gone && process_now() < end) {
		gone = process_wait(&vm->qemu, PROGRESS_TICK_MS);
		progress_tick(&progress);
	}
	progress_end(&progress);
	return gone;
}

static bool ask_agent(const struct vm *vm, int milliseconds)
{
	struct client client;
	struct error ignored;
	int64_t end = process_now() + milliseconds;

	if (client_open(vm, end < process_now() + 3000 ? end : process_now() + 3000, &client, &ignored) < 0)
		return false;
	int result = client_call_within(&client, milliseconds, "agent.shutdown", "{}", NULL, &ignored);
	client_close(&client);
	/* The connection may be cut before the answer is read: the VM goes down all the same. */
	if (result < 0 && result != -EPIPE && result != -ECONNRESET)
		return false;
	int64_t left = end - process_now();
	return wait_end(vm, left > 1000 ? (int)left : 1000, "agent.shutdown");
}

static bool press_button(const struct vm *vm)
{
	struct qmp qmp;
	struct error ignored;

	if (qmp_open(vm, &qmp, &ignored) < 0)
		return false;
	int result = qmp_command(&qmp, "system_powerdown", NULL, 0, &ignored);
	qmp_close(&qmp);
	return result == 0 && wait_end(vm, STOP_BUTTON_MS, "power button");
}

static int stop_vm(const struct vm *vm, struct request *request, struct error *err)
{
	fd_auto lock = -1;
	int64_t began = process_now();
	const char *how = "killed";
	char took[32];

	if (request->force) {
		/* Whoever holds the lock works on a VM that is gone now, and lets go of it. */
		process_signal(&vm->qemu, SIGKILL);
	}
	int result = state_lock(vm, STOP_LOCK_MS, &lock, err);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	if (!request->force && vm_alive(vm)) {
		if (ask_agent(vm, request->milliseconds))
			how = "agent.shutdown";
		else if (press_button(vm))
			how = "power button";
	}
	result = vm_destroy(vm, err);
	if (result < 0)
		return result;
	output_time((uint64_t)(process_now() - began) * 1000, took, sizeof(took));
	printf("VM %s stopped: %s, %s\n", vm->name, how, took);
	return 0;
}

static int stop_one(const char *name, void *context, struct error *err)
{
	struct request *request = context;
	enum state_health health;
	struct vm vm;
	int result = state_look(&vm, name, &health, err);

	if (result < 0)
		return result;
	if (health == STATE_NONE)
		return request->quiet
			       ? 0
			       : fail_set(err, ENOENT, "there is no VM named %s; `coffer vm list` shows those that run", name);
	request->stopped++;
	if (health == STATE_DEAD) {
		result = state_clean(name, err);
		if (result == 0 && !state_is_probe(name))
			printf("VM %s had ended by itself\n", name);
		return result;
	}
	return stop_vm(&vm, request, err);
}

int stop_run(const struct options *options, struct error *err)
{
	struct request request = { .force = options->force,
				   .quiet = options->all,
				   .milliseconds = options->timeout ? (int)options->timeout : STOP_TIMEOUT_MS };

	if (options->all != (options->word_count == 0))
		return fail_set(err, EINVAL, "name one VM, or give --all");
	return options->all ? state_each(stop_one, &request, err) : stop_one(options->words[0], &request, err);
}
