/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H

#include "base/error.h"
#include "base/undo.h"
#include "coffer/protocol.h"
#include "sys/blockdev.h"
#include "sys/steps.h"
#include "volume/rules.h"
#include "volume/virtual_volume.h"

/*
 * The registry of volume types: one row a type.  A row says what its requests may be (rules.h) and checks what is its own (in PID
 * 1: no device is touched), and attaches (in a worker).
 */

#define VOLUME_DIRECTORY "/run/coffer/volume" /* attached volumes are mounted on VOLUME_DIRECTORY/ID */

struct volume_attach {
	const char *id;
	struct virtual_volume volume;
	unsigned timeout_ms; /* how long to wait for the device */
	bool plain_allowed;  /* what is not verified may be attached: the VM was started so */
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

#define VOLUME_BASES_MAX 2

/* Ids of volumes that a volume's files lie in, as a request names them. */
struct volume_bases {
	char ids[VOLUME_BASES_MAX][COFFER_ID_MAX + 1];
	const char *fields[VOLUME_BASES_MAX]; /* of the request */
	size_t count;
};

struct volume_driver {
	const char *type;
	struct rules rules;
	/* What rules do not say: the source, and what is inside texts.  Adds the bases. */
	int (*check)(const struct volume_attach *request, struct volume_bases *bases, struct error *err);
	/* NULL: the type is known, checked, and answered `unsupported-volume`. */
	int (*attach)(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		      struct error *err);
};

/* The rows, for tests that walk them. */
extern const struct volume_driver *const volume_drivers[];
extern const size_t volume_driver_count;

/* The whole check.  bases->count is 0 for what stands on a device alone. */
must_check int volume_check(const struct volume_attach *request, struct volume_bases *bases, struct error *err);
must_check int volume_attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
			     struct error *err);

/* A text that names a device, as a volume's `source` does, checked; *name points into it.  Errors are for the field "source". */
must_check int volume_source(const char *source, struct blockdev_name *name, struct error *err);
/* A device that a request names: the grammar alone.  The field in the error is the member of the name. */
must_check int volume_check_device(const struct blockdev_name *name, struct error *err);
/* The check of a driver whose `source` is a device. */
must_check int volume_check_source(const struct volume_attach *request, struct volume_bases *bases, struct error *err);

#endif
