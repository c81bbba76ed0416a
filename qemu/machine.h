/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_MACHINE_H
#define QEMU_MACHINE_H

#include "qemu/argv.h"
#include "qemu/vm.h"

/* What every VM's kernel command line begins with; vm->append follows it. */
#define MACHINE_APPEND "console=ttyS0 quiet panic=-1"

/* QEMU's command line: the machine that the VM sees.  `vhost`: the descriptor of /dev/vhost-vsock, or -1 for the bridge. */
must_check int machine_argv(const struct vm *vm, int vhost, struct argv *argv, struct error *err);

#endif
