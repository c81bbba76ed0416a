/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_QMP_H
#define QEMU_QMP_H

#include <json-c/json.h>

#include "base/buf.h"
#include "qemu/vm.h"

/*
 * QEMU's machine protocol on its Unix socket: one JSON object a line, answers and events mixed.  QEMU serves one connection at a
 * time, so it is held only while the VM's lock is.
 */
struct qmp {
	int fd;
	struct buf in;
	json_object *deleted; /* the devices of DEVICE_DELETED events seen so far: an event may come before its command's answer */
};

/* Connects and says hello; after a failure nothing is held. */
must_check int qmp_open(const struct vm *vm, struct qmp *qmp, struct error *err);
/* Runs one command; `arguments` is one JSON object, or NULL.  -ENODEV when QEMU says that the object is not there. */
must_check int qmp_command(struct qmp *qmp, const char *name, const char *arguments, size_t length, struct error *err);
/* Returns when QEMU has said that the device is gone, which needs the guest's help.  -ETIMEDOUT. */
must_check int qmp_wait_deleted(struct qmp *qmp, const char *device, int milliseconds, struct error *err);
void qmp_close(struct qmp *qmp);

#endif
