/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_STORAGE_H
#define SERVICE_STORAGE_H

#include "service/operation.h"
#include "sys/steps.h"
#include "volume/volume.h"

/*
 * Volumes, scratch disks and root file systems.  Requests are structs that a front end has decoded; they must live until the
 * completion.  What an operation answers is a struct too.
 */

#define STORAGE_SCRATCH_DIRECTORY "/run/coffer/scratch" /* a scratch is mounted on .../ID */
#define STORAGE_ROOTFS_DIRECTORY  "/run/coffer/rootfs"  /* a root file system on .../ID */

struct volume_object {
	struct object object;
	struct volume_attached attached;
};

struct volume_result {
	struct volume_attached attached;
	struct steps steps;
};

struct scratch_create {
	const char *id;
	struct blockdev_name device;
	unsigned timeout_ms;
};

struct scratch_object {
	struct object object;
	char device[64];
	uint64_t size;
};

struct scratch_result {
	char device[64];
	uint64_t size;
	struct steps steps;
};

struct rootfs_create {
	const char *id;
	const char *const *lower; /* volume ids, the top one first */
	size_t lower_count;
	const char *scratch;
};

struct rootfs_object {
	struct object object; /* uses: the volumes in order, then the scratch */
};

struct rootfs_result {
	struct steps steps;
};

void storage_attach_volume(struct agent *agent, struct volume_attach *request, struct completion completion);
void storage_create_scratch(struct agent *agent, struct scratch_create *request, struct completion completion);
void storage_create_rootfs(struct agent *agent, struct rootfs_create *request, struct completion completion);
/* Volumes, scratches and root file systems alike. */
void storage_remove(struct agent *agent, enum object_kind kind, const char *id, struct completion completion);

#endif
