/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/image.h"

#include <errno.h>
#include <fcntl.h>
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

int image_attach(const char *path, struct blockdev *device, int *guard, struct error *err)
{
	fd_auto file = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (file < 0 || fstat(file, &status) < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(err, ERROR_LAYER, EINVAL, "%s is no file", path);
	return loopdev_attach(file, true, device, guard, err);
}
