/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
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

static void add_processor(const struct vm *vm, struct argv *argv)
{
	argv_add(argv, "-accel");
	argv_add(argv, strcmp(vm->accel, "kvm") == 0 ? "kvm" : "tcg,thread=multi");
	argv_add(argv, "-cpu");
	argv_add(argv, strcmp(vm->accel, "kvm") == 0 ? "host,-arch-capabilities" : "max");
	argv_add(argv, "-smp");
	argv_printf(argv, "%" PRIu64, vm->cpus);
	argv_add(argv, "-m");
	argv_printf(argv, "%" PRIu64 "M", vm->memory >> 20);
	/* Shared, since the vsock bridge reads and writes the queues in it. */
	argv_add(argv, "-object");
	argv_printf(argv, "memory-backend-memfd,id=mem,size=%" PRIu64 "M,share=on", vm->memory >> 20);
	argv_add(argv, "-M");
	argv_add(argv, "q35,memory-backend=mem,usb=off,smbus=off,hpet=off,vmport=off,graphics=off");
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

/* Every disk has a port of its own, since only what stands behind a port can be plugged and unplugged while the VM runs. */
static int add_disks(const struct vm *vm, struct argv *argv, struct error *err)
{
	int result = 0;

	for (unsigned slot = 0; slot < VM_SLOTS; slot++) {
		argv_add(argv, "-device");
		/* No I/O ports: virtio 1.0 needs none, and 16 times 4 KiB is more than there are. */
		argv_printf(argv, "pcie-root-port,id=slot%u,chassis=%u,addr=0x%x,io-reserve=0", slot, slot + 1, 4 + slot);
	}
	for (unsigned slot = 0; slot < VM_SLOTS && result == 0; slot++) {
		const struct vm_disk *disk = &vm->disks[slot];
		struct buf json = { 0 };

		if (!disk->serial[0])
			continue;
		result = disk_blockdev(disk, &json, err);
		if (result == 0) {
			argv_add(argv, "-blockdev");
			argv_printf(argv, "%.*s", (int)buf_length(&json), buf_bytes(&json));
			buf_consume(&json, buf_length(&json));
			result = disk_device(disk, slot, &json, err);
		}
		if (result == 0) {
			argv_add(argv, "-device");
			argv_printf(argv, "%.*s", (int)buf_length(&json), buf_bytes(&json));
		}
		buf_free(&json);
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
	add_processor(vm, argv);
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
