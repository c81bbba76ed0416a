/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "sys/devmapper.h"
#include "sys/libraries.h"

/* https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity: the superblock begins with this, and takes one hash block (at least
 * 512 bytes). */
static const char magic[8] = "verity\0\0";
#define VERITY_SUPERBLOCK_SIZE 512u

static void log_cryptsetup(int level, const char *message, void *context)
{
	(void)context;
	if (level == CRYPT_LOG_ERROR)
		log_debug("libcryptsetup: %s", message);
}

static int find_superblock(const struct blockdev *disk, const struct verity *verity, bool *present, struct error *err)
{
	char found[sizeof(magic)];

	*present = verity->superblock == VERITY_SUPERBLOCK_PRESENT;
	if (verity->superblock != VERITY_SUPERBLOCK_LOOK)
		return 0;
	if (pread(disk->fd, found, sizeof(found), (off_t)verity->hash_offset) != sizeof(found))
		return error_set(err, ERROR_DEVICE, EIO, "read the hash area of %s", disk->path);
	*present = memcmp(found, magic, sizeof(magic)) == 0;
	return 0;
}

/* In bytes; libcryptsetup would round a misaligned one down silently. */
static uint64_t tree_offset(const struct verity *verity, bool superblock)
{
	uint64_t block = verity->hash_block_size;

	if (!superblock)
		return verity->hash_offset;
	return (verity->hash_offset + VERITY_SUPERBLOCK_SIZE + block - 1) / block * block;
}

static int activate(struct libraries *lib, const char *name, const struct blockdev *disk, const struct verity *verity,
		    uint64_t tree, struct error *err)
{
	struct crypt_device *device = NULL;
	struct crypt_params_verity params = {
		.hash_name = verity->algorithm,
		.data_device = disk->path,
		.salt = (const char *)verity->salt,
		.salt_size = (uint32_t)verity->salt_size,
		.hash_type = verity->hash_type,
		.data_block_size = verity->block_size,
		.hash_block_size = verity->hash_block_size,
		.data_size = verity->blocks,
		.hash_area_offset = tree,
		.flags = CRYPT_VERITY_NO_HEADER,
	};

	lib->crypt_set_log_callback(NULL, log_cryptsetup, NULL);
	int result = lib->crypt_init(&device, disk->path);
	if (result == 0)
		result = lib->crypt_format(device, CRYPT_VERITY, NULL, NULL, NULL, NULL, 0, &params);
	if (result < 0) {
		error_set(err, ERROR_VERITY, -result, "describe the image on %s", disk->path);
	} else {
		result = lib->crypt_activate_by_signed_key(device, name, (const char *)verity->root, verity->root_size, NULL, 0,
							   CRYPT_ACTIVATE_READONLY);
		if (result < 0)
			error_set(err, ERROR_VERITY, -result, "activate dm-verity on %s", disk->path);
	}
	lib->crypt_free(device);
	return result < 0 ? result : 0;
}

static int read_verified(int mapping, const struct verity *verity, struct error *err)
{
	const uint64_t ends[] = { 0, verity->blocks - 1 };
	auto_free char *block = aligned_alloc(4096, 4096);

	if (!block)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "block");
	for (size_t i = 0; i < array_count(ends); i++) {
		ssize_t got = pread(mapping, block, verity->block_size, (off_t)(ends[i] * verity->block_size));

		if (got != (ssize_t)verity->block_size)
			return error_set(err, ERROR_VERITY, got < 0 ? errno : EIO,
					 "data block %llu does not verify: the image, its hash area or the root hash is wrong",
					 (unsigned long long)ends[i]);
	}
	return 0;
}

static int prove(const char *name, const struct verity *verity, dev_t *number, struct error *err)
{
	char node[160], status[64];
	struct stat stat;

	if (text_format(node, sizeof(node), "/dev/mapper/%s", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	fd_auto mapping = open(node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (mapping < 0 || fstat(mapping, &stat) < 0)
		return error_set(err, ERROR_VERITY, errno, "open %s", node);
	*number = stat.st_rdev;
	int result = read_verified(mapping, verity, err);
	if (result == 0)
		result = devmapper_status(name, false, status, sizeof(status), err);
	if (result < 0)
		return result;
	/* Documentation/admin-guide/device-mapper/verity.rst: 'V' as long as no corruption was seen. */
	if (strcmp(status, "V") != 0)
		return error_set(err, ERROR_VERITY, EBADMSG, "the mapping is marked corrupted");
	return 0;
}

int verity_open(const char *name, struct blockdev *disk, const struct verity *verity, struct undo *undo, dev_t *number,
		struct error *err)
{
	struct libraries lib;
	bool superblock;
	int result;

	if (verity->blocks == 0 || verity->blocks > disk->size / verity->block_size || verity->hash_offset >= disk->size)
		return error_set(err, ERROR_DEVICE, ENOSPC, "%s has %llu bytes, the image needs more", disk->path,
				 (unsigned long long)disk->size);
	if (disk->sector > verity->block_size || disk->sector > verity->hash_block_size)
		return error_set(err, ERROR_DEVICE, EINVAL, "%s has blocks of %u bytes, larger than the image's", disk->path,
				 disk->sector);
	result = find_superblock(disk, verity, &superblock, err);
	if (result == 0)
		result = libraries_open(&lib, LIBRARY_cryptsetup, err);
	if (result < 0)
		return result;
	blockdev_close(disk);
	uint64_t tree = tree_offset(verity, superblock);
	if (tree % verity->hash_block_size != 0)
		return error_set(err, ERROR_VERITY, EINVAL, "the hash area begins at %llu, not at a hash block",
				 (unsigned long long)tree);
	/* libcryptsetup would wait for a udev that is not there. */
	setenv("DM_DISABLE_UDEV", "1", 1);
	result = undo_push(undo, UNDO_DM_REMOVE, name, err);
	if (result == 0)
		result = activate(&lib, name, disk, verity, tree, err);
	if (result == 0)
		result = prove(name, verity, number, err);
	return result;
}
