/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/boot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/buf.h"
#include "qemu/client.h"
#include "qemu/fail.h"
#include "qemu/file.h"
#include "qemu/interrupt.h"
#include "qemu/launch.h"
#include "qemu/progress.h"
#include "qemu/state.h"

#define BOOT_LOOK_MS    25
#define BOOT_RETRY_MS   1000
#define CONSOLE_MOST    (1u << 20)
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

/*
 * The console is the guest's word, and only a hint: connecting is what shows that it serves.  But a guest that is asked for a
 * connection many times before its driver is there may be left with a bridge that passes nothing on.
 */
static bool console_says(const struct vm *vm, const char *words)
{
	char path[PATH_MAX];
	struct error ignored;
	struct buf text = { 0 };

	if (vm_path(vm, VM_CONSOLE, path, sizeof(path), &ignored) < 0 || file_read(path, CONSOLE_MOST, &text, &ignored) < 0)
		return false;
	bool found = buf_length(&text) && memmem(buf_bytes(&text), buf_length(&text), words, strlen(words));
	buf_free(&text);
	return found;
}

/* Until the console says that it is worth an attempt, or a second has passed; what ends the waiting altogether is an error. */
static int wait_for_turn(const struct vm *vm, int64_t end, int interrupt, const struct error *last, struct progress *progress,
			 struct error *err)
{
	int64_t next = process_now() + BOOT_RETRY_MS;
	bool said = false;

	while (!said && process_now() < next) {
		progress_tick(progress);
		if (interrupt_wanted(interrupt))
			return fail_set(err, EINTR, "given up");
		if (process_wait(&vm->qemu, BOOT_LOOK_MS))
			return fail_set(err, ECHILD, "QEMU ended before the agent said hello");
		if (vm->bridge.pid && !process_alive(&vm->bridge))
			return fail_set(err, ECHILD, "the vsock bridge ended before the agent said hello");
		if (process_now() >= end)
			return fail_set(err, ETIMEDOUT, "no hello from the agent (%s); --timeout gives it longer", last->message);
		said = console_says(vm, "serves");
	}
	return 0;
}

static int wait_hello(const struct vm *vm, int64_t end, int interrupt, struct boot_answer *answer, struct error *err)
{
	struct progress progress = { 0 };
	struct error last = { .message = "its console does not say that it serves" };
	int result = -EAGAIN;

	progress_begin(&progress, "boot the VM %s (%s)", vm->name, vm->accel);
	while (result == -EAGAIN) {
		struct client client;

		result = wait_for_turn(vm, end, interrupt, &last, &progress, err);
		if (result < 0)
			break;
		int64_t attempt = process_now() + BOOT_ATTEMPT_MS;
		if (client_open(vm, attempt < end ? attempt : end, &client, &last) < 0) {
			result = -EAGAIN;
			continue;
		}
		snprintf(answer->version, sizeof(answer->version), "%s", client_string(client.hello, "version"));
		client_close(&client);
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
