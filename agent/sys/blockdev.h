/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_BLOCKDEV_H
#define SYS_BLOCKDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* How a request names a block device: exactly one of the two is set. */
struct blockdev_name {
	const char *serial; /* virtio-blk, virtio-scsi and NVMe serials, trailing blanks ignored */
	const char *path;   /* below /dev */
};

struct blockdev {
	int fd; /* open, O_EXCL; -1 when closed */
	dev_t number;
	char path[64];   /* "/dev/vdb" */
	uint64_t size;   /* bytes */
	unsigned sector; /* logical block size, bytes */
	bool read_only;
};

/*
 * Finds the device, waiting up to `timeout_ms` for it to appear (the kernel's uevents wake the search, and are not believed: each
 * one only makes it look again), and opens it for exclusive use.  Blocks: for workers. ERROR_NO_DEVICE: it did not come.
 * ERROR_DEVICE: not a block device, in use, two have this serial, empty, or read-only when `writable` was asked for.
 */
must_check int blockdev_open(const struct blockdev_name *name, bool writable, unsigned timeout_ms, struct blockdev *device,
			     struct error *err);
void blockdev_close(struct blockdev *device);

/* Bytes written to the disk since it appeared, by its own counter; 0 when unknown. */
uint64_t blockdev_written(dev_t number);

#endif
