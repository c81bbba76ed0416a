/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_VM_H
#define QEMU_VM_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "coffer/protocol.h"
#include "qemu/process.h"

/* What is known of one virtual machine: the content of state.json in its folder below the runtime folder. */

#define VM_SLOTS      16 /* PCI Express root ports for disks: each takes one, also while the machine runs */
#define VM_SERIAL_MAX 20 /* bytes of a serial that virtio-blk can carry */

enum vm_bus { VM_VIRTIO_BLK, VM_VIRTIO_SCSI, VM_NVME, VM_NVDIMM, VM_BUSES };

struct vm_disk {
	char serial[VM_SERIAL_MAX + 1]; /* "": the slot is free */
	char file[PATH_MAX];            /* an absolute path, or an NBD URL (qemu/nbd.h) */
	bool readonly;
	enum vm_bus bus;
	unsigned scsi_id, scsi_lun; /* VM_VIRTIO_SCSI: its address, on a controller of its own */
	bool has_scsi;              /* an address was asked for */
};

struct vm {
	char name[COFFER_ID_MAX + 1];
	char folder[PATH_MAX];
	struct process qemu;
	struct process bridge; /* pid 0: the kernel's vhost-vsock serves */
	char accel[8];         /* "kvm" or "tcg" */
	uint32_t cid;
	uint64_t memory; /* bytes */
	uint64_t cpus;
	int64_t started; /* seconds since 1970 */
	char kernel[PATH_MAX], initrd[PATH_MAX];
	char append[1024];
	struct vm_disk disks[VM_SLOTS];
};

#define VM_STATE      "state.json"
#define VM_LOCK       "lock"
#define VM_CONSOLE    "console.log"
#define VM_QEMU_LOG   "qemu.log"
#define VM_QMP_SOCKET "qmp.sock"
#define VM_VSOCK      "vm.sock"    /* the hybrid vsock: a host program connects here */
#define VM_VHOST      "vhost.sock" /* between QEMU and the bridge */

/* The path of `file` in the VM's folder.  Socket paths are checked against their limit. */
must_check int vm_path(const struct vm *vm, const char *file, char *path, size_t size, struct error *err);

/*
 * The running VM of this name.  One that has died is cleaned away, its last console lines go to standard error, and it is
 * "no VM" like one that never was.
 */
must_check int vm_find(const char *name, struct vm *vm, struct error *err);

/* True while both QEMU and, where one is used, its bridge live. */
bool vm_alive(const struct vm *vm);

/* Kills what is left of it and removes its folder. */
must_check int vm_destroy(const struct vm *vm, struct error *err);

/* The last lines of its console and of QEMU's own messages, to standard error, each behind "  | ". */
void vm_print_console(const struct vm *vm);

#endif
