/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/integrity.h"

#include <endian.h>
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

#define UNUSED_JOURNAL 8u /* sectors: "as small as can be"; mode D never uses it, but the layout has one */

/* Both mappings, by name, and what they are made of. */
struct pair {
	const char *name;
	char below[128];
	const struct integrity_layout *layout;
	const struct blockdev *disk;
	uint64_t size;
};

uint64_t integrity_capacity(const struct integrity_layout *layout, uint64_t device_size)
{
	/* Sectors of one run of tags: whole blocks of 4096 bytes, as fix_padding asks. */
	const uint64_t run = ((uint64_t)INTEGRITY_INTERLEAVE / 8 * layout->tag_size + 4095) / 4096 * 8;

	if (device_size < layout->smallest)
		return 0;
	/* Whole areas (a run of tags and its data), then one partial area, which has a whole run of tags. */
	uint64_t left = device_size / 512 - layout->start - layout->front;
	uint64_t areas = left / (INTEGRITY_INTERLEAVE + run), rest = left % (INTEGRITY_INTERLEAVE + run);
	uint64_t data = areas * INTEGRITY_INTERLEAVE + (rest > run ? rest - run : 0);

	return data / 8 * 8 * 512;
}

/* dm-integrity takes a first sector of zeros as "format me", and anything else as a superblock to believe. */
static int clear_superblock(const struct pair *pair, struct error *err)
{
	static const size_t size = 4096;
	const char *path = pair->disk->path;
	fd_auto fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
	auto_free char *zeros = aligned_alloc(size, size);

	if (fd < 0)
		return error_set(err, ERROR_DEVICE, errno, "open %s", path);
	if (!zeros)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "buffer");
	memset(zeros, 0, size);
	if (pwrite(fd, zeros, size, (off_t)pair->layout->start * 512) != (ssize_t)size)
		return error_set(err, ERROR_CRYPT, errno, "clear the superblock on %s", path);
	return 0;
}

/* struct superblock of drivers/md/dm-integrity.c; little-endian. */
struct superblock {
	uint8_t magic[8];
	uint8_t version, log2_interleave;
	uint16_t tag_size;
	uint32_t sections;
	uint64_t provided; /* sectors of data */
	uint32_t flags;
	uint8_t log2_block, log2_bitmap;
	uint8_t zeros[2];
	uint64_t recalculated;
	uint8_t more_zeros[8], salt[16];
} __attribute__((packed));

#define FLAG_FIXED_PADDING 8u

int integrity_check_superblock(const struct integrity_layout *layout, const uint8_t *bytes, uint64_t capacity, struct error *err)
{
	static const uint8_t magic[8] = "integrt", none[32];
	struct superblock found;
	const char *wrong = NULL;

	memcpy(&found, bytes, sizeof(found));
	if (memcmp(found.magic, magic, sizeof(magic)) != 0)
		wrong = "magic";
	else if (found.version != 4)
		wrong = "version";
	else if (found.log2_interleave != 15)
		wrong = "log2_interleave_sectors";
	else if (le16toh(found.tag_size) != layout->tag_size)
		wrong = "integrity_tag_size";
	else if (le32toh(found.sections) != layout->sections)
		wrong = "journal_sections";
	else if (le32toh(found.flags) != FLAG_FIXED_PADDING)
		wrong = "flags";
	else if (found.log2_block != 3)
		wrong = "log2_sectors_per_block";
	/* log2_bitmap is for a mode that is not used. */
	else if (memcmp(found.zeros, none, sizeof(found.zeros)) != 0 || found.recalculated != 0 ||
		 memcmp(found.more_zeros, none, sizeof(found.more_zeros)) != 0 || memcmp(found.salt, none, sizeof(found.salt)) != 0)
		wrong = "what should be zero";
	else if (le64toh(found.provided) == 0)
		wrong = "provided_data_sectors";
	if (wrong)
		return error_set(err, ERROR_CRYPT, EBADMSG, "dm-integrity's superblock is not what this agent makes: %s", wrong);
	if (le64toh(found.provided) > capacity / 512)
		return error_set(err, ERROR_DEVICE, ENOSPC, "the disk is smaller than it was: %llu sectors of data do not fit",
				 (unsigned long long)le64toh(found.provided));
	return 0;
}

static int read_superblock(const struct pair *pair, struct error *err)
{
	fd_auto fd = open(pair->disk->path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW);
	auto_free uint8_t *block = aligned_alloc(4096, 4096);

	if (fd < 0)
		return error_set(err, ERROR_DEVICE, errno, "open %s", pair->disk->path);
	if (!block)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "buffer");
	if (pread(fd, block, 4096, (off_t)pair->layout->start * 512) != 4096)
		return error_set(err, ERROR_DEVICE, EIO, "read dm-integrity's superblock on %s", pair->disk->path);
	return integrity_check_superblock(pair->layout, block, pair->size, err);
}

/* The words of a table in front of the options.  dm-integrity: device, sectors that are not its own, bytes of a tag, mode. */
static int write_front(const struct pair *pair, char *front, size_t size, struct error *err)
{
	if (text_format(front, size, "%u:%u %u %u %c ", major(pair->disk->number), minor(pair->disk->number), pair->layout->start,
			pair->layout->tag_size, pair->layout->sections ? 'J' : 'D') < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "integrity table");
	return 0;
}

static int is_known_word(const char *word)
{
	static const char *const numbers[] = { "journal_sectors:", "buffer_sectors:", "journal_watermark:", "commit_time:" };

	for (size_t i = 0; i < array_count(numbers); i++) {
		if (strncmp(word, numbers[i], strlen(numbers[i])) == 0)
			return 1;
	}
	return 0;
}

/*
 * The host could have written a superblock of its own between our zeros, or our reading, and the kernel's read.  Whatever it said,
 * the kernel must now run with our parameters: its table says so.  The size of a journal that is not used is the kernel's to round.
 */
static int verify_table(const struct pair *pair, char *table, struct error *err)
{
	char journal[40], front[64], *save = NULL;
	const char *options[] = { "block_size:4096", "interleave_sectors:32768", "fix_padding", journal };
	size_t wanted = pair->layout->sections ? array_count(options) : array_count(options) - 1;
	unsigned found = 0;
	int result = write_front(pair, front, sizeof(front), err);

	if (result < 0)
		return result;
	snprintf(journal, sizeof(journal), "journal_sectors:%u", pair->layout->sections * INTEGRITY_SECTION);
	if (strncmp(table, front, strlen(front)) != 0)
		return error_set(err, ERROR_CRYPT, EBADMSG, "the integrity mapping is not what was asked for: %s", table);
	char *word = strtok_r(table + strlen(front), " ", &save);
	unsigned long count = word ? strtoul(word, NULL, 10) : 0, seen = 0;
	while ((word = strtok_r(NULL, " ", &save))) {
		bool known = is_known_word(word);

		for (size_t i = 0; i < wanted; i++) {
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
	if (found != (1u << wanted) - 1 || seen != count)
		return error_set(err, ERROR_CRYPT, EBADMSG, "the integrity mapping lacks an option that was asked for");
	return 0;
}

static int write_tags_table(const struct pair *pair, char *params, size_t size, struct error *err)
{
	const struct integrity_layout *layout = pair->layout;
	char front[64];
	int result = write_front(pair, front, sizeof(front), err);

	if (result < 0)
		return result;
	if (text_format(params, size, "%s5 block_size:%u interleave_sectors:%u journal_sectors:%u buffer_sectors:128 fix_padding",
			front, INTEGRITY_SECTOR, INTEGRITY_INTERLEAVE,
			layout->sections ? layout->sections * INTEGRITY_SECTION : UNUSED_JOURNAL) < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "integrity table");
	return 0;
}

static int open_tags(const struct pair *pair, struct undo *undo, dev_t *number, struct error *err)
{
	char params[256], table[512];
	int result = undo_push(undo, UNDO_DM_REMOVE, pair->below, err);

	if (result == 0)
		result = write_tags_table(pair, params, sizeof(params), err);
	if (result < 0)
		return result;
	const struct devmapper_target target = { .sectors = pair->size / 512, .type = "integrity", .params = params };
	result = devmapper_create(pair->below, &target, ERROR_CRYPT, number, err);
	if (result == 0)
		result = devmapper_status(pair->below, true, table, sizeof(table), err);
	return result < 0 ? result : verify_table(pair, table, err);
}

/* The cipher's table names its key, which is in the keyring while `act` has the table loaded, and not longer. */
static int with_cipher_table(const struct pair *pair, dev_t tags, const struct secret *key,
			     int (*act)(const char *name, const struct devmapper_target *target, dev_t *number, struct error *err),
			     dev_t *number, struct error *err)
{
	char params[512], description[160];
	int32_t serial = 0;

	if (text_format(description, sizeof(description), "coffer:%s", pair->name) < 0 ||
	    text_format(params, sizeof(params), "capi:%s-%s :%u:logon:%s 0 %u:%u 0 2 integrity:%u:aead sector_size:%u",
			pair->layout->cipher, pair->layout->iv, pair->layout->key_size, description, major(tags), minor(tags),
			pair->layout->tag_size, INTEGRITY_SECTOR) < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "crypt table");
	int result = secret_to_keyring(key, description, &serial, err);
	if (result < 0)
		return result;
	const struct devmapper_target target = { .sectors = pair->size / 512, .type = "crypt", .params = params };
	result = act(pair->name, &target, number, err);
	secret_forget_key(serial);
	return result;
}

static int create_cipher(const char *name, const struct devmapper_target *target, dev_t *number, struct error *err)
{
	return devmapper_create(name, target, ERROR_CRYPT, number, err);
}

static int load_cipher(const char *name, const struct devmapper_target *target, dev_t *number, struct error *err)
{
	(void)number;
	return devmapper_load(name, target, ERROR_CRYPT, err);
}

static int open_cipher(const struct pair *pair, dev_t tags, const struct secret *key, struct undo *undo, dev_t *number,
		       struct error *err)
{
	struct secret fresh = { 0 };
	int result = undo_push(undo, UNDO_DM_REMOVE, pair->name, err);

	if (result == 0 && !key)
		result = secret_random(&fresh, pair->layout->key_size, err);
	if (result == 0)
		result = with_cipher_table(pair, tags, key ? key : &fresh, create_cipher, number, err);
	secret_wipe(&fresh);
	/* The devices are there, and a missing key would be ENOKEY. */
	if (result == -ENOENT) {
		err->code = ERROR_KERNEL;
		error_wrap(err, "the kernel has no cipher %s", pair->layout->cipher);
	}
	return result;
}

static int plan(struct pair *pair, const char *name, const struct integrity_layout *layout, const struct blockdev *disk,
		struct error *err)
{
	*pair = (struct pair){ .name = name, .layout = layout, .disk = disk, .size = integrity_capacity(layout, disk->size) };
	if (pair->size == 0)
		return error_set(err, ERROR_DEVICE, ENOSPC, "%s has %llu bytes, at least %llu are needed", disk->path,
				 (unsigned long long)disk->size, (unsigned long long)layout->smallest);
	/* No id has a '+', so this is no other mapping's name. */
	if (text_format(pair->below, sizeof(pair->below), "%s+integrity", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	return 0;
}

int integrity_make(const char *name, const struct integrity_layout *layout, const struct blockdev *disk, const struct secret *key,
		   struct undo *undo, uint64_t *size, dev_t *number, struct error *err)
{
	struct pair pair;
	dev_t tags;
	int result = plan(&pair, name, layout, disk, err);

	if (result == 0)
		result = clear_superblock(&pair, err);
	if (result == 0)
		result = open_tags(&pair, undo, &tags, err);
	if (result == 0)
		result = open_cipher(&pair, tags, key, undo, number, err);
	*size = pair.size;
	return result;
}

int integrity_open(const char *name, const struct integrity_layout *layout, const struct blockdev *disk, const struct secret *key,
		   struct undo *undo, uint64_t *size, dev_t *number, struct error *err)
{
	struct pair pair;
	dev_t tags;
	int result = plan(&pair, name, layout, disk, err);

	if (result == 0)
		result = read_superblock(&pair, err);
	if (result == 0)
		result = open_tags(&pair, undo, &tags, err);
	if (result == 0)
		result = open_cipher(&pair, tags, key, undo, number, err);
	*size = pair.size;
	return result;
}

/* The kernel reads the superblock again for the new table: that one is looked at before it takes the place of the old. */
static int grow_tags(const struct pair *pair, struct error *err)
{
	char params[256], table[512];
	int result = write_tags_table(pair, params, sizeof(params), err);

	if (result < 0)
		return result;
	const struct devmapper_target target = { .sectors = pair->size / 512, .type = "integrity", .params = params };
	result = devmapper_load(pair->below, &target, ERROR_CRYPT, err);
	if (result < 0)
		return result;
	result = devmapper_loaded_table(pair->below, table, sizeof(table), err);
	if (result == 0)
		result = verify_table(pair, table, err);
	if (result < 0)
		devmapper_drop_loaded(pair->below);
	else
		result = devmapper_swap(pair->below, ERROR_CRYPT, err);
	return result;
}

int integrity_grow(const char *name, const struct integrity_layout *layout, const struct blockdev *disk, const struct secret *key,
		   uint64_t *size, struct error *err)
{
	struct pair pair;
	dev_t tags = 0;
	int result = plan(&pair, name, layout, disk, err);

	if (result == 0 && pair.size < *size)
		result = error_set(err, ERROR_DEVICE, ENOSPC, "%s is smaller than it was: %llu bytes are in use", disk->path,
				   (unsigned long long)*size);
	*size = pair.size;
	if (result == 0)
		result = devmapper_number(pair.below, &tags, err);
	if (result == 0)
		result = grow_tags(&pair, err);
	if (result == 0)
		result = with_cipher_table(&pair, tags, key, load_cipher, NULL, err);
	return result < 0 ? result : devmapper_swap(name, ERROR_CRYPT, err);
}
