/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_BUS_H
#define QEMU_BUS_H

#include "base/buf.h"
#include "qemu/argv.h"
#include "qemu/vm.h"

/* What a disk hangs on in the VM: one row of a table each. */

#define BUS_DEVICES_MAX 2
#define BUS_FIRST_PORT  4u /* the slot on the root bus of the port of disk slot 0; the others follow */

/* "virtio-blk", "virtio-scsi", "nvme", "nvdimm". */
const char *bus_name(enum vm_bus bus);
must_check int bus_find(const char *name, enum vm_bus *bus, struct error *err);
/* Can disks on it come and go while the VM runs?  Others are not behind a PCI port, but part of the machine. */
bool bus_can_plug(enum vm_bus bus);

/*
 * The arguments of QEMU's device_add, one JSON object each, in the order of adding: the disk is the last.  Returns how many; the
 * bufs are the caller's to free in any case.
 */
must_check int bus_devices(const struct vm_disk *disk, unsigned slot, struct buf json[BUS_DEVICES_MAX], struct error *err);
/* The id of device `index` of that list; "" when the disk has fewer. */
void bus_device_id(const struct vm_disk *disk, unsigned index, char *id, size_t size);

/* The path on PCI by which the agent finds the disk ("04/00"); "" when it is found in another way. */
void bus_pci_path(const struct vm_disk *disk, unsigned slot, char *path, size_t size);

/* "-m" and "-M" for a machine with this VM's nvdimm disks, and these disks themselves. */
must_check int bus_add_machine(const struct vm *vm, const char *machine, struct argv *argv, struct error *err);

#endif
