/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "qemu/accel.h"
#include "qemu/boot.h"
#include "qemu/commands.h"
#include "qemu/disk.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/list.h"
#include "qemu/state.h"

#define START_MEMORY     (512ull << 20)
#define START_CPUS       2
#define START_TIMEOUT_MS 60000

/* Where the files lie, seen from the folder of our executable: as built, and as `make install` puts them below any PREFIX. */
static const char *const places[] = { "", "../lib/coffer/" };

/* A file that the option, the variable or one of the places gives, in this order. */
static int find_file(const char *option, const char *variable, const char *name, char *path, struct error *err)
{
	const char *given = option ? option : getenv(variable);
	char own[PATH_MAX], place[PATH_MAX];

	if (given && *given) {
		if (!realpath(given, path))
			return error_set(err, ERROR_HOST, errno, "%s", given);
		return 0;
	}
	if (process_own_folder(own, sizeof(own), err) < 0)
		return error_wrap(err, "find %s", name);
	for (size_t i = 0; i < array_count(places); i++) {
		if (text_format(place, sizeof(place), "%s/%s%s", own, places[i], name) == 0 && realpath(place, path))
			return 0;
	}
	return fail_set(err, ENOENT,
			"there is no %s beside coffer, nor in ../lib/coffer (`make` builds it); name one by option or by %s", name,
			variable);
}

static int read_disks(const struct options *options, struct vm *vm, struct error *err)
{
	if (options->disks.count > VM_SLOTS)
		return fail_set(err, E2BIG, "a VM has %d disk slots", VM_SLOTS);
	for (size_t i = 0; i < options->disks.count; i++) {
		struct vm_disk disk;
		int result = disk_parse(options->disks.items[i], &disk, err);

		if (result < 0)
			return result;
		if (!disk.serial[0])
			snprintf(disk.serial, sizeof(disk.serial), "disk%u", (unsigned)i);
		result = disk_place(vm, &disk, (int)i, err);
		if (result < 0)
			return result;
	}
	return 0;
}

static int describe(const struct options *options, struct vm *vm, struct error *err)
{
	int result = state_name(vm, options->words[0], err);

	if (result == 0)
		result = find_file(options->kernel, "COFFER_KERNEL", "vmlinuz", vm->kernel, err);
	if (result == 0)
		result = find_file(options->initrd, "COFFER_INITRD", "initramfs.cpio.zst", vm->initrd, err);
	if (result == 0)
		result = read_disks(options, vm, err);
	if (result < 0)
		return result;
	if (text_format(vm->append, sizeof(vm->append), "%s", options->append ? options->append : "") < 0)
		return fail_set(err, E2BIG, "--append: at most %zu bytes", sizeof(vm->append) - 1);
	vm->memory = options->memory ? options->memory : START_MEMORY;
	vm->cpus = options->cpus ? options->cpus : START_CPUS;
	return 0;
}

static void tell(const struct vm *vm, const struct boot_answer *answer)
{
	char place[PATH_MAX], memory[32], took[32];
	struct error ignored;

	output_size(vm->memory, memory, sizeof(memory));
	output_time((uint64_t)answer->milliseconds * 1000, took, sizeof(took));
	printf("VM %s runs: pid %d, %s, %" PRIu64 " cpu%s, %s, coffer-agent %s after %s\n", vm->name, (int)vm->qemu.pid, vm->accel,
	       vm->cpus, vm->cpus == 1 ? "" : "s", memory, answer->version, took);
	if (vm->bridge.pid && vm_path(vm, VM_VSOCK, place, sizeof(place), &ignored) == 0)
		printf("vsock: %s (hybrid: `CONNECT %u`)\n", place, COFFER_PORT_CONTROL);
	else
		printf("vsock: cid %u\n", vm->cid);
	for (unsigned slot = 0; slot < VM_SLOTS; slot++) {
		if (vm->disks[slot].serial[0])
			printf("disk %s: %s%s\n", vm->disks[slot].serial, vm->disks[slot].file,
			       vm->disks[slot].readonly ? " (read-only)" : "");
	}
}

int start_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct boot_answer answer = { 0 };
	char path[PATH_MAX];
	fd_auto interrupt = -1;
	bool probed = false;
	enum state_health health;
	int result = state_look(&vm, options->words[0], &health, err);

	/* Said before a probe is made for nothing. */
	if (result == 0 && (health == STATE_RUNNING || health == STATE_BUSY))
		return fail_set(err, EEXIST, "a VM named %s runs already; `coffer vm stop %s` ends it", vm.name, vm.name);
	if (result == 0)
		result = describe(options, &vm, err);
	if (result == 0)
		result = vm_path(&vm, VM_VHOST, path, sizeof(path), err);
	if (result == 0)
		result = interrupt_open(&interrupt, err);
	if (result == 0)
		result = accel_choose(&vm, options->accel, interrupt, &probed, err);
	if (result == 0)
		result = boot_vm(&vm, options->timeout ? (int64_t)options->timeout : START_TIMEOUT_MS, interrupt, false, &answer,
				 err);
	if (result < 0)
		return result;
	if (probed && accel_remember(&vm, err) < 0)
		fprintf(stderr, "coffer: the choice of the accelerator is not remembered: %s\n", err->message);
	if (options->json)
		return list_print_json(&vm, err);
	tell(&vm, &answer);
	return 0;
}
