/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_LIST_H
#define QEMU_LIST_H

#include "qemu/output.h"
#include "qemu/vm.h"

/* Prints one VM as a JSON object on a line: {"name","state","pid","accel","vsock":{"cid"} or {"uds"},"memory","cpus",...}. */
must_check int list_print_json(const struct vm *vm, struct error *err);

#endif
