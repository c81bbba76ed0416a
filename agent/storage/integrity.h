/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_INTEGRITY_H
#define STORAGE_INTEGRITY_H

#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "storage/integrity_layout.h"
#include "sys/blockdev.h"
#include "sys/secret.h"

/*
 * Authenticated encryption of a whole disk.
 *
 *   file system
 *   dm-crypt      an AEAD over sectors of 4096 bytes, which authenticates sector number and IV with them: AES-256-XTS and
 * HMAC-SHA-256, authenc(hmac(sha256),xts(aes)), unless another row of the table is asked for dm-integrity  stores the tag of each
 * sector, and its IV where that is random; nothing is wiped disk
 *
 * A block that was never written does not read: its tag is wrong (EILSEQ).  Nothing on the disk chooses anything: dm-integrity's
 * superblock is made anew, or must be the one that this would make; its parameters are ours, and what the kernel then runs with is
 * compared with what was asked for.
 *
 * https://docs.kernel.org/admin-guide/device-mapper/dm-crypt.html, dm-integrity.html
 */

#define INTEGRITY_INTERLEAVE 32768u /* sectors of data between two runs of tags: 16 MiB */

/* Bytes that a disk of `device_size` bytes can hold; 0 when it is too small. */
uint64_t integrity_capacity(const struct integrity_layout *layout, uint64_t device_size);

/*
 * Makes the two mappings, NAME+integrity and NAME, on a disk whose content is given up: dm-integrity's first 4 KiB are overwritten.
 * `key` NULL: a fresh one, which is forgotten at once, so that only the kernel's cipher has it.  *number is the mapping's device,
 * *size its bytes.  ERROR_CRYPT; ERROR_DEVICE when the disk is too small; ERROR_KERNEL when the kernel has no such cipher.
 */
must_check int integrity_make(const char *name, const struct integrity_layout *layout, const struct blockdev *disk,
			      const struct secret *key, struct undo *undo, uint64_t *size, dev_t *number, struct error *err);

/* The same for a disk that was made before, which may have grown.  ERROR_CRYPT also for a superblock that is not one of ours. */
must_check int integrity_open(const char *name, const struct integrity_layout *layout, const struct blockdev *disk,
			      const struct secret *key, struct undo *undo, uint64_t *size, dev_t *number, struct error *err);

/*
 * Gives mappings that are in use the size of a disk that has grown.  Killed at any moment it leaves mappings that work, and may be
 * called again.  *size is in use now; then it is the new one.  ERROR_DEVICE when the disk cannot hold that any more.
 */
must_check int integrity_grow(const char *name, const struct integrity_layout *layout, const struct blockdev *disk,
			      const struct secret *key, uint64_t *size, struct error *err);

/*
 * Is this dm-integrity superblock (its first 512 bytes) one that this layout makes, for at most `capacity` bytes?  Read before the
 * kernel reads it, to say what is wrong; what the kernel has read is seen in its table.  ERROR_CRYPT, ERROR_DEVICE: for more.
 */
must_check int integrity_check_superblock(const struct integrity_layout *layout, const uint8_t *bytes, uint64_t capacity,
					  struct error *err);

#endif
