/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/blockdev.c: there are no devices, and nothing has been written to one. */
#include <errno.h>

#include "sys/blockdev.h"

int blockdev_open(const struct blockdev_name *name, bool writable, unsigned timeout_ms, struct blockdev *device, struct error *err)
{
	(void)writable, (void)timeout_ms;
	*device = (struct blockdev){ .fd = -1 };
	return error_set(err, ERROR_NO_DEVICE, ENODEV, "%s", name->serial ? name->serial : name->path);
}

void blockdev_close(struct blockdev *device)
{
	device->fd = -1;
}

uint64_t blockdev_written(dev_t number)
{
	(void)number;
	return 0;
}
