/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_BRIDGE_H
#define QEMU_BRIDGE_H

#include "qemu/argv.h"
#include "qemu/vm.h"

/* How the host reaches the VM's vsock: by the kernel's vhost-vsock, or by vhost-device-vsock, a process for each VM. */

/*
 * Chooses a context id that no other VM has.  Where /dev/vhost-vsock works the kernel says which is free and *vhost becomes the
 * descriptor that holds it, to be handed to QEMU; else *vhost is -1 and the ids of our own VMs count.  The runtime lock must be
 * held.
 */
must_check int bridge_choose_cid(struct vm *vm, int *vhost, struct error *err);

/* The command line of vhost-device-vsock for this VM. */
must_check int bridge_argv(const struct vm *vm, struct argv *argv, struct error *err);
/* Returns when it listens for QEMU; an error if it dies or takes longer than 10 s. */
must_check int bridge_wait(const struct vm *vm, struct error *err);

#endif
