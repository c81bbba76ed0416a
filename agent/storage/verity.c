/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/devmapper.h"
#include "sys/secret.h"

/* https://gitlab.com/cryptsetup/cryptsetup/-/wikis/DMVerity: a superblock takes one hash block, at least 512 bytes. */
#define VERITY_SUPERBLOCK_SIZE 512u

/*
 * The table is written here and loaded through libdevmapper.  libcryptsetup would do that too, and bring a crypto library along
 * that every one of a hundred layers' workers would have to open.
 *
 * https://docs.kernel.org/admin-guide/device-mapper/verity.html
 */
#define TABLE_MAX (2u * 64u + 2u * VERITY_SALT_MAX + 1024u)

/* In bytes. */
static uint64_t tree_offset(const struct verity *verity)
{
	uint64_t block = verity->hash_block_size;

	if (!verity->superblock)
		return verity->hash_offset;
	return (verity->hash_offset + VERITY_SUPERBLOCK_SIZE + block - 1) / block * block;
}

const char *const verity_modules[] = { "dm_mod", "dm_verity", "?sha256_ssse3", "sha256_generic", NULL };

struct options {
	char text[512];
	size_t used;
	unsigned words;
};

static void add_option(struct options *options, unsigned words, const char *format, ...) printf_like(3, 4);
static void add_option(struct options *options, unsigned words, const char *format, ...)
{
	size_t left = sizeof(options->text) - options->used;
	va_list args;

	va_start(args, format);
	int length = vsnprintf(options->text + options->used, left, format, args);
	va_end(args);
	/* What does not fit makes the whole table not fit. */
	options->used = length < 0 || (size_t)length >= left ? sizeof(options->text) - 1 : options->used + (size_t)length;
	options->words += words;
}

static void write_options(const struct verity *verity, const char *disk, const char *signature,
			  enum verity_corruption on_corruption, struct options *options)
{
	static const char *const words[] = { NULL, "panic_on_corruption", "restart_on_corruption" };

	*options = (struct options){ 0 };
	if (words[on_corruption])
		add_option(options, 1, " %s", words[on_corruption]);
	if (signature)
		add_option(options, 2, " root_hash_sig_key_desc %s", signature);
	/* Parity covers the data and all that follows up to itself. */
	if (verity->fec_roots)
		add_option(options, 8, " use_fec_from_device %s fec_start %" PRIu64 " fec_blocks %" PRIu64 " fec_roots %u", disk,
			   verity->fec_offset / verity->block_size,
			   verity->blocks + (verity->fec_offset - tree_offset(verity)) / verity->block_size, verity->fec_roots);
}

static int write_table(const struct verity *verity, dev_t disk, const char *signature, enum verity_corruption on_corruption,
		       char table[TABLE_MAX], struct error *err)
{
	char device[32], root[2 * 64 + 1], salt[2 * VERITY_SALT_MAX + 1] = "-", count[16] = "";
	struct options options;

	snprintf(device, sizeof(device), "%u:%u", major(disk), minor(disk));
	text_to_hex(verity->root, verity->root_size, root);
	if (verity->salt_size)
		text_to_hex(verity->salt, verity->salt_size, salt);
	write_options(verity, device, signature, on_corruption, &options);
	if (options.words)
		snprintf(count, sizeof(count), " %u", options.words);
	if (options.used + 1 >= sizeof(options.text) ||
	    text_format(table, TABLE_MAX, "%u %s %s %u %u %" PRIu64 " %" PRIu64 " %s %s %s%s%s", verity->hash_type, device, device,
			verity->block_size, verity->hash_block_size, verity->blocks, tree_offset(verity) / verity->hash_block_size,
			verity->algorithm, root, salt, count, options.text) < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "verity table");
	return 0;
}

static struct devmapper_target target_of(const struct verity *verity, const char *table)
{
	return (struct devmapper_target){
		.sectors = verity->blocks * verity->block_size / 512,
		.type = "verity",
		.params = table,
		.read_only = true,
	};
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

static int prove(const char *name, const struct verity *verity, struct error *err)
{
	char node[160], status[64];

	if (text_format(node, sizeof(node), "/dev/mapper/%s", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	fd_auto mapping = open(node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (mapping < 0)
		return error_set(err, ERROR_VERITY, errno, "open %s", node);
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

/* The kernel asks for the signature when it reads the table, by the key's description; the key dies with the worker. */
static int offer_signature(const struct verity *verity, const char *name, char *description, size_t size, struct error *err)
{
	if (text_format(description, size, "coffer:%s", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "key of %s", name);
	return secret_offer(description, verity->signature, verity->signature_size, err);
}

static int activate(const char *name, dev_t disk, const struct verity *verity, struct undo *undo, dev_t *number, struct error *err)
{
	char table[TABLE_MAX], description[160];
	const char *signature = verity->signature_size ? description : NULL;
	int result = signature ? offer_signature(verity, name, description, sizeof(description), err) : 0;

	if (result == 0)
		result = write_table(verity, disk, signature, VERITY_CORRUPTION_ERROR, table, err);
	if (result == 0)
		result = undo_push(undo, UNDO_DM_REMOVE, name, err);
	struct devmapper_target target = target_of(verity, table);
	if (result == 0)
		result = devmapper_create(name, &target, ERROR_VERITY, number, err);
	if (result < 0 && signature)
		error_wrap(err, "the signature must be by a key that the kernel trusts");
	if (result == 0)
		result = prove(name, verity, err);
	if (result < 0 || verity->on_corruption == VERITY_CORRUPTION_ERROR)
		return result;
	/* What was proven is the request's description; from here on a bad block is the disk's, and does what was asked for. */
	result = write_table(verity, disk, signature, verity->on_corruption, table, err);
	if (result == 0)
		result = devmapper_load(name, &target, ERROR_VERITY, err);
	return result == 0 ? devmapper_swap(name, ERROR_VERITY, err) : result;
}

/* An image of one block has no tree: its hash area, which begins where the disk ends, is empty. */
static int check_size(const struct blockdev *disk, const struct verity *verity, struct error *err)
{
	if (verity->blocks == 0 || verity->blocks > disk->size / verity->block_size || verity->hash_offset > disk->size ||
	    verity->fec_offset >= disk->size)
		return error_set(err, ERROR_DEVICE, ENOSPC, "%s has %llu bytes, the image needs more", disk->path,
				 (unsigned long long)disk->size);
	if (disk->sector > verity->block_size || disk->sector > verity->hash_block_size)
		return error_set(err, ERROR_DEVICE, EINVAL, "%s has blocks of %u bytes, larger than the image's", disk->path,
				 disk->sector);
	if (tree_offset(verity) % verity->hash_block_size != 0)
		return error_set(err, ERROR_VERITY, EINVAL, "the hash area begins at %llu, not at a hash block",
				 (unsigned long long)tree_offset(verity));
	return 0;
}

int verity_open(const char *name, struct blockdev *disk, const struct verity *verity, struct undo *undo, dev_t *number,
		struct error *err)
{
	int result = check_size(disk, verity, err);

	if (result < 0)
		return result;
	blockdev_close(disk);
	return activate(name, disk->number, verity, undo, number, err);
}
