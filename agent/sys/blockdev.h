/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_BLOCKDEV_H
#define SYS_BLOCKDEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* How a request names a block device: docs/DEVICES.md.  The grammar is checked by device_ways_read. */
struct blockdev_name {
	/* Exactly one of these, */
	const char *serial; /* virtio-blk, virtio-scsi and NVMe serials, trailing blanks ignored */
	const char *path;   /* below /dev */
	const char *pci;    /* "02/03" */
	const char *scsi;   /* "ID:LUN" */
	const char *hyperv; /* "CONTROLLER:LUN" */
	/* and where a partition of its GPT is meant one of these; */
	uint64_t partition;   /* 1..128; 0: none */
	const char *partuuid; /* its unique GUID */
	/* or all of it in one, as a volume's source has it: "pci:02/03#1". */
	const char *source;
};

struct blockdev {
	int fd; /* open, O_EXCL; -1 when closed */
	dev_t number;
	char path[64];   /* "/dev/vdb", "/dev/vdb1" */
	uint64_t size;   /* bytes */
	unsigned sector; /* logical block size, bytes */
	bool read_only;
};

/*
 * Finds the device, waiting up to `timeout_ms` for it to appear (the kernel's uevents wake the search, and are not believed: each
 * one only makes it look again), and opens it for exclusive use.  Blocks: for workers. ERROR_NO_DEVICE: it did not come.
 * ERROR_DEVICE: not a block device, in use, two match, empty, read-only when `writable` was asked for, or no such partition.
 * ERROR_PARAMS: see device_ways_read.
 */
must_check int blockdev_open(const struct blockdev_name *name, bool writable, unsigned timeout_ms, struct blockdev *device,
			     struct error *err);
void blockdev_close(struct blockdev *device);

/* The disk that a device is a partition of; the device itself when it is none. */
must_check int blockdev_whole(dev_t number, dev_t *whole, struct error *err);

/* Bytes written to the disk since it appeared, by its own counter; 0 when unknown. */
uint64_t blockdev_written(dev_t number);

#endif
