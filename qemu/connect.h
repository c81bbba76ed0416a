/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_CONNECT_H
#define QEMU_CONNECT_H

#include <stdint.h>

#include "qemu/vm.h"

/* Connects to a Unix socket.  *fd is the caller's. */
must_check int connect_unix(const char *path, int *fd, struct error *err);

/*
 * Connects to a port of the VM's agent: AF_VSOCK where the kernel's vhost-vsock serves the VM, else the bridge's hybrid vsock
 * (`CONNECT port` and `OK n`, a line each).  `end`: the process_now moment by which it must stand.
 */
must_check int connect_vm(const struct vm *vm, uint32_t port, int64_t end, int *fd, struct error *err);

#endif
