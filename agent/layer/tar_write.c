/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/tar_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/scan.h"

#define BLOCK       512u
#define BUFFER_SIZE (512u * BLOCK)
#define NANO        1000000000

/* POSIX.1-2017, pax, "ustar Interchange Format". */
struct header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char device_major[8];
	char device_minor[8];
	char prefix[155];
	char unused[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "one block");

struct tar_write {
	int out;
	struct digest *sum;
	uint64_t flushed; /* bytes that are written; those in the buffer come on top */
	uint64_t left;    /* of the entry's content */
	struct buf pax;
	size_t used;
	char buffer[BUFFER_SIZE];
};

static int flush(struct tar_write *tar, struct error *err)
{
	digest_add(tar->sum, tar->buffer, tar->used);
	for (size_t done = 0; done < tar->used;) {
		ssize_t size = write(tar->out, tar->buffer + done, tar->used - done);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return error_set(err, ERROR_INTERNAL, size < 0 ? errno : EIO, "write the archive");
		done += (size_t)size;
	}
	tar->flushed += tar->used;
	tar->used = 0;
	return 0;
}

/* NULL as `bytes`: zeros. */
static int put(struct tar_write *tar, const void *bytes, size_t size, struct error *err)
{
	const char *from = bytes;

	while (size > 0) {
		size_t part = BUFFER_SIZE - tar->used < size ? BUFFER_SIZE - tar->used : size;

		if (from) {
			memcpy(tar->buffer + tar->used, from, part);
			from += part;
		} else {
			memset(tar->buffer + tar->used, 0, part);
		}
		tar->used += part;
		size -= part;
		int result = tar->used == BUFFER_SIZE ? flush(tar, err) : 0;
		if (result < 0)
			return result;
	}
	return 0;
}

/* Zeros up to the end of the block.  What is in the buffer began at a block's start: the buffer is made of whole blocks. */
static int pad(struct tar_write *tar, struct error *err)
{
	return put(tar, NULL, (BLOCK - tar->used % BLOCK) % BLOCK, err);
}

/* Octal digits and a zero byte.  False: there are too few digits for the value, and the field says 0. */
static bool put_octal(char *field, size_t size, uint64_t value)
{
	bool fits = value >> 3 * (size - 1) == 0;

	if (!fits)
		value = 0;
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	return fits;
}

/* "LENGTH KEY=VALUE\n", LENGTH being that of the whole record, its own digits included. */
static int add_record(struct tar_write *tar, const char *prefix, const char *key, const void *value, size_t size, struct error *err)
{
	size_t rest = 1 + strlen(prefix) + strlen(key) + 1 + size + 1, length = rest + 1;
	char digits[24];

	while (rest + (size_t)snprintf(digits, sizeof(digits), "%zu", length) != length)
		length = rest + strlen(digits);
	int result = buf_printf(&tar->pax, "%zu %s%s=", length, prefix, key);
	if (result == 0)
		result = buf_append(&tar->pax, value, size);
	if (result == 0)
		result = buf_append(&tar->pax, "\n", 1);
	if (result == -EMSGSIZE)
		return error_set(err, ERROR_LAYER, E2BIG, "names and extended attributes of one file of more than %u bytes",
				 TAR_WRITE_PAX_MAX);
	return result < 0 ? error_set(err, ERROR_INTERNAL, -result, "archive") : 0;
}

static int add_text(struct tar_write *tar, const char *key, const char *value, struct error *err)
{
	return add_record(tar, "", key, value, strlen(value), err);
}

static int add_number(struct tar_write *tar, const char *key, uint64_t value, struct error *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return add_text(tar, key, text, err);
}

static int add_time(struct tar_write *tar, const struct timespec *time, struct error *err)
{
	int64_t seconds = time->tv_sec;
	long nano = time->tv_nsec;
	char text[48];

	/* The fraction counts upwards in a timespec, and away from zero in a decimal number. */
	bool negative = seconds < 0;
	if (negative && nano > 0) {
		seconds++;
		nano = NANO - nano;
	}
	int length = snprintf(text, sizeof(text), "%s%" PRIu64 ".%09ld", negative ? "-" : "",
			      negative ? 0 - (uint64_t)seconds : (uint64_t)seconds, nano);
	while (text[length - 1] == '0')
		text[--length] = '\0';
	if (text[length - 1] == '.')
		text[--length] = '\0';
	return add_text(tar, "mtime", text, err);
}

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text >= 0x80)
			return false;
	}
	return true;
}

static bool is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strlen(text);

	while (left > 0) {
		size_t length = *at < 0x80 ? 1 : scan_utf8(at, left);

		if (length == 0)
			return false;
		at += length;
		left -= length;
	}
	return true;
}

/* As much as there is room for; a name that needs its record is written here too, for readers that take it for a hint. */
static void put_name(char *field, size_t size, const char *name)
{
	size_t length = strnlen(name, size);

	memcpy(field, name, length);
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)field[i] >= 0x80)
			field[i] = '?';
	}
}

/* In `name`, or cut at a slash in `prefix` and `name`. */
static bool put_path(struct header *header, const char *path)
{
	size_t length = strlen(path);

	if (length > sizeof(header->name) && is_ascii(path)) {
		size_t cut = length - 2 < sizeof(header->prefix) ? length - 2 : sizeof(header->prefix);

		while (cut > 0 && path[cut] != '/')
			cut--;
		if (cut > 0 && length - cut - 1 <= sizeof(header->name)) {
			memcpy(header->prefix, path, cut);
			memcpy(header->name, path + cut + 1, length - cut - 1);
			return true;
		}
	}
	put_name(header->name, sizeof(header->name), path);
	return length <= sizeof(header->name) && is_ascii(path);
}

static int put_header(struct tar_write *tar, struct header *header, struct error *err)
{
	const unsigned char *bytes = (const unsigned char *)header;
	unsigned sum = 0;

	memcpy(header->magic, "ustar", sizeof(header->magic));
	memset(header->version, '0', sizeof(header->version));
	memset(header->checksum, ' ', sizeof(header->checksum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += bytes[i];
	put_octal(header->checksum, sizeof(header->checksum) - 1, sum); /* and the last of the blanks stays */
	return put(tar, header, sizeof(*header), err);
}

static int add_xattrs(struct tar_write *tar, const struct tar_entry *entry, struct error *err)
{
	for (size_t i = 0; i < entry->xattr_count; i++) {
		const struct xattr *xattr = &entry->xattrs[i];

		/* The first one ends the key; no way to escape it is understood by all readers. */
		if (strchr(xattr->name, '='))
			return error_set(err, ERROR_LAYER, EINVAL, "%s: an archive cannot say the extended attribute %s",
					 entry->name, xattr->name);
		int result = add_record(tar, "SCHILY.xattr.", xattr->name, xattr->value, xattr->size, err);
		if (result < 0)
			return error_wrap(err, "%s", entry->name);
	}
	return 0;
}

static int add_names(struct tar_write *tar, struct header *header, const struct tar_entry *entry, struct error *err)
{
	bool path = !put_path(header, entry->name), link = false;
	int result = 0;

	if (entry->link) {
		put_name(header->link, sizeof(header->link), entry->link);
		link = strlen(entry->link) > sizeof(header->link) || !is_ascii(entry->link);
	}
	/* Records are UTF-8 but for names when this comes first; for many readers it makes no difference. */
	if ((path && !is_utf8(entry->name)) || (link && !is_utf8(entry->link)))
		result = add_text(tar, "hdrcharset", "BINARY", err);
	if (result == 0 && path)
		result = add_text(tar, "path", entry->name, err);
	if (result == 0 && link)
		result = add_text(tar, "linkpath", entry->link, err);
	return result;
}

/* Fills the header, and collects in tar->pax what it cannot say. */
static int fill(struct tar_write *tar, struct header *header, const struct tar_entry *entry, struct error *err)
{
	const struct timespec *mtime = &entry->mtime;
	int result = add_names(tar, header, entry, err);

	header->type = (char)entry->type;
	put_octal(header->mode, sizeof(header->mode), entry->mode & 07777);
	if (!put_octal(header->device_major, sizeof(header->device_major), entry->device_major) ||
	    !put_octal(header->device_minor, sizeof(header->device_minor), entry->device_minor))
		return error_set(err, ERROR_LAYER, EINVAL, "%s: device %u:%u", entry->name, entry->device_major,
				 entry->device_minor);
	if (!put_octal(header->uid, sizeof(header->uid), entry->uid) && result == 0)
		result = add_number(tar, "uid", entry->uid, err);
	if (!put_octal(header->gid, sizeof(header->gid), entry->gid) && result == 0)
		result = add_number(tar, "gid", entry->gid, err);
	if (!put_octal(header->size, sizeof(header->size), tar->left) && result == 0)
		result = add_number(tar, "size", tar->left, err);
	bool fits = put_octal(header->mtime, sizeof(header->mtime), mtime->tv_sec < 0 ? 0 : (uint64_t)mtime->tv_sec);
	if ((!fits || mtime->tv_sec < 0 || mtime->tv_nsec != 0) && result == 0)
		result = add_time(tar, mtime, err);
	return result < 0 ? result : add_xattrs(tar, entry, err);
}

static int put_pax(struct tar_write *tar, struct error *err)
{
	struct header header = { .name = "././@PaxHeader", .type = 'x' };
	size_t size = buf_length(&tar->pax);

	if (size == 0)
		return 0;
	put_octal(header.mode, sizeof(header.mode), 0);
	put_octal(header.uid, sizeof(header.uid), 0);
	put_octal(header.gid, sizeof(header.gid), 0);
	put_octal(header.size, sizeof(header.size), size);
	put_octal(header.mtime, sizeof(header.mtime), 0);
	int result = put_header(tar, &header, err);
	if (result == 0)
		result = put(tar, buf_bytes(&tar->pax), size, err);
	return result < 0 ? result : pad(tar, err);
}

int tar_write_begin(struct tar_write **tar, int out, struct error *err)
{
	struct tar_write *made = malloc(sizeof(*made));

	*tar = NULL;
	if (!made)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "archive");
	memset(made, 0, offsetof(struct tar_write, buffer));
	made->out = out;
	made->pax.limit = TAR_WRITE_PAX_MAX;
	int result = digest_begin(&made->sum, err);
	if (result < 0)
		tar_write_free(made);
	else
		*tar = made;
	return result;
}

int tar_write_entry(struct tar_write *tar, const struct tar_entry *entry, struct error *err)
{
	struct header header = { 0 };

	if (tar->left > 0)
		return error_set(err, ERROR_INTERNAL, EINVAL, "%s comes before the end of the file before it", entry->name);
	buf_consume(&tar->pax, buf_length(&tar->pax));
	tar->left = entry->type == TAR_FILE ? entry->size : 0;
	int result = fill(tar, &header, entry, err);
	if (result == 0)
		result = put_pax(tar, err);
	return result < 0 ? result : put_header(tar, &header, err);
}

int tar_write_data(struct tar_write *tar, const void *bytes, size_t size, struct error *err)
{
	if (size > tar->left)
		return error_set(err, ERROR_INTERNAL, EINVAL, "more content than the file has");
	int result = put(tar, bytes, size, err);
	tar->left -= size;
	return result < 0 || tar->left > 0 ? result : pad(tar, err);
}

int tar_write_content(struct tar_write *tar, int file, struct error *err)
{
	/* Right into the buffer, which is what the copying of a large file costs most for. */
	while (tar->left > 0) {
		size_t room = BUFFER_SIZE - tar->used, part = tar->left < room ? (size_t)tar->left : room;
		ssize_t size = read(file, tar->buffer + tar->used, part);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			return error_set(err, ERROR_INTERNAL, size < 0 ? errno : ESTALE, "read a file of the layer");
		tar->used += (size_t)size;
		tar->left -= (size_t)size;
		int result = tar->used == BUFFER_SIZE ? flush(tar, err) : 0;
		if (result < 0)
			return result;
	}
	return pad(tar, err);
}

int tar_write_end(struct tar_write *tar, uint8_t digest[DIGEST_SIZE], uint64_t *bytes, struct error *err)
{
	if (tar->left > 0)
		return error_set(err, ERROR_INTERNAL, EINVAL, "the last file of the archive is not complete");
	int result = put(tar, NULL, (size_t)2 * BLOCK, err);
	if (result == 0)
		result = flush(tar, err);
	if (result < 0)
		return result;
	*bytes = tar->flushed;
	digest_end(tar->sum, digest);
	tar->sum = NULL;
	return 0;
}

void tar_write_free(struct tar_write *tar)
{
	if (!tar)
		return;
	digest_end(tar->sum, NULL);
	buf_free(&tar->pax);
	free(tar);
}
