/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/blockdev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coffer/protocol.h"
#include "sys/modules.h"

#define DRIVERS_AFTER_MS 500u

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Where a driver shows a disk's serial, below /sys/class/block/NAME/. */
static const char *const serial_files[] = {
	"serial",         /* virtio-blk */
	"device/serial",  /* NVMe */
	"device/vpd_pg80" /* SCSI: a binary page, the text begins at byte 4 */
};

static bool has_serial(const char *disk, const char *wanted)
{
	char path[128], text[COFFER_SERIAL_MAX + 8];

	for (size_t i = 0; i < array_count(serial_files); i++) {
		size_t skip = i == 2 ? 4 : 0;

		if (text_format(path, sizeof(path), "/sys/class/block/%s/%s", disk, serial_files[i]) < 0)
			continue;
		long length = text_read_file(path, text, sizeof(text));
		if (length <= (long)skip)
			continue;
		while (length > (long)skip && text[length - 1] == ' ')
			text[--length] = '\0';
		if (strcmp(text + skip, wanted) == 0)
			return true;
	}
	return false;
}

/* Whole disks only: a partition shows its disk's files through its parent, and we never scan partitions. */
static int find_serial(const char *serial, char *path, size_t size, struct error *err)
{
	auto_dir blocks = opendir("/sys/class/block");
	struct dirent *entry;
	int found = 0;

	if (!blocks)
		return error_set(err, ERROR_INTERNAL, errno, "open /sys/class/block");
	while ((entry = readdir(blocks))) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, "dm-", 3) == 0 || !has_serial(entry->d_name, serial))
			continue;
		if (++found > 1)
			return error_set(err, ERROR_DEVICE, ENOTUNIQ, "two devices have the serial %s", serial);
		if (text_format(path, size, "/dev/%s", entry->d_name) < 0)
			return error_set(err, ERROR_DEVICE, ENAMETOOLONG, "device %s", entry->d_name);
	}
	return found;
}

/* 1 when it is there (its node too), 0 when not yet. */
static int look(const struct blockdev_name *name, char *path, size_t size, struct error *err)
{
	struct stat status;

	if (name->serial) {
		int found = find_serial(name->serial, path, size, err);

		if (found <= 0)
			return found;
	} else if (text_format(path, size, "%s", name->path) < 0) {
		return error_set(err, ERROR_DEVICE, ENAMETOOLONG, "device path");
	}
	if (lstat(path, &status) < 0)
		return 0;
	/* No symbolic links: what is opened must be what was named. */
	if (!S_ISBLK(status.st_mode))
		return error_set(err, ERROR_DEVICE, ENOTBLK, "%s", path);
	return 1;
}

static int listen_for_uevents(struct error *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	fd_auto fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "listen for device events");
	return take_fd(&fd);
}

/* Listening begins before the first look, so nothing falls between the two. */
static int wait_for(const struct blockdev_name *name, unsigned timeout_ms, char *path, size_t size, struct error *err)
{
	uint64_t deadline = now_ms() + timeout_ms;
	fd_auto events = listen_for_uevents(err);
	uint64_t drivers_at = now_ms() + DRIVERS_AFTER_MS;
	bool came = false;
	char scrap[4096];

	if (events < 0)
		return events;
	for (;;) {
		int found = look(name, path, size, err);

		if (found < 0)
			return found;
		if (found > 0)
			return 0;
		uint64_t now = now_ms();
		if (now >= deadline)
			return error_set(err, ERROR_NO_DEVICE, ENODEV, "%s %s did not appear within %u ms",
					 name->serial ? "serial" : "device", name->serial ? name->serial : name->path, timeout_ms);
		/*
		 * There is no udev: a disk behind a controller that was plugged later (SCSI, NVMe) has nobody else to load its
		 * driver. Asked for when something has been plugged while we wait, and once after a moment, for what was plugged
		 * before.
		 */
		if (came || now >= drivers_at) {
			if (modules_load_drivers(err) < 0)
				return err->errnum > 0 ? -err->errnum : -EINVAL;
			drivers_at = UINT64_MAX;
		}
		came = false;
		/* An attribute may be filled in just after its event: look again at least every 100 ms. */
		struct pollfd wake = { .fd = events, .events = POLLIN };
		uint64_t left = deadline - now;
		if (poll(&wake, 1, left < 100 ? (int)left : 100) < 0 && errno != EINTR)
			return error_set(err, ERROR_INTERNAL, errno, "wait for device events");
		while (recv(events, scrap, sizeof(scrap), 0) >= 0)
			came = true;
	}
}

static int examine(struct blockdev *device, bool writable, struct error *err)
{
	struct stat status;
	int read_only = 0, sector = 0;

	if (fstat(device->fd, &status) < 0 || !S_ISBLK(status.st_mode))
		return error_set(err, ERROR_DEVICE, ENOTBLK, "%s", device->path);
	device->number = status.st_rdev;
	if (ioctl(device->fd, BLKGETSIZE64, &device->size) < 0 || ioctl(device->fd, BLKSSZGET, &sector) < 0 ||
	    ioctl(device->fd, BLKROGET, &read_only) < 0)
		return error_set(err, ERROR_DEVICE, errno, "ask %s for its size", device->path);
	device->sector = (unsigned)sector;
	device->read_only = read_only != 0;
	if (device->size == 0)
		return error_set(err, ERROR_DEVICE, ENXIO, "%s has no size", device->path);
	if (writable && device->read_only)
		return error_set(err, ERROR_DEVICE, EROFS, "%s", device->path);
	return 0;
}

/* A disk that is just being added, or just going while its name passes to another, has a node that leads nowhere for a moment. */
static bool is_in_between(int errnum)
{
	return errnum == ENXIO || errnum == ENODEV || errnum == ENOENT;
}

int blockdev_open(const struct blockdev_name *name, bool writable, unsigned timeout_ms, struct blockdev *device, struct error *err)
{
	static const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int flags = (writable ? O_RDWR : O_RDONLY) | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	uint64_t deadline = now_ms() + timeout_ms;
	int result;

	*device = (struct blockdev){ .fd = -1 };
	for (;;) {
		uint64_t now = now_ms();

		result = wait_for(name, now < deadline ? (unsigned)(deadline - now) : 0, device->path, sizeof(device->path), err);
		if (result < 0)
			return result;
		device->fd = open(device->path, flags);
		if (device->fd >= 0)
			break;
		if (!is_in_between(errno) || now_ms() >= deadline)
			return error_set(err, ERROR_DEVICE, errno, "open %s", device->path);
		nanosleep(&pause, NULL);
	}
	result = examine(device, writable, err);
	if (result < 0)
		blockdev_close(device);
	return result;
}

void blockdev_close(struct blockdev *device)
{
	close_fd(&device->fd);
}

uint64_t blockdev_written(dev_t number)
{
	char path[64], text[512];
	unsigned long long sectors = 0;

	if (text_format(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(number), minor(number)) < 0 ||
	    text_read_file(path, text, sizeof(text)) < 0)
		return 0;
	/* Documentation/block/stat.rst: the seventh number counts written sectors of 512 bytes. */
	if (sscanf(text, "%*u %*u %*u %*u %*u %*u %llu", &sectors) != 1)
		return 0;
	return sectors * 512;
}
