/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/loopdev.h"

#define BLOCK 4096u

uint64_t image_size(uint64_t content)
{
	if (content > IMAGE_MOST)
		return 0;
	uint64_t size = (content + content / 2 + IMAGE_OVERHEAD + BLOCK - 1) / BLOCK * BLOCK;
	if (size > IMAGE_MOST)
		return 0;
	return size < IMAGE_LEAST ? IMAGE_LEAST : size;
}

int image_make(const char *path, uint64_t size, struct error *err)
{
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the file %s", path);
	return 0;
}

static int describe(int guard, struct blockdev *device, struct error *err)
{
	struct stat status;
	int sector;

	device->fd = open(device->path, O_RDWR | O_EXCL | O_CLOEXEC | O_NOFOLLOW);
	if (device->fd < 0 || fstat(guard, &status) < 0 || ioctl(guard, BLKGETSIZE64, &device->size) < 0 ||
	    ioctl(guard, BLKSSZGET, &sector) < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", device->path);
	device->number = status.st_rdev;
	device->sector = (unsigned)sector;
	return 0;
}

int image_attach(const char *path, struct blockdev *device, int *guard, struct error *err)
{
	fd_auto file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (file < 0 || fstat(file, &status) < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERROR_LAYER, EINVAL, "%s is no file", path);
	*device = (struct blockdev){ .fd = -1 };
	fd_auto loop = loopdev_open_writable(file, device->path, err);
	if (loop < 0)
		return loop;
	int result = describe(loop, device, err);
	if (result < 0)
		blockdev_close(device);
	else
		*guard = take_fd(&loop);
	return result;
}
