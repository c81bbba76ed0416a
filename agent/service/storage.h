/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_STORAGE_H
#define SERVICE_STORAGE_H

#include "service/operation.h"
#include "storage/scratch.h"
#include "sys/steps.h"
#include "volume/volume.h"

/*
 * Volumes, scratch disks and root file systems.  Requests are structs that a front end has decoded; they must live until the
 * completion.  What an operation answers is a struct too.
 */

#define STORAGE_SCRATCH_DIRECTORY "/run/coffer/scratch" /* a scratch is mounted on .../ID */
#define STORAGE_ROOTFS_DIRECTORY  "/run/coffer/rootfs"  /* a root file system on .../ID */
#define STORAGE_LAYER_DIRECTORY   "/run/coffer/layer"   /* a layer on .../ID */

struct volume_object {
	struct object object;
	struct volume_attached attached;
	bool authentic; /* nobody outside of the VM can change what is read there: dm-verity, or encrypted with integrity */
};

struct volume_result {
	struct volume_attached attached;
	struct steps steps;
};

struct scratch_create {
	const char *id;
	struct blockdev_name device;
	struct scratch_plan plan;
	unsigned timeout_ms;
};

struct scratch_object {
	struct object object;
	char device[64];
	enum scratch_use use;
	const struct integrity_layout *layout;
	uint64_t size, disk_size; /* of the file system or swap; of the part of the disk that is used */
};

struct scratch_result {
	char device[64];
	uint64_t size, disk_size;
	struct steps steps;
};

struct rootfs_create {
	const char *id;
	const char *const *lower; /* volume ids, the top one first */
	size_t lower_count;
	const char *scratch;
	const char *label; /* SELinux', or NULL */
	const char *layer; /* in place of the others: one that is mounted (service/trees.h) */
};

struct rootfs_object {
	struct object object; /* uses: the volumes in order, then the scratch; or the mounted layer */
};

struct rootfs_result {
	struct steps steps;
};

/* The scratch that a request wants for its file system: ERROR_NOT_FOUND naming the field, ERROR_PARAMS when it is swap space. */
must_check int storage_get_scratch(struct agent *agent, const char *id, const char *field, struct object **scratch,
				   struct error *err);

/*
 * In a worker: a file of a volume that something holds, for reading, a descriptor of the caller's.  `path` is resolved inside the
 * volume.  ERROR_PARAMS naming the field when it cannot be opened or is no file; ERROR_MOUNT.
 */
must_check int storage_open_file(const char *volume, const char *path, const char *field, struct error *err);

/*
 * In a worker: blockdev_open to write, a step of its own, and job_claim; from then on the steps count what is written to the disk.
 * After a failed claim too the disk is open, and the caller's to close.  ERROR_NO_DEVICE, ERROR_DEVICE, ERROR_IN_USE.
 */
must_check int storage_find_disk(struct worker *worker, const struct blockdev_name *name, unsigned timeout_ms,
				 struct blockdev *disk, struct error *err);

void storage_attach_volume(struct agent *agent, struct volume_attach *request, struct completion completion);
void storage_create_scratch(struct agent *agent, struct scratch_create *request, struct completion completion);
void storage_create_rootfs(struct agent *agent, struct rootfs_create *request, struct completion completion);
/* Volumes, scratches, root file systems, unlocked and mounted layers alike. */
void storage_remove(struct agent *agent, enum object_kind kind, const char *id, struct completion completion);

#endif
