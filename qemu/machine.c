/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "qemu/bus.h"
#include "qemu/disk.h"
#include "qemu/fail.h"

/* QEMU's option strings want a comma doubled. */
static int escape(const char *text, char *out, size_t size, struct error *err)
{
	size_t used = 0;

	for (; *text; text++) {
		if (used + 3 > size)
			return fail_set(err, EINVAL, "the path is too long");
		if (*text == ',')
			out[used++] = ',';
		out[used++] = *text;
	}
	out[used] = '\0';
	return 0;
}

static int socket_path(const struct vm *vm, const char *file, char *out, size_t size, struct error *err)
{
	char path[PATH_MAX];
	int result = vm_path(vm, file, path, sizeof(path), err);

	return result < 0 ? result : escape(path, out, size, err);
}

static int add_processor(const struct vm *vm, struct argv *argv, struct error *err)
{
	argv_add(argv, "-accel");
	argv_add(argv, strcmp(vm->accel, "kvm") == 0 ? "kvm" : "tcg,thread=multi");
	argv_add(argv, "-cpu");
	/*
	 * QEMU 7.2's emulation of cmpxchg16b leaves wrong flags now and then, and the kernel's allocator stumbles over them (seen
	 * with Linux 6.12 as a panic in __kmalloc); without the instruction the kernel does without it.
	 */
	argv_add(argv, strcmp(vm->accel, "kvm") == 0 ? "host,-arch-capabilities" : "max,-cx16");
	argv_add(argv, "-smp");
	argv_printf(argv, "%" PRIu64, vm->cpus);
	/* Shared, since the vsock bridge reads and writes the queues in it. */
	argv_add(argv, "-object");
	argv_printf(argv, "memory-backend-memfd,id=mem,size=%" PRIu64 "M,share=on", vm->memory >> 20);
	return bus_add_machine(vm, "q35,memory-backend=mem,usb=off,smbus=off,hpet=off,vmport=off,graphics=off", argv, err);
}

static int add_chardevs(const struct vm *vm, struct argv *argv, struct error *err)
{
	char path[PATH_MAX];
	int result = socket_path(vm, VM_CONSOLE, path, sizeof(path), err);

	if (result < 0)
		return result;
	argv_add(argv, "-chardev");
	argv_printf(argv, "file,id=console,path=%s", path);
	argv_add(argv, "-serial");
	argv_add(argv, "chardev:console");
	result = socket_path(vm, VM_QMP_SOCKET, path, sizeof(path), err);
	if (result < 0)
		return result;
	argv_add(argv, "-chardev");
	argv_printf(argv, "socket,id=qmp,path=%s,server=on,wait=off", path);
	argv_add(argv, "-mon");
	argv_add(argv, "chardev=qmp,mode=control");
	return 0;
}

static int add_vsock(const struct vm *vm, int vhost, struct argv *argv, struct error *err)
{
	char path[PATH_MAX];

	if (vhost >= 0) {
		argv_add(argv, "-device");
		argv_printf(argv, "vhost-vsock-pci,guest-cid=%u,vhostfd=%d", vm->cid, vhost);
		return 0;
	}
	int result = socket_path(vm, VM_VHOST, path, sizeof(path), err);
	if (result < 0)
		return result;
	argv_add(argv, "-chardev");
	argv_printf(argv, "socket,id=vsock,path=%s", path);
	argv_add(argv, "-device");
	argv_add(argv, "vhost-user-vsock-pci,chardev=vsock");
	return 0;
}

static int add_disk(const struct vm_disk *disk, unsigned slot, struct argv *argv, struct error *err)
{
	struct buf node = { 0 }, devices[BUS_DEVICES_MAX] = { 0 };
	int result = disk_blockdev(disk, &node, err);

	if (result == 0)
		result = bus_devices(disk, slot, devices, err);
	if (result > 0) {
		argv_add(argv, "-blockdev");
		argv_printf(argv, "%.*s", (int)buf_length(&node), buf_bytes(&node));
	}
	for (int i = 0; i < result; i++) {
		argv_add(argv, "-device");
		argv_printf(argv, "%.*s", (int)buf_length(&devices[i]), buf_bytes(&devices[i]));
	}
	buf_free(&node);
	for (size_t i = 0; i < BUS_DEVICES_MAX; i++)
		buf_free(&devices[i]);
	return result < 0 ? result : 0;
}

/* Every disk has a port of its own, since only what stands behind a port can be plugged and unplugged while the VM runs. */
static int add_disks(const struct vm *vm, struct argv *argv, struct error *err)
{
	int result = 0;

	for (unsigned slot = 0; slot < VM_SLOTS; slot++) {
		argv_add(argv, "-device");
		/* No I/O ports: virtio 1.0 needs none, and 16 times 4 KiB is more than there are. */
		argv_printf(argv, "pcie-root-port,id=slot%u,chassis=%u,addr=0x%x,io-reserve=0", slot, slot + 1,
			    BUS_FIRST_PORT + slot);
	}
	for (unsigned slot = 0; slot < VM_SLOTS && result == 0; slot++) {
		if (vm->disks[slot].serial[0] && bus_can_plug(vm->disks[slot].bus))
			result = add_disk(&vm->disks[slot], slot, argv, err);
	}
	return result;
}

int machine_argv(const struct vm *vm, int vhost, struct argv *argv, struct error *err)
{
	char program[PATH_MAX];
	int result = process_find("qemu-system-x86_64", "COFFER_QEMU", "qemu-system-x86", program, sizeof(program), err);

	if (result < 0)
		return result;
	argv_add(argv, program);
	argv_add(argv, "-name");
	argv_printf(argv, "guest=coffer-%s", vm->name);
	argv_add(argv, "-nodefaults");
	argv_add(argv, "-no-user-config");
	argv_add(argv, "-no-reboot");
	argv_add(argv, "-display");
	argv_add(argv, "none");
	result = add_processor(vm, argv, err);
	if (result < 0)
		return result;
	argv_add(argv, "-kernel");
	argv_add(argv, vm->kernel);
	argv_add(argv, "-initrd");
	argv_add(argv, vm->initrd);
	argv_add(argv, "-append");
	argv_printf(argv, "%s%s%s", MACHINE_APPEND, vm->append[0] ? " " : "", vm->append);
	result = add_chardevs(vm, argv, err);
	if (result == 0)
		result = add_vsock(vm, vhost, argv, err);
	if (result == 0)
		result = add_disks(vm, argv, err);
	return result < 0 ? result : argv_check(argv, err);
}
