/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_VOLUMES_H
#define SERVICE_VOLUMES_H

#include "service/storage.h"

/*
 * Volumes that the guest makes itself, for the containers of a pod to share: a tmpfs, or a directory on a scratch.  Objects of kind
 * OBJECT_VOLUME like those on devices: listed, bound by containers, counted and detached in the same way.
 */

#define VOLUMES_TMPFS_LEAST 4096u

struct volumes_create {
	const char *id;
	const char *type;    /* "tmpfs" or "directory" */
	const char *scratch; /* directory: where it is made */
	uint64_t size;       /* tmpfs: bytes at most */
	uint64_t mode;       /* of its root; 0: 0777 with the sticky bit for tmpfs, 0755 for a directory */
	uint64_t uid, gid;
	bool noexec;
};

/* What is in use of a volume, and what has been read and written on its device. */
struct volumes_stats {
	uint64_t size, used, available; /* bytes */
	uint64_t files, files_free;
	uint64_t read_bytes, written_bytes, reads, writes; /* of the device, since it appeared */
	bool has_device;
};

void volumes_create(struct agent *agent, struct volumes_create *request, struct completion completion);
/* Of a volume or a scratch.  In a worker: a disk that hangs holds nobody else up. */
void volumes_read_stats(struct agent *agent, enum object_kind kind, const char *id, struct completion completion);

#endif
