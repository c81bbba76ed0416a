/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/blockdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/device_partition.h"
#include "sys/device_ways.h"
#include "sys/modules.h"

#define RETRY_MS 500u /* between two requests to look for drivers, and for SCSI disks */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int listen_for_uevents(struct error *err)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	fd_auto fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "listen for device events");
	return take_fd(&fd);
}

/* What is waited for. */
struct search {
	const struct device_wanted *wanted;
	uint64_t deadline;
	int events;
	bool came; /* something has been plugged since the last look */
	bool has_drivers;
	uint64_t retry_at;
};

static void begin_rescan(const struct search *search)
{
	if (search->wanted->way->rescan)
		search->wanted->way->rescan(&device_tree_kernel, search->wanted->text);
}

/*
 * There is no udev: a disk behind a controller that was plugged later (SCSI, NVMe) has nobody else to load its driver.  Asked for
 * when something has been plugged while we wait, and once after a moment, for what was plugged before.
 */
static int help_it_come(struct search *search, uint64_t now, struct error *err)
{
	bool is_time = now >= search->retry_at;

	if (search->came || (is_time && !search->has_drivers)) {
		if (modules_load_drivers(err) < 0)
			return err->errnum > 0 ? -err->errnum : -EINVAL;
		search->has_drivers = search->has_drivers || is_time;
	}
	if (search->came || is_time) {
		begin_rescan(search);
		search->retry_at = now + RETRY_MS;
	}
	search->came = false;
	return 0;
}

/* An attribute may be filled in just after its event: returns after 100 ms at the latest. */
static int sleep_a_little(struct search *search, uint64_t now, struct error *err)
{
	struct pollfd wake = { .fd = search->events, .events = POLLIN };
	uint64_t left = search->deadline - now;
	char scrap[4096];

	if (poll(&wake, 1, left < 100 ? (int)left : 100) < 0 && errno != EINTR)
		return error_set(err, ERROR_INTERNAL, errno, "wait for device events");
	while (recv(search->events, scrap, sizeof(scrap), 0) >= 0)
		search->came = true;
	return 0;
}

static int give_up(const struct search *search, unsigned timeout_ms, const char *what, struct error *err)
{
	return error_set(err, ERROR_NO_DEVICE, ENODEV, "%s%s %s did not appear within %u ms", what, search->wanted->way->name,
			 search->wanted->text, timeout_ms);
}

/* open() of a node whose number is known: -EAGAIN when it leads nowhere for the moment, or somewhere else. */
static int open_node(const char *path, int flags, dev_t number, int *fd, struct error *err)
{
	struct stat status;

	*fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	/* A disk that is just being added, or just going while its name passes to another. */
	if (*fd < 0 && (errno == ENXIO || errno == ENODEV || errno == ENOENT))
		return -EAGAIN;
	if (*fd < 0)
		return error_set(err, ERROR_DEVICE, errno, "open %s", path);
	if (fstat(*fd, &status) < 0 || !S_ISBLK(status.st_mode)) {
		close_fd(fd);
		return error_set(err, ERROR_DEVICE, ENOTBLK, "%s", path);
	}
	if (status.st_rdev != number) {
		close_fd(fd);
		return -EAGAIN;
	}
	return 0;
}

static int examine(struct blockdev *device, bool writable, struct error *err)
{
	int read_only = 0, sector = 0;

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

/*
 * Puts the partition of an open disk in its place.  The disk is open without O_EXCL, which would keep its own partitions from being
 * opened with it.  -EAGAIN: the kernel does not have the partition (yet).
 */
static int open_partition(const struct device_disk *disk, const struct device_wanted *wanted, int flags, struct blockdev *device,
			  struct error *err)
{
	struct device_partition partition;
	char name[sizeof(disk->name) + 8];
	int fd = -1;
	int result = examine(device, false, err);

	if (result == 0)
		result = device_partition_read(device->fd, device->size, device->sector, wanted, &partition, err);
	if (result == 0)
		result = device_partition_look(disk, &partition, name, sizeof(name), &device->number, err);
	if (result == 1)
		result = device_tree_node(&device_tree_kernel, name, device->number, device->path, sizeof(device->path), err);
	if (result <= 0)
		return result < 0 ? result : -EAGAIN;
	result = open_node(device->path, flags, device->number, &fd, err);
	if (result < 0)
		return result;
	close_fd(&device->fd);
	device->fd = fd;
	result = examine(device, false, err);
	if (result == 0 && device->size != partition.size)
		result = error_set(err, ERROR_DEVICE, EINVAL, "%s has another size than its entry in the GPT", device->path);
	return result;
}

/*
 * Opens what one look has found.  A number is not given to another disk while we have this one open, so when the second look finds
 * the same one it is the one that we have.
 */
static int open_found(const struct search *search, const struct device_disk *disk, int flags, struct blockdev *device,
		      struct error *err)
{
	bool whole = !search->wanted->partition && !search->wanted->partuuid[0];
	char node[sizeof(device->path)];
	struct device_disk again;
	int result = open_node(device->path, whole ? flags : O_RDONLY, disk->number, &device->fd, err);

	device->number = disk->number;
	if (result == 0 && !whole)
		result = open_partition(disk, search->wanted, flags, device, err);
	if (result < 0)
		return result;
	result = device_ways_look(&device_tree_kernel, search->wanted, &again, node, sizeof(node), err);
	if (result < 0)
		return result;
	return result == 1 && again.number == disk->number && strcmp(again.folder, disk->folder) == 0 ? 0 : -EAGAIN;
}

/* Until it is there, open and the right one. */
static int find_and_open(struct search *search, bool writable, unsigned timeout_ms, struct blockdev *device, struct error *err)
{
	int flags = (writable ? O_RDWR : O_RDONLY) | O_EXCL;
	struct device_disk disk;

	for (;;) {
		int found = device_ways_look(&device_tree_kernel, search->wanted, &disk, device->path, sizeof(device->path), err);
		int result = found == 1 ? open_found(search, &disk, flags, device, err) : -EAGAIN;

		if (found < 0)
			return found;
		if (result == 0)
			return examine(device, writable, err);
		blockdev_close(device);
		if (result != -EAGAIN)
			return result;
		uint64_t now = now_ms();
		if (now >= search->deadline)
			return give_up(search, timeout_ms, found == 1 ? "the node or partition of " : "", err);
		if (found == 0)
			result = help_it_come(search, now, err);
		else
			result = 0;
		if (result == 0)
			result = sleep_a_little(search, now, err);
		if (result < 0)
			return result;
	}
}

int blockdev_open(const struct blockdev_name *name, bool writable, unsigned timeout_ms, struct blockdev *device, struct error *err)
{
	uint64_t now = now_ms();
	struct device_wanted wanted;
	struct search search = { .wanted = &wanted, .deadline = now + timeout_ms, .events = -1, .retry_at = now };
	int result = device_ways_read(name, &wanted, err);

	*device = (struct blockdev){ .fd = -1 };
	if (result < 0)
		return result;
	/* Drivers are not asked for at once: what was there at boot has its own. */
	if (!wanted.way->rescan)
		search.retry_at += RETRY_MS;
	/* Listening begins before the first look, so nothing falls between the two. */
	search.events = listen_for_uevents(err);
	if (search.events < 0)
		return search.events;
	result = find_and_open(&search, writable, timeout_ms, device, err);
	close_fd(&search.events);
	if (result < 0)
		blockdev_close(device);
	return result;
}

void blockdev_close(struct blockdev *device)
{
	close_fd(&device->fd);
}

int blockdev_whole(dev_t number, dev_t *whole, struct error *err)
{
	char path[96];
	int result = text_format(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(number), minor(number));

	*whole = number;
	if (result == 0 && access(path, F_OK) == 0)
		result = text_format(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(number), minor(number));
	else
		return 0;
	if (result == 0)
		result = device_tree_number(path, whole);
	return result < 0 ? error_set(err, ERROR_DEVICE, -result, "the disk of device %u:%u", major(number), minor(number)) : 0;
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
