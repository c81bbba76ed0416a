/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "qemu/client.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/launch.h"
#include "qemu/progress.h"
#include "qemu/state.h"

#define BOOT_RETRY_MS   25
#define BOOT_ATTEMPT_MS 2000 /* a connection that the guest's half-started vsock has swallowed is given up after this */

static int claim(struct vm *vm, int *lock, struct error *err)
{
	fd_auto runtime = -1;
	int result = state_clean(vm->name, err);

	if (result == 0)
		result = state_lock_runtime(&runtime, err);
	if (result < 0)
		return result;
	result = state_claim(vm, lock, err);
	if (result == -EEXIST)
		return fail_set(err, EEXIST, "a VM named %s runs already; `coffer vm stop %s` ends it", vm->name, vm->name);
	return result;
}

static int wait_hello(const struct vm *vm, int64_t end, int interrupt, struct boot_answer *answer, struct error *err)
{
	struct progress progress = { 0 };
	struct error last = { 0 };
	int result = -EAGAIN;

	progress_begin(&progress, "boot the VM %s (%s)", vm->name, vm->accel);
	while (result < 0) {
		struct client client;
		int64_t attempt = process_now() + BOOT_ATTEMPT_MS;

		result = client_open(vm, attempt < end ? attempt : end, &client, &last);
		progress_tick(&progress);
		if (result == 0) {
			snprintf(answer->version, sizeof(answer->version), "%s", client_string(client.hello, "version"));
			client_close(&client);
		} else if (interrupt_wanted(interrupt)) {
			result = fail_set(err, EINTR, "given up");
			break;
		} else if (process_wait(&vm->qemu, BOOT_RETRY_MS)) {
			result = fail_set(err, ECHILD, "QEMU ended before the agent said hello");
			break;
		} else if (vm->bridge.pid && !process_alive(&vm->bridge)) {
			result = fail_set(err, ECHILD, "the vsock bridge ended before the agent said hello");
			break;
		} else if (process_now() >= end) {
			result = fail_set(err, ETIMEDOUT, "no hello from the agent (%s); --timeout gives it longer", last.message);
			break;
		}
	}
	progress_end(&progress);
	return result;
}

int boot_vm(struct vm *vm, int64_t milliseconds, int interrupt, bool quiet, struct boot_answer *answer, struct error *err)
{
	fd_auto lock = -1;
	struct error ignored;
	int64_t began = process_now();
	int result = claim(vm, &lock, err);

	if (result < 0)
		return result;
	vm->qemu = vm->bridge = (struct process){ 0 };
	vm->started = time(NULL);
	result = launch_vm(vm, err);
	if (result == 0)
		result = wait_hello(vm, began + milliseconds, interrupt, answer, err);
	answer->milliseconds = process_now() - began;
	if (result == 0)
		return 0;
	if (!quiet)
		vm_print_console(vm);
	if (vm_destroy(vm, &ignored) < 0)
		error_wrap(err, "%s; and then", ignored.message);
	return result;
}
