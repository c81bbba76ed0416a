/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_LAUNCH_H
#define QEMU_LAUNCH_H

#include "qemu/vm.h"

/*
 * Starts the VM's processes.  Fills vm->qemu, vm->bridge and vm->cid and writes the VM's state before QEMU runs, so that no moment
 * exists in which a kill of this tool leaves an unknown process behind.  The VM's lock must be held.  After a failure its processes
 * are gone; its folder is the caller's.
 */
must_check int launch_vm(struct vm *vm, struct error *err);

#endif
