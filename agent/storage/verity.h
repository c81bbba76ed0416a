/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_VERITY_H
#define STORAGE_VERITY_H

#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "sys/blockdev.h"

#define VERITY_SALT_MAX 256u

enum verity_superblock { VERITY_SUPERBLOCK_LOOK, VERITY_SUPERBLOCK_NONE, VERITY_SUPERBLOCK_PRESENT };

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
	enum verity_superblock superblock;
};

/*
 * Maps the image read-only as /dev/mapper/NAME, reads its first and its last block through the mapping, and checks that the kernel
 * still calls it valid: activation alone proves nothing about the root hash.  Of the disk, only "is the magic there?" is read
 * unverified, and only where the request leaves that open; a wrong answer fails the verified read.
 * The disk is open for exclusive use, and is closed before the mapping takes it.  ERROR_VERITY: not that image.  ERROR_DEVICE: the
 * device is too small.
 */
must_check int verity_open(const char *name, struct blockdev *disk, const struct verity *verity, struct undo *undo, dev_t *number,
			   struct error *err);

#endif
