/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_DEVICE_TREE_H
#define SYS_DEVICE_TREE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Whole disks as sysfs shows them.  Nothing here waits or opens a device: each call looks once at what is there now, and what goes
 * away meanwhile is "not there".  A tree is a parameter, so that tests can bring their own.
 */

struct device_tree {
	const char *sys, *dev; /* without symbolic links in them and without a slash at the end: "/sys", "/dev" */
};

extern const struct device_tree device_tree_kernel;

#define DEVICE_TREE_FOLDER_MAX 512

struct device_disk {
	char name[32]; /* the kernel's: "vdb" */
	dev_t number;
	char folder[DEVICE_TREE_FOLDER_MAX]; /* in sysfs, all links resolved: "/sys/devices/pci0000:00/..." */
};

/*
 * The whole disk with this kernel name: 1, or 0 when there is none, or it is a partition, a path of a multipath disk that the
 * kernel hides, or something made by software (device-mapper, loop), which no request may name.
 */
int device_tree_disk(const struct device_tree *tree, const char *name, struct device_disk *disk);

/* Calls `visit` for every whole disk until it returns something other than 0, and returns that.  ERROR_INTERNAL without sysfs. */
must_check int device_tree_each(const struct device_tree *tree, int (*visit)(const struct device_disk *disk, void *context),
				void *context, struct error *err);

/* The number in a sysfs `dev` file ("254:16\n"): 0, or -errno. */
must_check int device_tree_number(const char *file, dev_t *number);
/* A decimal number that is all that a sysfs file holds: 0, or -errno. */
must_check int device_tree_count(const char *file, unsigned long long *value);

/* The node of a kernel name: 1 when it is there with this number, 0 when not (yet).  ERROR_DEVICE: it is no block device. */
must_check int device_tree_node(const struct device_tree *tree, const char *name, dev_t number, char *path, size_t size,
				struct error *err);

/* The only entry of a folder whose name begins with `prefix`: 1, or 0 when there is none or more than one. */
int device_tree_only(const char *folder, const char *prefix, char *name, size_t size);

/* The last component of a path. */
const char *device_tree_last(const char *path);

#endif
