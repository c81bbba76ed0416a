/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_INTEGRITY_H
#define STORAGE_INTEGRITY_H

#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "sys/blockdev.h"

/*
 * Authenticated encryption of a whole disk with a key that only this kernel knows.
 *
 *   file system
 *   dm-crypt      capi:authenc(hmac(sha256),xts(aes))-random, 4096-byte sectors: AES-256-XTS under a fresh random IV for each
 *                 write, HMAC-SHA-256 over sector number, IV and ciphertext (32 + 16 bytes a sector)
 *   dm-integrity  stores those 48 bytes; mode D: no journal is used, nothing is wiped
 *   disk
 *
 * A block that was never written does not read: its tag is wrong (EILSEQ).  Nothing on the disk chooses anything: dm-integrity's
 * superblock is made anew, its parameters are ours, and what the kernel then runs with is compared with what was asked for.
 *
 * https://docs.kernel.org/admin-guide/device-mapper/dm-crypt.html, dm-integrity.html
 */

#define INTEGRITY_SECTOR   4096u                 /* bytes encrypted and authenticated as one */
#define INTEGRITY_SMALLEST (16u * 1024u * 1024u) /* bytes of a disk */

/* Bytes that a disk of `device_size` bytes can hold; 0 when it is too small. */
uint64_t integrity_capacity(uint64_t device_size);

/*
 * Makes the two mappings, NAME+integrity and NAME, with a fresh key, and forgets the key: only the kernel's cipher has it from then
 * on. The first 4 KiB of the disk are overwritten.  *number is the mapping's device, *size its bytes.  ERROR_CRYPT.
 */
must_check int integrity_open(const char *name, const struct blockdev *disk, struct undo *undo, uint64_t *size, dev_t *number,
			      struct error *err);

#endif
