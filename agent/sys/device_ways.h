/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_DEVICE_WAYS_H
#define SYS_DEVICE_WAYS_H

#include "coffer/protocol.h"
#include "sys/blockdev.h"
#include "sys/device_tree.h"

/* The ways in which a request may name a disk, one row each: docs/DEVICES.md. */

#define DEVICE_WAYS_PARTUUID      36 /* characters of a GPT's unique partition GUID as text */
#define DEVICE_WAYS_PARTITION_MAX 128

struct device_way {
	const char *name; /* the member of a `device` object; in a volume's source what stands before the colon */
	size_t offset;    /* of its text in struct blockdev_name */
	/* The grammar, which touches nothing: PID 1 asks before there is a worker.  ERROR_PARAMS without a field. */
	int (*check)(const char *text, struct error *err);
	/* Is this disk meant: 1 or 0. */
	int (*matches)(const struct device_tree *tree, const char *text, const struct device_disk *disk);
	/* Before the disks are gone through: an error when what is there can never become what is meant.  May be NULL. */
	int (*refuse)(const struct device_tree *tree, const char *text, struct error *err);
	/* Asks the kernel to look for the disk, now and then while it is waited for.  May be NULL. */
	void (*rescan)(const struct device_tree *tree, const char *text);
};

extern const struct device_way device_ways[];
extern const size_t device_ways_count;

/* A checked struct blockdev_name; it needs nothing of what that pointed to. */
struct device_wanted {
	const struct device_way *way;
	char text[COFFER_SERIAL_MAX + 1];
	unsigned partition;                      /* 0: none by number */
	char partuuid[DEVICE_WAYS_PARTUUID + 1]; /* lower case; "": none by this */
};

/*
 * ERROR_PARAMS with the member to blame ("pci", "partition"; "source" when it came as one; "" when it is not exactly one way). Safe
 * in PID 1.
 */
must_check int device_ways_read(const struct blockdev_name *name, struct device_wanted *wanted, struct error *err);

/*
 * Looks once for the disk (not the partition): 1 when it is there, with its node's path in `node`; 0 when not yet.  ERROR_DEVICE:
 * two disks match, or what was named cannot be a disk.
 */
must_check int device_ways_look(const struct device_tree *tree, const struct device_wanted *wanted, struct device_disk *disk,
				char *node, size_t size, struct error *err);

#endif
