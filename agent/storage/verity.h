/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_VERITY_H
#define STORAGE_VERITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "sys/blockdev.h"

#define VERITY_SALT_MAX      256u
#define VERITY_SIGNATURE_MAX 8192u

/* The kernel modules that it needs, for modules_load. */
extern const char *const verity_modules[];

/* What a block that does not verify does: its reader gets EIO; or the whole VM ends by a panic, or restarts. */
enum verity_corruption { VERITY_CORRUPTION_ERROR, VERITY_CORRUPTION_PANIC, VERITY_CORRUPTION_RESTART };

/* A dm-verity image, as a request describes it: data blocks from the device's start, the hash area on the same device. */
struct verity {
	const char *algorithm; /* "sha256", "sha512": as libcryptsetup names it */
	uint8_t root[64];
	size_t root_size; /* fits the algorithm */
	uint8_t salt[VERITY_SALT_MAX];
	size_t salt_size;
	uint64_t blocks;                      /* of data */
	uint32_t block_size, hash_block_size; /* bytes */
	uint64_t hash_offset;                 /* bytes: where the hash area (with its superblock, if it has one) begins */
	uint32_t hash_type;                   /* 1: the usual one; 0: Chrome OS' */
	bool superblock;                      /* the hash area begins with one.  It takes up room, and is never read */
	enum verity_corruption on_corruption;
	uint64_t fec_offset;                     /* bytes: Reed-Solomon parity of data and hash area, on the same device */
	uint32_t fec_roots;                      /* parity bytes in 255; 0: no forward error correction */
	uint8_t signature[VERITY_SIGNATURE_MAX]; /* PKCS#7 (DER) over the root hash's hex text, for the kernel's keyring */
	size_t signature_size;                   /* 0: none is asked for */
};

/*
 * Maps the image read-only as /dev/mapper/NAME, reads its first and its last block through the mapping, and checks that the kernel
 * still calls it valid: activation alone proves nothing about the root hash.  Nothing of the disk is read unverified.  That holds
 * for every on_corruption: the proof is made while a wrong block is an error, so that a wrong request never ends the VM. The disk
 * is open for exclusive use, and is closed before the mapping takes it.  ERROR_VERITY: not that image, or a signature that no key
 * of the kernel's keyring made.  ERROR_DEVICE: the device is too small.
 */
must_check int verity_open(const char *name, struct blockdev *disk, const struct verity *verity, struct undo *undo, dev_t *number,
			   struct error *err);

#endif
