/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

/*
 * SHA-256 (FIPS 180-4), and PBKDF2 (RFC 8018) over HMAC-SHA-256 (RFC 2104).  For what must be summed before a library sees it; not
 * made to be fast.  What may be secret is wiped from the stack.
 */

#define SHA256_SIZE 32u

struct sha256 {
	uint32_t state[8];
	uint64_t length; /* bytes so far */
	uint8_t block[64];
};

void sha256_begin(struct sha256 *sum);
void sha256_add(struct sha256 *sum, const void *bytes, size_t size);
/* `sum` is wiped. */
void sha256_end(struct sha256 *sum, uint8_t digest[SHA256_SIZE]);

/* One block of PBKDF2: `size` is at most SHA256_SIZE. */
void sha256_pbkdf2(const void *key, size_t key_size, const void *salt, size_t salt_size, uint32_t iterations, uint8_t *out,
		   size_t size);

#endif
