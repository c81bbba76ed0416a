/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/verity_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BLOCK       VERITY_TREE_BLOCK
#define PER_BLOCK   (BLOCK / DIGEST_SIZE)
#define LEVELS      9u /* 128^9 blocks are more than a file can have */
#define READ_BLOCKS 32u

/* A level of the tree, of which one block at a time is in memory: 0 has the digests of the data. */
struct level {
	uint64_t next; /* byte of the image where the block goes */
	unsigned used; /* digests in the block */
	uint8_t block[BLOCK];
};

struct hashing {
	int image;
	const uint8_t *salt;
	struct digest *sum;
	unsigned levels;
	struct level level[LEVELS];
	uint8_t read[READ_BLOCKS * BLOCK];
	uint8_t root[DIGEST_SIZE];
};

static int read_all(int fd, uint8_t *bytes, size_t size, uint64_t at, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(fd, bytes + done, size - done, (off_t)(at + done));

		if (got <= 0)
			return error_set(err, ERROR_INTERNAL, got < 0 ? errno : EIO, "read the image");
		done += (size_t)got;
	}
	return 0;
}

/* What of a level is in memory, zeros behind it. */
static int flush(struct hashing *hashing, struct level *level, struct error *err)
{
	memset(level->block + level->used * DIGEST_SIZE, 0, (PER_BLOCK - level->used) * DIGEST_SIZE);
	level->used = 0;
	for (size_t done = 0; done < BLOCK;) {
		ssize_t put = pwrite(hashing->image, level->block + done, BLOCK - done, (off_t)(level->next + done));

		if (put <= 0)
			return error_set(err, ERROR_INTERNAL, put < 0 ? errno : EIO, "write the hash area");
		done += (size_t)put;
	}
	level->next += BLOCK;
	return 0;
}

/* The digest of a block goes to level `to`; a block that it fills is written, and its digest goes one further up. */
static int add(struct hashing *hashing, const uint8_t *block, unsigned to, struct error *err)
{
	for (;; to++) {
		struct level *level = &hashing->level[to];

		digest_add(hashing->sum, hashing->salt, VERITY_TREE_SALT);
		digest_add(hashing->sum, block, BLOCK);
		if (to == hashing->levels) {
			digest_next(hashing->sum, hashing->root);
			return 0;
		}
		digest_next(hashing->sum, level->block + level->used++ * DIGEST_SIZE);
		if (level->used < PER_BLOCK)
			return 0;
		int result = flush(hashing, level, err);
		if (result < 0)
			return result;
		block = level->block;
	}
}

/* How many levels there are, and where each begins: the top first.  Returns where the hash area ends. */
static uint64_t lay_out(struct hashing *hashing, uint64_t size)
{
	uint64_t at = size, count[LEVELS], blocks = size / BLOCK;

	for (; blocks > 1 && hashing->levels < LEVELS; hashing->levels++) {
		blocks = (blocks + PER_BLOCK - 1) / PER_BLOCK;
		count[hashing->levels] = blocks;
	}
	for (unsigned i = hashing->levels; i-- > 0;) {
		hashing->level[i].next = at;
		at += count[i] * BLOCK;
	}
	return at;
}

static int sum_up(struct hashing *hashing, uint64_t size, struct error *err)
{
	int result = 0;

	for (uint64_t at = 0; at < size && result == 0;) {
		size_t piece = size - at < sizeof(hashing->read) ? (size_t)(size - at) : sizeof(hashing->read);

		result = read_all(hashing->image, hashing->read, piece, at, err);
		for (size_t i = 0; i < piece && result == 0; i += BLOCK)
			result = add(hashing, hashing->read + i, 0, err);
		at += piece;
	}
	for (unsigned i = 0; i < hashing->levels && result == 0; i++) {
		struct level *level = &hashing->level[i];

		if (level->used == 0)
			continue;
		result = flush(hashing, level, err);
		if (result == 0)
			result = add(hashing, level->block, i + 1, err);
	}
	return result;
}

int verity_tree_append(int image, uint64_t size, const uint8_t salt[VERITY_TREE_SALT], struct verity_tree *made, struct error *err)
{
	*made = (struct verity_tree){ 0 };
	if (size == 0 || size % BLOCK != 0 || size > INT64_MAX / 2)
		return error_set(err, ERROR_INTERNAL, EINVAL, "a hash area for %llu bytes", (unsigned long long)size);
	auto_free struct hashing *hashing = calloc(1, sizeof(*hashing));
	if (!hashing)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "a hash area");
	hashing->image = image;
	hashing->salt = salt;
	uint64_t end = lay_out(hashing, size);
	int result = digest_begin(&hashing->sum, err);
	if (result == 0)
		result = sum_up(hashing, size, err);
	digest_end(hashing->sum, NULL);
	if (result < 0)
		return error_step(err, "make the hash area");
	*made = (struct verity_tree){ .blocks = size / BLOCK, .hash_offset = size, .bytes = end };
	memcpy(made->root, hashing->root, sizeof(made->root));
	return 0;
}
