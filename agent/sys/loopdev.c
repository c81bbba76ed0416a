/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/loopdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>

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

int loopdev_open_writable(int file, char *node, struct error *err)
{
	const struct loop_config config = {
		.fd = (__u32)file,
		.block_size = 4096,
		.info = { .lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR },
	};

	return attach(&config, O_RDWR, node, err);
}
