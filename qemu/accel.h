/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_ACCEL_H
#define QEMU_ACCEL_H

#include "qemu/vm.h"

/*
 * Sets vm->accel from "auto" (or NULL), "tcg" or "kvm".  A /dev/kvm that can be opened proves nothing: on some machines a guest
 * hangs there for ever, so "auto" means KVM only where a VM without disks has booted with it within ACCEL_PROBE_MS.  The answer
 * is remembered for this host kernel and this guest kernel; *probed says that it is new and that accel_remember should
 * be called once the VM has booted.  "kvm" is taken at its word.
 */
#define ACCEL_PROBE_MS 10000

must_check int accel_choose(struct vm *vm, const char *wanted, int interrupt, bool *probed, struct error *err);
/* Writes down vm->accel as the answer. */
must_check int accel_remember(const struct vm *vm, struct error *err);

#endif
