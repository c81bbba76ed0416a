/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_DISK_H
#define QEMU_DISK_H

#include "base/buf.h"
#include "qemu/vm.h"

/* Disks of a VM: how they are named on the command line, what QEMU is told of them, and plugging them while it runs. */

#define DISK_SCSI_ID_MAX  255u
#define DISK_SCSI_LUN_MAX 16383u

/*
 * "FILE[,ro][,serial=S][,bus=BUS][,scsi=ID:LUN]" (a comma in FILE is written ",,").  The file must be there, and its path is made
 * absolute; or it is an NBD URL (qemu/nbd.h).  Without a serial, disk->serial is "" and the caller chooses one.
 */
must_check int disk_parse(const char *text, struct vm_disk *disk, struct error *err);

/* Checks a serial: 1..20 of [A-Za-z0-9_.-], the first a letter or digit. */
must_check int disk_check_serial(const char *serial, struct error *err);

/* The slot of the disk with this serial, or of the first free one for "".  -ENOENT. */
must_check int disk_slot(const struct vm *vm, const char *serial, struct error *err);

/* Records it in this free slot, with a SCSI address if it needs one.  -EEXIST: its serial or its address is taken. */
must_check int disk_place(struct vm *vm, const struct vm_disk *disk, int slot, struct error *err);

/* The arguments of QEMU's blockdev-add, one JSON object, also good for -blockdev.  The devices: qemu/bus.h. */
must_check int disk_blockdev(const struct vm_disk *disk, struct buf *json, struct error *err);

/* Hot-plugs the disk and records it.  Takes the VM's lock.  After a failure the VM is as it was. */
must_check int disk_plug(const char *vm_name, const struct vm_disk *disk, struct error *err);
/* Unplugs it: returns when the guest has let go of it. */
must_check int disk_unplug(const char *vm_name, const char *serial, struct error *err);
/* Gives it another size, in bytes; a file grows or shrinks with it. */
must_check int disk_resize(const char *vm_name, const char *serial, uint64_t bytes, struct error *err);

#endif
