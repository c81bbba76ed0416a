/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_DISK_H
#define QEMU_DISK_H

#include "base/buf.h"
#include "qemu/vm.h"

/* Disks of a VM: how they are named on the command line, what QEMU is told of them, and plugging them while it runs. */

/*
 * "FILE[,ro][,serial=S]" (a comma in FILE is written ",,").  The file must be there; its path is made absolute.  Without a
 * serial, disk->serial is "" and the caller chooses one.
 */
must_check int disk_parse(const char *text, struct vm_disk *disk, struct error *err);

/* Checks a serial: 1..20 of [A-Za-z0-9_.-], the first a letter or digit. */
must_check int disk_check_serial(const char *serial, struct error *err);

/* The slot of the disk with this serial, or of the first free one for "".  -ENOENT. */
must_check int disk_slot(const struct vm *vm, const char *serial, struct error *err);

/* The arguments of QEMU's blockdev-add and device_add, each one JSON object, also good for -blockdev and -device. */
must_check int disk_blockdev(const struct vm_disk *disk, struct buf *json, struct error *err);
must_check int disk_device(const struct vm_disk *disk, size_t slot, struct buf *json, struct error *err);

/* Hot-plugs the disk and records it.  Takes the VM's lock.  After a failure the VM is as it was. */
must_check int disk_plug(const char *vm_name, const struct vm_disk *disk, struct error *err);
/* Unplugs it: returns when the guest has let go of it. */
must_check int disk_unplug(const char *vm_name, const char *serial, struct error *err);

#endif
