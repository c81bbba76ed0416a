/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_DEVICE_PARTITION_H
#define SYS_DEVICE_PARTITION_H

#include <stdint.h>

#include "sys/device_ways.h"

/*
 * Partitions of a GPT (UEFI specification 2.10, section 5.3), which the host may have written.  The header and its entries are read
 * once, into a memfd, and libblkid reads them there: it can be shown nothing else the second time.  Only the primary table counts,
 * as in the kernel.
 */

struct device_partition {
	unsigned number;      /* 1..128 */
	uint64_t start, size; /* bytes, within the disk */
};

/*
 * Finds the partition that `wanted` names in the table of an open disk.  `sector`: its logical block size.  For workers.
 * ERROR_DEVICE: there is no GPT, it is not sound (its place, its count, overlapping or equal partitions, one beyond the disk), or
 * has no such partition.
 */
must_check int device_partition_read(int disk, uint64_t disk_size, unsigned sector, const struct device_wanted *wanted,
				     struct device_partition *partition, struct error *err);

/*
 * Looks once for the kernel's device of it: 1 with its name and number, 0 when it is not there (yet).  ERROR_DEVICE when the kernel
 * has a partition of that number in another place.
 */
must_check int device_partition_look(const struct device_disk *disk, const struct device_partition *partition, char *name,
				     size_t size, dev_t *number, struct error *err);

#endif
