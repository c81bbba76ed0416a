/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/sha256.h"

#include <string.h>

static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
	0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
	0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
	0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
	0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, unsigned by)
{
	return word >> by | word << (32 - by);
}

static void compress(uint32_t state[8], const uint8_t block[64])
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
	uint32_t w[64];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
		       block[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
		uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	for (int i = 0; i < 64; i++) {
		uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25), s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
		uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + constants[i] + w[i], t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));

		h = g, g = f, f = e, e = d + t1;
		d = c, c = b, b = a, a = t1 + t2;
	}
	state[0] += a, state[1] += b, state[2] += c, state[3] += d;
	state[4] += e, state[5] += f, state[6] += g, state[7] += h;
	explicit_bzero(w, sizeof(w));
}

void sha256_begin(struct sha256 *sum)
{
	static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memcpy(sum->state, initial, sizeof(initial));
	sum->length = 0;
}

void sha256_add(struct sha256 *sum, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;

	while (size > 0) {
		size_t used = sum->length % sizeof(sum->block), piece = sizeof(sum->block) - used;

		if (piece > size)
			piece = size;
		memcpy(sum->block + used, from, piece);
		sum->length += piece;
		from += piece;
		size -= piece;
		if (sum->length % sizeof(sum->block) == 0)
			compress(sum->state, sum->block);
	}
}

void sha256_end(struct sha256 *sum, uint8_t digest[SHA256_SIZE])
{
	static const uint8_t padding[64] = { 0x80 };
	uint64_t bits = sum->length * 8;
	uint8_t length[8];

	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(sum, padding, (119 - sum->length % 64) % 64 + 1);
	sha256_add(sum, length, sizeof(length));
	for (unsigned i = 0; i < SHA256_SIZE; i++)
		digest[i] = (uint8_t)(sum->state[i / 4] >> (24 - 8 * (i % 4)));
	explicit_bzero(sum, sizeof(*sum));
}

/* The two halves of an HMAC, with the key's block taken in. */
struct keyed {
	struct sha256 inner, outer;
};

static void keyed_begin(struct keyed *keyed, const void *key, size_t size)
{
	uint8_t block[64] = { 0 };
	struct sha256 sum;

	if (size > sizeof(block)) {
		sha256_begin(&sum);
		sha256_add(&sum, key, size);
		sha256_end(&sum, block);
	} else if (size > 0) {
		memcpy(block, key, size);
	}
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36;
	sha256_begin(&keyed->inner);
	sha256_add(&keyed->inner, block, sizeof(block));
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	sha256_begin(&keyed->outer);
	sha256_add(&keyed->outer, block, sizeof(block));
	explicit_bzero(block, sizeof(block));
}

/* `text` in two pieces. */
static void keyed_sum(const struct keyed *keyed, const void *text, size_t size, const void *more, size_t more_size,
		      uint8_t digest[SHA256_SIZE])
{
	struct sha256 sum = keyed->inner;

	sha256_add(&sum, text, size);
	sha256_add(&sum, more, more_size);
	sha256_end(&sum, digest);
	sum = keyed->outer;
	sha256_add(&sum, digest, SHA256_SIZE);
	sha256_end(&sum, digest);
}

void sha256_pbkdf2(const void *key, size_t key_size, const void *salt, size_t salt_size, uint32_t iterations, uint8_t *out,
		   size_t size)
{
	static const uint8_t first[4] = { 0, 0, 0, 1 };
	uint8_t round[SHA256_SIZE], total[SHA256_SIZE];
	struct keyed keyed;

	keyed_begin(&keyed, key, key_size);
	keyed_sum(&keyed, salt, salt_size, first, sizeof(first), round);
	memcpy(total, round, sizeof(total));
	for (uint32_t i = 1; i < iterations; i++) {
		keyed_sum(&keyed, round, sizeof(round), NULL, 0, round);
		for (size_t j = 0; j < sizeof(total); j++)
			total[j] ^= round[j];
	}
	memcpy(out, total, size < sizeof(total) ? size : sizeof(total));
	explicit_bzero(&keyed, sizeof(keyed));
	explicit_bzero(round, sizeof(round));
	explicit_bzero(total, sizeof(total));
}
