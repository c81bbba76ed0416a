/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H

#include "base/error.h"
#include "base/undo.h"
#include "sys/blockdev.h"
#include "sys/steps.h"
#include "volume/virtual_volume.h"

/*
 * The registry of volume types: one row a type.  A row checks a request (in PID 1: no device is touched), and attaches it (in a
 * worker).
 */

#define VOLUME_DIRECTORY "/run/coffer/volume" /* attached volumes are mounted on VOLUME_DIRECTORY/ID */

struct volume_attach {
	const char *id;
	struct virtual_volume volume;
	unsigned timeout_ms; /* how long to wait for the device */
};

struct volume_attached {
	char type[24];
	char device[64];
	char fs_type[16];
	uint64_t size; /* of the verified data, bytes */
};

/* What attaching needs of its surroundings: where undo goes, and how a device is claimed (see job.h). */
struct volume_context {
	struct undo *undo;
	struct steps *steps;
	int (*claim)(void *context, dev_t device, struct error *err);
	void *claim_context;
};

struct volume_driver {
	const char *type;
	int (*check)(const struct volume_attach *request, struct error *err);
	/* NULL: the type is known, and answered `unsupported-volume`. */
	int (*attach)(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		      struct error *err);
};

/* The rows, for tests that walk them. */
extern const struct volume_driver *const volume_drivers[];
extern const size_t volume_driver_count;

must_check int volume_check(const struct volume_attach *request, struct error *err);
must_check int volume_attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
			     struct error *err);

/* `source` of a volume as a device: "serial:S", or a path below /dev.  Used by the drivers. */
must_check int volume_source(const struct virtual_volume *volume, struct blockdev_name *name, struct error *err);
/* A serial or a path below /dev that a request names; the field in the error is the caller's to add. */
must_check int volume_check_device(const struct blockdev_name *name, struct error *err);

#endif
