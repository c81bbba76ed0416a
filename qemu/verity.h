/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_VERITY_H
#define QEMU_VERITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define VERITY_SALT_MAX   256
#define VERITY_HASH_BLOCK 4096u

/* A dm-verity hash tree behind the data in one file: what is wanted, and what came out. */
struct verity {
	uint32_t data_block; /* bytes; 512 to 4096 */
	bool superblock;
	uint8_t salt[VERITY_SALT_MAX];
	uint32_t salt_size;

	uint64_t blocks; /* filled: data blocks */
	uint64_t offset; /* filled: where the hash area (its superblock, if there is one) begins */
	char root[129];  /* filled: the root hash, hex */
};

/*
 * Pads the file's content to a whole number of blocks, and writes the SHA-256 hash tree (format 1) behind it.  In process, by
 * libcryptsetup: https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity
 */
must_check int verity_append(const char *path, struct verity *verity, struct error *err);

#endif
