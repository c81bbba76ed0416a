/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/loopdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "sys/modules.h"

#define NODE_SIZE 32
#define TRIES     64 /* others may take the free one that we were told of */

static int attach(const struct loop_config *config, int mode, char *node, struct error *err)
{
	static const char *const modules[] = { "loop", NULL };
	int result = modules_load(modules, err);

	if (result < 0)
		return result;
	fd_auto control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return error_set(err, ERROR_MOUNT, errno, "open /dev/loop-control");
	for (int tries = 0; tries < TRIES; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			break;
		snprintf(node, NODE_SIZE, "/dev/loop%d", number);
		fd_auto loop = open(node, mode | O_CLOEXEC);
		if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, config) == 0)
			return take_fd(&loop);
		if (errno != EBUSY)
			break;
	}
	return error_set(err, ERROR_MOUNT, errno, "attach a loop device");
}

int loopdev_open(int file, char *node, struct error *err)
{
	const struct loop_config config = {
		.fd = (__u32)file,
		.block_size = 512,
		.info = { .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR },
	};

	return attach(&config, O_RDONLY, node, err);
}

static int describe(int guard, int mode, struct blockdev *device, struct error *err)
{
	struct stat status;
	int sector;

	device->fd = open(device->path, mode | O_EXCL | O_CLOEXEC | O_NOFOLLOW);
	if (device->fd < 0 || fstat(guard, &status) < 0 || ioctl(guard, BLKGETSIZE64, &device->size) < 0 ||
	    ioctl(guard, BLKSSZGET, &sector) < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", device->path);
	device->number = status.st_rdev;
	device->sector = (unsigned)sector;
	return 0;
}

static int attach_device(const struct loop_config *config, struct blockdev *device, int *guard, struct error *err)
{
	const bool read_only = config->info.lo_flags & LO_FLAGS_READ_ONLY;
	const int mode = read_only ? O_RDONLY : O_RDWR;

	*device = (struct blockdev){ .fd = -1, .read_only = read_only };
	fd_auto loop = attach(config, mode, device->path, err);
	if (loop < 0)
		return loop;
	int result = describe(loop, mode, device, err);
	if (result < 0)
		blockdev_close(device);
	else
		*guard = take_fd(&loop);
	return result;
}

int loopdev_attach(int file, bool writable, struct blockdev *device, int *guard, struct error *err)
{
	const struct loop_config config = {
		.fd = (__u32)file,
		.block_size = 4096,
		.info = { .lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR | (writable ? 0 : LO_FLAGS_READ_ONLY) },
	};

	return attach_device(&config, device, guard, err);
}

int loopdev_attach_small(int file, struct blockdev *device, int *guard, struct error *err)
{
	const struct loop_config config = {
		.fd = (__u32)file,
		.block_size = 512,
		.info = { .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR },
	};

	return attach_device(&config, device, guard, err);
}
