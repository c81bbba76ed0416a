/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/oci_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/sha256.h"
#include "base/text.h"
#include "qemu/fail.h"

#define PREFIX      "sha256:"
#define PREFIX_SIZE (sizeof(PREFIX) - 1)

int oci_blob_check_digest(const char *digest, struct error *err)
{
	const char *hex = digest + PREFIX_SIZE;

	if (strncmp(digest, PREFIX, PREFIX_SIZE) != 0)
		return error_field(err, "", "'%.80s' is no sha256 digest, the only kind that is accepted", digest);
	if (strlen(hex) != (size_t)2 * SHA256_SIZE || strspn(hex, "0123456789abcdef") != (size_t)2 * SHA256_SIZE)
		return error_field(err, "", "'%.80s' is no digest: 64 lower-case hex digits follow the colon", digest);
	return 0;
}

void oci_blob_name(const char *digest, char name[OCI_BLOB_NAME_SIZE])
{
	snprintf(name, OCI_BLOB_NAME_SIZE, "blobs/sha256/%s", digest + PREFIX_SIZE);
}

/* A mistake in a document: its member stands behind the file, as the person at the shell looks for them in that order. */
static int blame(const char *name, struct error *err)
{
	struct error why = *err;

	if (!why.field[0])
		return fail_set(err, EINVAL, "%s: %s", name, why.message);
	return fail_set(err, EINVAL, "%s: %s: %s", name, why.field, why.message);
}

int oci_blob_open(int folder, const char *name, const char *digest, uint64_t *size, struct error *err)
{
	/* Or a pipe would be waited for, and a link lead out of the layout. */
	fd_auto fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 && errno == ELOOP)
		return fail_set(err, ELOOP, "%s: a symbolic link; a file of an image layout is a regular one", name);
	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(err, ERROR_HOST, errno, "%s", name);
	if (!S_ISREG(status.st_mode))
		return fail_set(err, EINVAL, "%s: not a regular file", name);
	if (digest && (uint64_t)status.st_size != *size)
		return fail_set(err, EINVAL, "%s: %" PRIu64 " bytes, and its descriptor's size is %" PRIu64, name,
				(uint64_t)status.st_size, *size);
	*size = (uint64_t)status.st_size;
	return take_fd(&fd);
}

static int read_all(int fd, const char *name, struct buf *text, struct error *err)
{
	for (;;) {
		char *room;

		if (buf_length(text) > OCI_BLOB_JSON_MAX)
			return fail_set(err, EFBIG, "%s: more than %u bytes", name, OCI_BLOB_JSON_MAX);
		if (buf_room(text, 65536, &room) < 0)
			return error_set(err, ERROR_HOST, ENOMEM, "%s", name);
		ssize_t got = read(fd, room, 65536);
		if (got < 0 && errno != EINTR)
			return error_set(err, ERROR_HOST, errno, "%s", name);
		if (got == 0)
			return 0;
		if (got > 0)
			buf_filled(text, (size_t)got);
	}
}

static int check_digest(const struct buf *text, const char *name, const char *digest, struct error *err)
{
	uint8_t bytes[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];
	struct sha256 sum;

	sha256_begin(&sum);
	sha256_add(&sum, buf_bytes(text), buf_length(text));
	sha256_end(&sum, bytes);
	text_to_hex(bytes, sizeof(bytes), hex);
	if (strcmp(hex, digest + PREFIX_SIZE) != 0)
		return fail_set(err, EBADMSG, "%s: its digest is " PREFIX "%s", name, hex);
	return 0;
}

int oci_blob_read(int folder, const char *name, const char *digest, uint64_t size, json_object **json, struct error *err)
{
	fd_auto fd = oci_blob_open(folder, name, digest, &size, err);
	struct buf text = { 0 };

	*json = NULL;
	if (fd < 0)
		return fd;
	if (size > OCI_BLOB_JSON_MAX)
		return fail_set(err, EFBIG, "%s: %" PRIu64 " bytes, at most %u are accepted", name, size, OCI_BLOB_JSON_MAX);
	int result = read_all(fd, name, &text, err);
	if (result == 0 && digest)
		result = check_digest(&text, name, digest, err);
	if (result == 0 && buf_length(&text) == 0)
		result = fail_set(err, EINVAL, "%s: empty", name);
	if (result == 0 && decode_parse(buf_bytes(&text), buf_length(&text), json, err) < 0)
		result = blame(name, err);
	buf_free(&text);
	return result;
}

static const struct decode_field *find_field(const struct decode_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++) {
		if (strcmp(schema->fields[i].name, name) == 0)
			return &schema->fields[i];
	}
	return NULL;
}

static void drop_unknown(json_object *json, const struct decode_schema *schema);

static void drop_within(json_object *value, const struct decode_field *field)
{
	if (!field->schema)
		return;
	if (field->kind == DECODE_LIST && json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			drop_unknown(json_object_array_get_idx(value, i), field->schema);
	}
	if (field->kind == DECODE_OBJECT)
		drop_unknown(value, field->schema);
}

static void drop_unknown(json_object *json, const struct decode_schema *schema)
{
	if (!json_object_is_type(json, json_type_object))
		return;
	json_object_object_foreach (json, key, value) {
		const struct decode_field *field = find_field(schema, key);

		if (field)
			drop_within(value, field);
		else
			json_object_object_del(json, key);
	}
}

int oci_blob_decode(json_object *json, const char *name, const struct decode_schema *schema, void *object,
		    struct decode_memory *memory, struct error *err)
{
	drop_unknown(json, schema);
	return decode_object(json, schema, object, memory, err) < 0 ? blame(name, err) : 0;
}
