/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/tar_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "layer/unpack.h"
#include "sys/libraries.h"

#define LAST_TIME (INT64_MAX / 1000000000)

/* Linux' dev_t: 12 and 20 bits. */
#define MAJOR_MAX 0xfffu
#define MINOR_MAX 0xfffffu

struct tar_reader {
	struct libraries lib;
	struct unpack *stream; /* takes the packing off */
	struct archive *tar;   /* reads what comes out of that */
	struct archive_entry *entry;
	struct digest *sum;
	uint64_t bytes, most, size;
	bool begun;
	bool failed; /* `err` is why: libarchive only knows that its source failed */
	struct error err;
};

static int fail(struct tar_reader *reader, struct error *err)
{
	const char *why = reader->lib.archive_error_string(reader->tar);

	if (reader->failed) {
		*err = reader->err;
		return -(err->errnum ? err->errnum : EINVAL);
	}
	if (reader->lib.archive_errno(reader->tar) == ENOMEM)
		return error_set(err, ERROR_LAYER, 0, "unpacking it takes more memory than a layer is given");
	return error_set(err, ERROR_LAYER, 0, "the archive is damaged, or neither a tar nor one packed by gzip or zstd: %s",
			 why ? why : "no reason given");
}

/* What libarchive reads: 0 at the end. */
static ssize_t read_tar(struct archive *archive, void *context, const void **bytes)
{
	struct tar_reader *reader = context;
	size_t size = 0;

	(void)archive;
	if (reader->failed)
		return ARCHIVE_FATAL;
	int result = unpack_read(reader->stream, bytes, &size, &reader->err);
	if (result > 0 && size > reader->most - reader->bytes)
		result = error_set(&reader->err, ERROR_LAYER, 0,
				   "the tar has more than %llu bytes, the most that the limits leave it",
				   (unsigned long long)reader->most);
	reader->failed = result < 0;
	if (result <= 0)
		return result < 0 ? ARCHIVE_FATAL : 0;
	reader->bytes += size;
	digest_add(reader->sum, *bytes, size);
	return (ssize_t)size;
}

/* ---- */

int tar_reader_open(struct tar_reader **reader, int from, uint64_t most, uint64_t most_ratio, struct error *err)
{
	struct tar_reader *made = calloc(1, sizeof(*made));
	const struct libraries *lib = made ? &made->lib : NULL;
	int result = 0;

	*reader = NULL;
	if (!made)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "a layer's reader");
	made->most = most;
	result = libraries_open(&made->lib, LIBRARY_archive, err);
	if (result == 0)
		result = digest_begin(&made->sum, err);
	if (result == 0)
		result = unpack_open(&made->stream, from, most_ratio, err);
	if (result == 0) {
		made->tar = lib->archive_read_new();
		if (!made->tar || lib->archive_read_support_format_tar(made->tar) != ARCHIVE_OK ||
		    lib->archive_read_support_format_empty(made->tar) != ARCHIVE_OK)
			result = error_set(err, ERROR_INTERNAL, ENOMEM, "libarchive");
	}
	if (result < 0)
		tar_reader_close(made);
	else
		*reader = made;
	return result;
}

void tar_reader_close(struct tar_reader *reader)
{
	if (!reader)
		return;
	if (reader->tar)
		reader->lib.archive_read_free(reader->tar);
	unpack_close(reader->stream);
	digest_end(reader->sum, NULL);
	free(reader);
}

/* As other importers do: a time that is not in the range is none. */
static struct timespec time_of(int64_t seconds, long nanoseconds)
{
	struct timespec time = { 0 };

	if (seconds < 0 || seconds >= LAST_TIME || nanoseconds < 0 || nanoseconds >= 1000000000)
		return time;
	time.tv_sec = seconds;
	time.tv_nsec = nanoseconds;
	return time;
}

static void read_times(const struct libraries *lib, struct archive_entry *from, struct tar_reader_entry *entry)
{
	entry->changed = entry->accessed = time_of(lib->archive_entry_mtime(from), lib->archive_entry_mtime_nsec(from));
	if (lib->archive_entry_atime_is_set(from)) {
		struct timespec time = time_of(lib->archive_entry_atime(from), lib->archive_entry_atime_nsec(from));

		if (time.tv_sec > entry->changed.tv_sec ||
		    (time.tv_sec == entry->changed.tv_sec && time.tv_nsec > entry->changed.tv_nsec))
			entry->accessed = time;
	}
}

static int read_kind(const struct libraries *lib, struct archive_entry *from, struct tar_reader_entry *entry, struct error *err)
{
	static const struct {
		mode_t type;
		enum tar_reader_kind kind;
	} kinds[] = {
		{ S_IFREG, TAR_FILE },      { S_IFDIR, TAR_DIRECTORY }, { S_IFLNK, TAR_SYMLINK },
		{ S_IFCHR, TAR_CHARACTER }, { S_IFBLK, TAR_BLOCK },     { S_IFIFO, TAR_FIFO },
	};
	mode_t type = lib->archive_entry_filetype(from);
	size_t row = 0;

	entry->link = lib->archive_entry_hardlink(from);
	if (entry->link) {
		entry->kind = TAR_HARD_LINK;
	} else {
		while (row < sizeof(kinds) / sizeof(kinds[0]) && kinds[row].type != type)
			row++;
		if (row == sizeof(kinds) / sizeof(kinds[0]))
			return error_set(err, ERROR_LAYER, 0, "\"%.120s\" is of a type (0%o) that a layer does not have",
					 entry->path, type);
		entry->kind = kinds[row].kind;
	}
	if (entry->kind == TAR_SYMLINK)
		entry->link = lib->archive_entry_symlink(from);
	if ((entry->kind == TAR_SYMLINK || entry->kind == TAR_HARD_LINK) && (!entry->link || !entry->link[0]))
		return error_set(err, ERROR_LAYER, 0, "\"%.120s\" is a link to nothing", entry->path);
	return 0;
}

static int read_entry(struct tar_reader *reader, struct tar_reader_entry *entry, struct error *err)
{
	const struct libraries *lib = &reader->lib;
	struct archive_entry *from = reader->entry;
	int64_t uid = lib->archive_entry_uid(from), gid = lib->archive_entry_gid(from), size = lib->archive_entry_size(from);

	*entry = (struct tar_reader_entry){ .path = lib->archive_entry_pathname(from) };
	if (!entry->path || !entry->path[0])
		return error_set(err, ERROR_LAYER, 0, "an entry has no name");
	int result = read_kind(lib, from, entry, err);
	if (result < 0)
		return result;
	/* The last number is -1, which chown() takes for none. */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return error_set(err, ERROR_LAYER, 0, "\"%.120s\" has an owner that Linux has not: %lld:%lld", entry->path,
				 (long long)uid, (long long)gid);
	if (size < 0)
		return error_set(err, ERROR_LAYER, 0, "\"%.120s\" has a negative size", entry->path);
	entry->mode = lib->archive_entry_perm(from) & 07777;
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	entry->size = reader->size = (uint64_t)size;
	read_times(lib, from, entry);
	if (entry->kind == TAR_CHARACTER || entry->kind == TAR_BLOCK) {
		dev_t major = lib->archive_entry_rdevmajor(from), minor = lib->archive_entry_rdevminor(from);

		if (major > MAJOR_MAX || minor > MINOR_MAX)
			return error_set(err, ERROR_LAYER, 0, "\"%.120s\" has a device number that Linux has not: %llu:%llu",
					 entry->path, (unsigned long long)major, (unsigned long long)minor);
		entry->major = (uint32_t)major;
		entry->minor = (uint32_t)minor;
	}
	lib->archive_entry_xattr_reset(from);
	return 1;
}

int tar_reader_next(struct tar_reader *reader, struct tar_reader_entry *entry, struct error *err)
{
	int result = reader->begun ? ARCHIVE_OK : reader->lib.archive_read_open(reader->tar, reader, NULL, read_tar, NULL);

	reader->begun = true;
	if (result != ARCHIVE_OK)
		return fail(reader, err);
	result = reader->lib.archive_read_next_header(reader->tar, &reader->entry);
	if (result == ARCHIVE_EOF && !reader->failed)
		return 0;
	/* A name that is not in the locale's characters, which are ASCII's: the bytes are there.  Every other warning says that
	 * something of the header was passed over, and then other readers may see another entry. */
	if (!reader->failed &&
	    (result == ARCHIVE_OK || (result == ARCHIVE_WARN && reader->lib.archive_errno(reader->tar) == EILSEQ)))
		return read_entry(reader, entry, err);
	return fail(reader, err);
}

bool tar_reader_attribute(struct tar_reader *reader, const char **name, const void **value, size_t *size)
{
	return reader->lib.archive_entry_xattr_next(reader->entry, name, value, size) == ARCHIVE_OK;
}

int tar_reader_data(struct tar_reader *reader, const void **bytes, size_t *size, uint64_t *offset, struct error *err)
{
	la_int64_t at = 0;
	int result;

	do {
		*size = 0;
		result = reader->lib.archive_read_data_block(reader->tar, bytes, size, &at);
	} while (result == ARCHIVE_OK && *size == 0);
	if (reader->failed || (result != ARCHIVE_OK && result != ARCHIVE_EOF))
		return fail(reader, err);
	if (result == ARCHIVE_EOF)
		return 0;
	if (at < 0 || (uint64_t)at > reader->size || *size > reader->size - (uint64_t)at)
		return error_set(err, ERROR_LAYER, 0, "a file has data behind its end");
	*offset = (uint64_t)at;
	return 1;
}

int tar_reader_finish(struct tar_reader *reader, uint8_t diff_id[DIGEST_SIZE], uint64_t *bytes, struct error *err)
{
	const void *piece;
	ssize_t got;

	/* What comes behind a tar's end is part of what is summed up: of the tar's digest, and of the stream's. */
	do {
		got = read_tar(reader->tar, reader, &piece);
	} while (got > 0);
	if (reader->failed) {
		*err = reader->err;
		return -(err->errnum ? err->errnum : EINVAL);
	}
	digest_end(reader->sum, diff_id);
	reader->sum = NULL;
	*bytes = reader->bytes;
	return 0;
}
