/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_ENCRYPTED_H
#define STORAGE_ENCRYPTED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "storage/luks.h"
#include "storage/mkfs.h"
#include "sys/blockdev.h"
#include "sys/steps.h"

/*
 * A disk whose data outlive the VM: a LUKS2 header (storage/luks_header.h), authenticated encryption behind it
 * (storage/integrity.h, integrity_lasting), an ext4 with a journal.  docs/ENCRYPTED.md has the format and its reasons.
 *
 * Nothing here waits for a device or claims it; everything that lasts is in `undo`.
 */

struct encrypted_place {
	const char *name;      /* of the mapping */
	const char *target;    /* where it is mounted; made here */
	struct blockdev *disk; /* open for exclusive use; closed before the mapping takes it */
	enum mkfs_use use;     /* to create: MKFS_LASTING or MKFS_LAYER */
	struct undo *undo;
	struct steps *steps;
};

/* What is known of a volume that is open. */
struct encrypted_volume {
	uint64_t size;        /* of the file system, bytes */
	char header_sum[65];  /* luks_header_sum() */
	uint8_t identity[32]; /* the digest of the volume key: the same through changes of the key that opens the slot */
};

/*
 * Gives up what is on the disk, and makes a new volume.  A disk with a LUKS header is refused (ERROR_DEVICE), unless `force`.  The
 * header is written last, so a disk on which this was cut short has none.
 */
must_check int encrypted_create(const struct encrypted_place *place, const struct luks_key *key, bool force,
				struct encrypted_volume *volume, struct error *err);

/*
 * Opens one.  `header_sum` (64 hex digits) or NULL: the header must be that one; `identity` or NULL: the volume.  ERROR_HEADER,
 * ERROR_KEY, ERROR_CRYPT, ERROR_DEVICE, ERROR_MOUNT.
 */
must_check int encrypted_open(const struct encrypted_place *place, const struct luks_key *key, const char *header_sum,
			      const uint8_t *identity, bool read_only, struct encrypted_volume *volume, struct error *err);

/*
 * Replaces the key that opens the volume on `disk`, open for writing, mapped or not.  Cut short at any moment, the old key or the
 * new one opens it.  `identity` (or NULL): the volume must be that one.
 */
must_check int encrypted_change_key(int disk, const struct luks_key *key, const struct luks_key *new_key, const uint8_t *identity,
				    struct encrypted_volume *volume, struct error *err);

/*
 * Grows an open volume to what its disk has become.  The key is needed again, since none is kept.  Cut short at any moment, what
 * has grown has grown, and it can be called again.  The disk is open for reading.  *size is the file system's, then its new one.
 */
must_check int encrypted_grow(const char *name, const char *target, const struct blockdev *disk, const struct luks_key *key,
			      const uint8_t *identity, struct steps *steps, uint64_t *size, struct error *err);

#endif
