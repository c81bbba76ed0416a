/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_LUKS_HEADER_H
#define STORAGE_LUKS_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The LUKS2 header of an encrypted volume, of which there is one shape only: two copies of 16 KiB, one key slot, one digest, one
 * segment under aes-xts-plain64 and hmac(sha256) with 4096-byte sectors.  The host can write what it likes there, so every field is
 * compared with that shape before a library sees any of it, and what libcryptsetup then opens is a header that was written anew
 * from the struct below: what is not in the struct has no say.
 *
 *        0   first copy: 4 KiB binary, 12 KiB JSON
 *    16384   second copy
 *    32768   key slot area 0      (of the two areas one is in use: a changed key goes to the other)
 *   417792   key slot area 1
 *  1048576   data: dm-integrity's superblock and journal, then tags and sectors
 *
 * https://gitlab.com/cryptsetup/LUKS2-docs: LUKS2 On-Disk Format Specification 1.1.1
 */

#define LUKS_HEADER_COPY      16384u
#define LUKS_HEADER_BINARY    4096u
#define LUKS_HEADER_JSON      (LUKS_HEADER_COPY - LUKS_HEADER_BINARY)
#define LUKS_HEADER_SIZE      (2 * LUKS_HEADER_COPY) /* both copies */
#define LUKS_HEADER_AREA_SIZE 385024u                /* 4000 stripes of 96 bytes, whole blocks of 4096 */
#define LUKS_HEADER_AREAS     2u
#define LUKS_HEADER_DATA      1048576u /* bytes that are kept in front of the data */
#define LUKS_HEADER_KEY       96u      /* of the volume key: 64 for AES-256-XTS, 32 for the HMAC */
#define LUKS_HEADER_SALT      32u

/* What a key slot may ask of whoever opens it. */
#define LUKS_HEADER_PBKDF2_LEAST 1000u
#define LUKS_HEADER_PBKDF2_MOST  10000000u /* iterations: some seconds */
#define LUKS_HEADER_ARGON2_TIME  10u
#define LUKS_HEADER_ARGON2_KIB   131072u
#define LUKS_HEADER_ARGON2_CPUS  4u

struct luks_header {
	uint64_t sequence; /* rises with every change */
	uint32_t copy;     /* which copy this was read from */
	bool agree;        /* the other copy says the same */
	char uuid[37];
	bool argon2;               /* argon2id, or PBKDF2 with SHA-256 */
	uint32_t iterations;       /* argon2: its time */
	uint32_t memory_kib, cpus; /* argon2 */
	uint8_t slot_salt[LUKS_HEADER_SALT];
	uint32_t area; /* which key slot area: 0, 1 */
	uint32_t digest_iterations;
	uint8_t digest_salt[LUKS_HEADER_SALT], digest[32];
};

/* Is there anything that calls itself LUKS?  `bytes` has LUKS_HEADER_SIZE.  Also a copy that is otherwise damaged. */
bool luks_header_present(const uint8_t *bytes);

/*
 * Reads both copies, LUKS_HEADER_SIZE bytes in private memory.  A copy that is torn (no magic, or a wrong checksum) is passed over
 * if the other is whole; of two whole ones that differ by one in their sequence, as a change that was cut short leaves them, the
 * later counts. ERROR_HEADER, with the field's name and what was found in the message.
 */
must_check int luks_header_read(const uint8_t *bytes, struct luks_header *header, struct error *err);

/* Writes both copies, LUKS_HEADER_SIZE bytes, with fresh random salts.  `slot` false: without a key slot, for a library to add it.
 */
must_check int luks_header_write(const struct luks_header *header, bool slot, uint8_t *bytes, struct error *err);

/* Where the key slot area in use begins. */
uint64_t luks_header_area(const struct luks_header *header);

/*
 * SHA-256, as hex, of what identifies the key material: the JSON text (without the zeros behind it), and the LUKS_HEADER_AREA_SIZE
 * bytes of the key slot area.  It changes with the key, and not with the content of the volume.
 */
must_check int luks_header_sum(const struct luks_header *header, const uint8_t *area, char hex[65], struct error *err);

#endif
