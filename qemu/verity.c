/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libcryptsetup.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "qemu/fail.h"

/* In the superblock: fixed, so that the same input makes the same bytes. */
#define VERITY_UUID "c0ffe7c0-ffe7-4c0f-8fe7-c0ffe7c0ffe7"

/* libcryptsetup speaks to the terminal unless somebody listens. */
static void note(int level, const char *message, void *context)
{
	struct error *last = context;

	if (level == CRYPT_LOG_ERROR) {
		snprintf(last->message, sizeof(last->message), "%s", message);
		last->message[strcspn(last->message, "\n")] = '\0';
	}
}

static int pad(const char *path, struct verity *verity, struct error *err)
{
	fd_auto fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", path);
	uint64_t size = (uint64_t)st.st_size, block = verity->data_block;
	verity->blocks = (size + block - 1) / block;
	/* The hash area begins at a multiple of its own block size. */
	verity->offset = (verity->blocks * block + VERITY_HASH_BLOCK - 1) / VERITY_HASH_BLOCK * VERITY_HASH_BLOCK;
	if (verity->blocks == 0)
		return fail_set(err, EINVAL, "%s is empty", path);
	if (ftruncate(fd, (off_t)verity->offset) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", path);
	return 0;
}

static int format(struct crypt_device *device, const char *path, struct verity *verity)
{
	struct crypt_params_verity params = {
		.hash_name = "sha256",
		.data_device = path,
		.salt = (const char *)verity->salt,
		.salt_size = verity->salt_size,
		.hash_type = 1,
		.data_block_size = verity->data_block,
		.hash_block_size = VERITY_HASH_BLOCK,
		.data_size = verity->blocks,
		.hash_area_offset = verity->offset,
		.flags = CRYPT_VERITY_CREATE_HASH | (verity->superblock ? 0 : CRYPT_VERITY_NO_HEADER),
	};
	char root[64];
	size_t size = sizeof(root);
	int result = crypt_format(device, CRYPT_VERITY, NULL, NULL, verity->superblock ? VERITY_UUID : NULL, NULL, 0, &params);

	if (result == 0)
		result = crypt_volume_key_get(device, CRYPT_ANY_SLOT, root, &size, NULL, 0);
	if (result < 0)
		return result;
	text_to_hex((const uint8_t *)root, size, verity->root);
	return 0;
}

int verity_append(const char *path, struct verity *verity, struct error *err)
{
	struct crypt_device *device = NULL;
	struct error last = { 0 };
	int result = pad(path, verity, err);

	if (result < 0)
		return result;
	crypt_set_log_callback(NULL, note, &last);
	result = crypt_init(&device, path);
	if (result == 0) {
		crypt_set_log_callback(device, note, &last);
		result = format(device, path, verity);
	}
	crypt_free(device);
	crypt_set_log_callback(NULL, NULL, NULL);
	if (result < 0)
		return error_set(err, ERROR_HOST, -result, "the hash tree of %s%s%s", path, last.message[0] ? ": " : "",
				 last.message);
	return 0;
}
