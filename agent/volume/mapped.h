/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_MAPPED_H
#define VOLUME_MAPPED_H

#include "storage/filesystem.h"
#include "volume/volume.h"

/* A volume's device: found, claimed, and, where the request describes that, under dm-verity.  For workers. */

struct mapped_request {
	const char *source;
	const struct virtual_volume_verity *verity; /* NULL: taken as it is, and every byte of it is the host's word */
	const char *id, *part;                      /* of the mapping's name: coffer-volume-ID, or coffer-volume-ID+PART */
	bool writable;                              /* only without dm-verity */
	unsigned timeout_ms;
};

struct mapped {
	char node[192];  /* what to open, or to mount: /dev/mapper/NAME, or the disk's own */
	char device[64]; /* the disk: "/dev/vdb" */
	dev_t number;    /* of the node */
	uint64_t size;   /* bytes that can be read through the node */
};

must_check int mapped_open(const struct mapped_request *request, struct volume_context *context, struct mapped *mapped,
			   struct error *err);

/* The device that the volume's own `source` names, with its own dm_verity. */
must_check int mapped_open_own(const struct volume_attach *request, struct volume_context *context, struct mapped *mapped,
			       struct error *err);

/* Fills what the answer shows of it. */
void mapped_describe(const struct mapped *mapped, const char *fs_type, struct volume_attached *attached);

/* Mounts on the volume's place, VOLUME_DIRECTORY/ID. */
must_check int mapped_mount(const struct volume_attach *request, const struct filesystem_mount *mount,
			    struct volume_context *context, struct error *err);

#endif
