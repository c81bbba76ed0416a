/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/blockdev.c: there are no devices, and nothing has been written to one. */
#include <errno.h>
#include <sys/sysmacros.h>

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

/* Of major 259 every tenth is a disk, and what follows are its partitions. */
int blockdev_whole(dev_t number, dev_t *whole, struct error *err)
{
	(void)err;
	*whole = major(number) == 259 ? makedev(259, minor(number) / 10 * 10) : number;
	return 0;
}

uint64_t blockdev_written(dev_t number)
{
	(void)number;
	return 0;
}
