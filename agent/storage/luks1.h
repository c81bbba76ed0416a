/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_LUKS1_H
#define STORAGE_LUKS1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "storage/luks.h"

/*
 * The LUKS1 header of image layers that were made by older tools: `cryptsetup luksFormat --type luks1 -c aes-xts-plain -h sha256 -s
 * 256`.  It is only read.  Nothing below such a header is authenticated: whoever can write the image can change what is decrypted.
 *
 * As with storage/luks_header.h each field is compared with the one shape that is accepted, in a copy that is read once, and what
 * libcryptsetup opens is a header that was written anew.  https://gitlab.com/cryptsetup/cryptsetup/-/wikis/LUKS-standard:
 * LUKS On-Disk Format Specification 1.2.3
 */
#define LUKS1_SLOTS   8u
#define LUKS1_PAYLOAD 4096u /* where the data begin, in sectors of 512 bytes */
#define LUKS1_FRONT   (LUKS1_PAYLOAD * 512u)

struct luks1_slot {
	bool active;
	uint32_t iterations;
	uint8_t salt[32];
};

struct luks1_header {
	uint32_t key_size; /* bytes: 32 or 64, of AES in XTS mode */
	bool plain64;      /* the IV is the sector's number in 64 bits; or in 32 */
	uint8_t digest[20], digest_salt[32];
	uint32_t digest_iterations;
	struct luks1_slot slots[LUKS1_SLOTS];
};

/* From LUKS1_FRONT bytes in private memory.  ERROR_HEADER with the field's name and what was found in the message. */
must_check int luks1_read(const uint8_t *front, struct luks1_header *header, struct error *err);

/*
 * Reads the header from the beginning of the file, and opens one of its slots: the volume key into a new secret.  For workers.
 * ERROR_HEADER, ERROR_DEVICE, ERROR_KEY, ERROR_CRYPT.
 */
must_check int luks1_unlock(int file, const struct luks_key *key, struct luks1_header *header, struct secret *volume_key,
			    struct error *err);

#endif
