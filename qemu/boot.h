/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_BOOT_H
#define QEMU_BOOT_H

#include "qemu/vm.h"

struct boot_answer {
	char version[64]; /* the agent's */
	int64_t milliseconds;
};

/*
 * Claims the VM's name, starts it and waits for the agent's hello, `milliseconds` at most.  A signal of `interrupt` (a descriptor
 * of interrupt_open, or -1) ends it too.  After a failure nothing is left, and the last lines of its console have gone to
 * standard error unless `quiet`.
 */
must_check int boot_vm(struct vm *vm, int64_t milliseconds, int interrupt, bool quiet, struct boot_answer *answer,
		       struct error *err);

#endif
