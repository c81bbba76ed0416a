/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/integrity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/devmapper.h"
#include "sys/secret.h"

#define TAG_SIZE        48u                               /* 32 of HMAC-SHA-256, 16 of IV */
#define KEY_SIZE        96u                               /* 64 for AES-256-XTS, 32 for the HMAC */
#define INTERLEAVE      32768u                            /* sectors of data between two runs of tags: 16 MiB */
#define TAG_RUN         (INTERLEAVE / 8 * TAG_SIZE / 512) /* sectors of one run of tags: a multiple of 8, as fix_padding asks */
#define FRONT           2048u /* sectors kept for the superblock and the smallest journal that the kernel makes */
#define JOURNAL_SECTORS 8u    /* "as small as can be": mode D never uses it, but the layout has one */

uint64_t integrity_capacity(uint64_t device_size)
{
	uint64_t sectors = device_size / 512;

	if (device_size < INTEGRITY_SMALLEST)
		return 0;
	/* Whole areas (a run of tags and its data), then one partial area, which has a whole run of tags. */
	uint64_t left = sectors - FRONT;
	uint64_t areas = left / (INTERLEAVE + TAG_RUN), rest = left % (INTERLEAVE + TAG_RUN);
	uint64_t data = areas * INTERLEAVE + (rest > TAG_RUN ? rest - TAG_RUN : 0);

	return data / 8 * 8 * 512;
}

/* dm-integrity takes a first sector of zeros as "format me", and anything else as a superblock to believe. */
static int clear_superblock(const struct blockdev *disk, struct error *err)
{
	static const size_t size = 4096;
	fd_auto fd = open(disk->path, O_WRONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
	auto_free char *zeros = aligned_alloc(size, size);

	if (fd < 0)
		return error_set(err, ERROR_DEVICE, errno, "open %s", disk->path);
	if (!zeros)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "buffer");
	memset(zeros, 0, size);
	if (pwrite(fd, zeros, size, 0) != (ssize_t)size)
		return error_set(err, ERROR_CRYPT, errno, "clear the first block of %s", disk->path);
	return 0;
}

/*
 * The host could have written a superblock of its own between our zeros and the kernel's read.  Whatever it said, the kernel must
 * now run with our parameters: its table says so.  The journal's size is the kernel's to round.
 */
static int verify_table(const char *name, const char *wanted_front, struct error *err)
{
	static const char *const options[] = { "block_size:4096", "interleave_sectors:32768", "fix_padding" };
	char table[512], *save = NULL;
	size_t front = strlen(wanted_front);
	unsigned found = 0;
	int result = devmapper_status(name, true, table, sizeof(table), err);

	if (result < 0)
		return result;
	if (strncmp(table, wanted_front, front) != 0)
		return error_set(err, ERROR_CRYPT, EBADMSG, "the integrity mapping is not what was asked for: %s", table);
	char *word = strtok_r(table + front, " ", &save);
	unsigned long count = word ? strtoul(word, NULL, 10) : 0, seen = 0;
	while ((word = strtok_r(NULL, " ", &save))) {
		bool known = strncmp(word, "journal_sectors:", 16) == 0 || strncmp(word, "buffer_sectors:", 15) == 0;

		for (size_t i = 0; i < array_count(options); i++) {
			if (strcmp(word, options[i]) == 0) {
				found |= 1u << i;
				known = true;
			}
		}
		if (!known)
			return error_set(err, ERROR_CRYPT, EBADMSG,
					 "the integrity mapping has an option that was not asked for: %s", word);
		seen++;
	}
	if (found != (1u << array_count(options)) - 1 || seen != count)
		return error_set(err, ERROR_CRYPT, EBADMSG, "the integrity mapping lacks an option that was asked for");
	return 0;
}

static int open_tags(const char *name, const struct blockdev *disk, uint64_t size, struct undo *undo, dev_t *number,
		     struct error *err)
{
	char params[256], front[64];
	int result = undo_push(undo, UNDO_DM_REMOVE, name, err);

	if (result < 0)
		return result;
	if (text_format(front, sizeof(front), "%u:%u 0 %u D ", major(disk->number), minor(disk->number), TAG_SIZE) < 0 ||
	    text_format(params, sizeof(params),
			"%s5 block_size:%u interleave_sectors:%u journal_sectors:%u buffer_sectors:128 fix_padding", front,
			INTEGRITY_SECTOR, INTERLEAVE, JOURNAL_SECTORS) < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "integrity table");
	const struct devmapper_target target = { .sectors = size / 512, .type = "integrity", .params = params };
	result = devmapper_create(name, &target, ERROR_CRYPT, number, err);
	if (result < 0)
		return result;
	return verify_table(name, front, err);
}

static int open_cipher(const char *name, dev_t tags, uint64_t size, struct undo *undo, dev_t *number, struct error *err)
{
	char params[512], description[160];
	struct secret secret = { 0 };
	int32_t key = 0;
	int result = undo_push(undo, UNDO_DM_REMOVE, name, err);

	if (result < 0)
		return result;
	if (text_format(description, sizeof(description), "coffer:%s", name) < 0 ||
	    text_format(params, sizeof(params),
			"capi:authenc(hmac(sha256),xts(aes))-random :%u:logon:%s 0 %u:%u 0 2 integrity:%u:aead sector_size:%u",
			KEY_SIZE, description, major(tags), minor(tags), TAG_SIZE, INTEGRITY_SECTOR) < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "crypt table");
	result = secret_random(&secret, KEY_SIZE, err);
	if (result < 0)
		return result;
	result = secret_to_keyring(&secret, description, &key, err);
	secret_wipe(&secret);
	if (result < 0)
		return result;
	const struct devmapper_target target = { .sectors = size / 512, .type = "crypt", .params = params };
	result = devmapper_create(name, &target, ERROR_CRYPT, number, err);
	secret_forget_key(key);
	return result;
}

int integrity_open(const char *name, const struct blockdev *disk, struct undo *undo, uint64_t *size, dev_t *number,
		   struct error *err)
{
	char below[128];
	dev_t tags;

	*size = integrity_capacity(disk->size);
	if (*size == 0)
		return error_set(err, ERROR_DEVICE, ENOSPC, "%s has %llu bytes, at least %u are needed", disk->path,
				 (unsigned long long)disk->size, INTEGRITY_SMALLEST);
	/* No id has a '+', so this is no other scratch's name. */
	if (text_format(below, sizeof(below), "%s+integrity", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	int result = clear_superblock(disk, err);
	if (result == 0)
		result = open_tags(below, disk, *size, undo, &tags, err);
	if (result == 0)
		result = open_cipher(name, tags, *size, undo, number, err);
	return result;
}
