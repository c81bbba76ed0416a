/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/text.h"
#include "qemu/commands.h"
#include "qemu/fail.h"
#include "qemu/filesystem.h"
#include "qemu/image.h"
#include "qemu/interrupt.h"
#include "qemu/output.h"
#include "qemu/verity.h"

#define IMAGE_SALT_SIZE 32

struct image {
	const struct options *options;
	struct filesystem fs;
	struct progress progress;
	struct verity verity;
	char folder[PATH_MAX]; /* what goes in: the one that was given, or the unpacked archive */
	bool unpacked;         /* the folder is ours to remove */
	bool quiet;            /* nothing is printed */
	char part[PATH_MAX];   /* the image until it is finished; "": not made yet */
};

static int read_salt(struct image *image, struct error *err)
{
	const char *given = image->options->salt;
	struct verity *verity = &image->verity;

	if (given && strcmp(given, "-") == 0)
		return 0;
	if (given) {
		long size = text_from_hex(given, verity->salt, sizeof(verity->salt));

		if (size < 0)
			return fail_set(err, EINVAL, "--salt: hex digits, an even number, at most %d bytes; or - for none",
					VERITY_SALT_MAX);
		verity->salt_size = (uint32_t)size;
		return 0;
	}
	verity->salt_size = IMAGE_SALT_SIZE;
	if (getrandom(verity->salt, IMAGE_SALT_SIZE, 0) != IMAGE_SALT_SIZE)
		return error_set(err, ERROR_HOST, errno, "getrandom");
	return 0;
}

static int prepare(struct image *image, struct error *err)
{
	const struct options *options = image->options;
	uint64_t block = options->data_block ? options->data_block : VERITY_HASH_BLOCK;

	image->fs.type = options->fs ? options->fs : "erofs";
	if ((block & (block - 1)) != 0)
		return fail_set(err, EINVAL, "--data-block: 512, 1024, 2048 or 4096");
	image->verity.data_block = (uint32_t)block;
	image->verity.superblock = !options->no_superblock;
	int result = filesystem_check(image->fs.type, err);
	return result < 0 ? result : read_salt(image, err);
}

/* A folder is taken as it is, an archive is unpacked beside the image, where there is room for it. */
static int open_input(struct image *image, struct error *err)
{
	const char *input = image->options->words[0], *out = image->options->words[1];
	struct stat st;

	if (stat(input, &st) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", input);
	if (S_ISDIR(st.st_mode))
		return text_format(image->folder, sizeof(image->folder), "%s", input) < 0
			       ? error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", input)
			       : 0;
	if (text_format(image->folder, sizeof(image->folder), "%s.files-XXXXXX", out) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", out);
	if (!mkdtemp(image->folder))
		return error_set(err, ERROR_HOST, errno, "%s", image->folder);
	image->unpacked = true;
	/* The root folder's own mode, unless the archive has an entry for it. */
	if (chmod(image->folder, 0755) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", image->folder);
	progress_begin(&image->progress, "unpack %s", input);
	int result = filesystem_unpack(&image->fs, input, image->folder, err);
	progress_end(&image->progress);
	return result < 0 ? error_wrap(err, "unpack %s", input) : 0;
}

static int make_part(struct image *image, struct error *err)
{
	const char *out = image->options->words[1];

	if (text_format(image->part, sizeof(image->part), "%s.part-XXXXXX", out) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", out);
	fd_auto fd = mkostemp(image->part, O_CLOEXEC);
	if (fd < 0) {
		image->part[0] = '\0';
		return error_set(err, ERROR_HOST, errno, "make %s", out);
	}
	mode_t mask = umask(0);
	(void)umask(mask);
	if (fchmod(fd, 0666 & ~mask) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", image->part);
	progress_begin(&image->progress, "make the %s image", image->fs.type);
	int result = filesystem_make(&image->fs, image->folder, image->part, err);
	progress_end(&image->progress);
	if (result < 0)
		return result;
	progress_begin(&image->progress, "make the hash tree");
	result = verity_append(image->part, &image->verity, err);
	progress_end(&image->progress);
	return result;
}

static void describe(const struct image *image, struct encode *e)
{
	char salt[2 * VERITY_SALT_MAX + 1];

	text_to_hex(image->verity.salt, image->verity.salt_size, salt);
	encode_open(e, NULL, '{');
	encode_string(e, "volume_type", "image_raw_block");
	encode_string(e, "fs_type", image->fs.type);
	encode_open(e, "options", '[');
	encode_string(e, NULL, "ro");
	encode_close(e, ']');
	encode_open(e, "dm_verity", '{');
	encode_string(e, "hashtype", "sha256");
	encode_string(e, "hash", image->verity.root);
	encode_uint(e, "blocknum", image->verity.blocks);
	encode_uint(e, "blocksize", image->verity.data_block);
	encode_uint(e, "hashsize", VERITY_HASH_BLOCK);
	encode_uint(e, "offset", image->verity.offset);
	encode_string(e, "salt", salt);
	encode_uint(e, "hash_type", 1);
	encode_bool(e, "no_superblock", !image->verity.superblock);
	encode_close(e, '}');
	encode_close(e, '}');
}

/* A file whose bytes are on the disk before its name is. */
static int publish(const char *part, const char *name, struct error *err)
{
	fd_auto fd = open(part, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0 || rename(part, name) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", name);
	return 0;
}

static int write_description(const struct image *image, struct buf *json, struct error *err)
{
	char name[PATH_MAX], part[PATH_MAX];
	const char *out = image->options->words[1];

	if (text_format(name, sizeof(name), "%s.json", out) < 0 || text_format(part, sizeof(part), "%s.part", name) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", out);
	auto_file file = fopen(part, "we");
	if (!file || fprintf(file, "%.*s\n", (int)buf_length(json), buf_bytes(json)) < 0 || fflush(file) != 0) {
		int failure = errno;

		(void)unlink(part);
		return error_set(err, ERROR_HOST, failure, "write %s", name);
	}
	return publish(part, name, err);
}

static int finish(struct image *image, struct error *err)
{
	const char *out = image->options->words[1];
	struct buf json = { 0 };
	struct encode e = { .buf = &json };
	int result;

	describe(image, &e);
	if (encode_result(&e) < 0)
		result = error_set(err, ERROR_HOST, ENOMEM, "%s.json", out);
	else
		result = publish(image->part, out, err);
	if (result == 0) {
		image->part[0] = '\0';
		result = write_description(image, &json, err);
	}
	if (result == 0 && !image->quiet)
		output_buf(&json);
	buf_free(&json);
	return result;
}

/* What was prepared. */
static int build(struct image *image, int interrupt, struct error *err)
{
	struct error why;

	image->fs.interrupt = interrupt;
	image->fs.progress = &image->progress;
	int result = open_input(image, err);
	if (result == 0)
		result = make_part(image, err);
	if (result == 0)
		result = finish(image, err);
	progress_end(&image->progress);
	if (image->part[0])
		(void)unlink(image->part);
	if (image->unpacked && filesystem_remove_tree(image->folder, &why) < 0)
		fprintf(stderr, "coffer: %s is left behind: %s\n", image->folder, why.message);
	return result;
}

int image_build(const struct options *options, struct error *err)
{
	struct image image = { .options = options };
	fd_auto interrupt = -1;
	int result = prepare(&image, err);

	if (result == 0)
		result = interrupt_open(&interrupt, err);
	return result < 0 ? result : build(&image, interrupt, err);
}

int image_make(const char *folder, const char *out, int interrupt, struct error *err)
{
	const struct options options = { .words = { folder, out }, .word_count = 2 };
	struct image image = { .options = &options, .quiet = true, .fs.is_brief = true };
	int result = prepare(&image, err);

	return result < 0 ? result : build(&image, interrupt, err);
}
