/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/virtual_volume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "coffer/protocol.h"

#define VERITY_FIELD(key, decode_kind, member)                                                                                     \
	.name = key, .kind = decode_kind, .offset = offsetof(struct virtual_volume_verity, member)
#define VOLUME_FIELD(key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct virtual_volume, member)

static const struct decode_field verity_fields[] = {
	{ VERITY_FIELD("hashtype", DECODE_STRING, hashtype), .flags = DECODE_REQUIRED, .max = 32 },
	{ VERITY_FIELD("hash", DECODE_STRING, hash), .flags = DECODE_REQUIRED, .max = 256 },
	{ VERITY_FIELD("blocknum", DECODE_UINT, blocknum), .flags = DECODE_REQUIRED, .min = 1, .max = UINT32_MAX },
	{ VERITY_FIELD("blocksize", DECODE_UINT, blocksize), .flags = DECODE_REQUIRED, .min = 512, .max = 4096 },
	{ VERITY_FIELD("hashsize", DECODE_UINT, hashsize), .flags = DECODE_REQUIRED, .min = 512, .max = 4096 },
	{ VERITY_FIELD("offset", DECODE_UINT, offset), .flags = DECODE_REQUIRED, .min = 512, .max = INT64_MAX },
	{ VERITY_FIELD("salt", DECODE_STRING, salt), .max = 2 * VERITY_SALT_MAX },
	{ VERITY_FIELD("hash_type", DECODE_UINT, hash_type), .max = 1,
	  .present = offsetof(struct virtual_volume_verity, has_hash_type) },
	{ VERITY_FIELD("no_superblock", DECODE_BOOL, no_superblock),
	  .present = offsetof(struct virtual_volume_verity, has_no_superblock) },
};

static const struct decode_schema verity_schema = { verity_fields, array_count(verity_fields), sizeof(struct virtual_volume_verity),
						    NULL };

static const struct decode_field option_item = { .kind = DECODE_STRING, .max = 4095 };

static const struct decode_field volume_fields[] = {
	{ VOLUME_FIELD("volume_type", DECODE_STRING, volume_type), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 64 },
	{ VOLUME_FIELD("source", DECODE_STRING, source), .max = COFFER_PATH_MAX },
	{ VOLUME_FIELD("fs_type", DECODE_STRING, fs_type), .max = 32 },
	{ VOLUME_FIELD("options", DECODE_LIST, options), .item = &option_item, .max = 64 },
	{ VOLUME_FIELD("direct_volume", DECODE_RAW, direct_volume) },
	{ VOLUME_FIELD("image_pull", DECODE_RAW, image_pull) },
	{ VOLUME_FIELD("nydus_image", DECODE_RAW, nydus_image) },
	{ VOLUME_FIELD("dm_verity", DECODE_OBJECT, dm_verity), .schema = &verity_schema,
	  .present = offsetof(struct virtual_volume, has_dm_verity) },
};

static const struct decode_schema volume_schema = { volume_fields, array_count(volume_fields), sizeof(struct virtual_volume),
						    NULL };

static int parse_option(json_object *json, json_object **parsed, struct error *err)
{
	const char *text = json_object_get_string(json);
	size_t length = (size_t)json_object_get_string_len(json), prefix = strlen(VIRTUAL_VOLUME_OPTION);

	if (length >= prefix && memcmp(text, VIRTUAL_VOLUME_OPTION, prefix) == 0) {
		text += prefix;
		length -= prefix;
	}
	if (length == 0)
		return error_field(err, "", "the volume option is empty");
	auto_free uint8_t *bytes = malloc(length);
	if (!bytes)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "volume option");
	long size = text_from_base64(text, length, bytes, length);
	if (size < 0)
		return error_field(err, "", "neither a volume object nor base64 (standard alphabet, padded) of one");
	int result = decode_parse((const char *)bytes, (size_t)size, parsed, err);
	if (result < 0) {
		error_wrap(err, "the JSON in the base64");
		err->code = ERROR_PARAMS;
	}
	return result;
}

int virtual_volume_decode(json_object *json, struct virtual_volume *volume, json_object **parsed, struct decode_memory *memory,
			  struct error *err)
{
	int result;

	*parsed = NULL;
	if (json_object_is_type(json, json_type_string)) {
		result = parse_option(json, parsed, err);
		if (result < 0)
			return result;
		json = *parsed;
	}
	return decode_object(json, &volume_schema, volume, memory, err);
}

static const struct {
	const char *name;
	size_t size;
} algorithms[] = { { "sha256", 32 }, { "sha512", 64 } };

static int set_root(const struct virtual_volume_verity *from, struct verity *to, struct error *err)
{
	for (size_t i = 0; i < array_count(algorithms); i++) {
		if (strcmp(from->hashtype, algorithms[i].name) != 0)
			continue;
		long size = text_from_hex(from->hash, to->root, sizeof(to->root));
		if (size != (long)algorithms[i].size)
			return error_field(err, "dm_verity.hash", "%s needs %zu hex digits", algorithms[i].name,
					   2 * algorithms[i].size);
		to->algorithm = algorithms[i].name;
		to->root_size = algorithms[i].size;
		return 0;
	}
	return error_field(err, "dm_verity.hashtype", "sha256 and sha512 are accepted");
}

static int set_geometry(const struct virtual_volume_verity *from, struct verity *to, struct error *err)
{
	uint64_t data;

	if (from->blocksize & (from->blocksize - 1))
		return error_field(err, "dm_verity.blocksize", "must be a power of two");
	if (from->hashsize & (from->hashsize - 1))
		return error_field(err, "dm_verity.hashsize", "must be a power of two");
	if (from->offset % from->hashsize != 0)
		return error_field(err, "dm_verity.offset", "must be a multiple of hashsize");
	if (__builtin_mul_overflow(from->blocknum, from->blocksize, &data) || from->offset < data)
		return error_field(err, "dm_verity.offset", "lies within the data");
	to->blocks = from->blocknum;
	to->block_size = (uint32_t)from->blocksize;
	to->hash_block_size = (uint32_t)from->hashsize;
	to->hash_offset = from->offset;
	to->hash_type = from->has_hash_type ? (uint32_t)from->hash_type : 1;
	return 0;
}

int virtual_volume_verity(const struct virtual_volume *volume, struct verity *verity, struct error *err)
{
	const struct virtual_volume_verity *from = &volume->dm_verity;
	int result;

	memset(verity, 0, sizeof(*verity));
	if (!volume->has_dm_verity)
		return error_field(err, "dm_verity", "is required: an image is only attached verified");
	result = set_root(from, verity, err);
	if (result == 0)
		result = set_geometry(from, verity, err);
	if (result < 0)
		return result;
	if (from->salt && strcmp(from->salt, "-") != 0) {
		long size = text_from_hex(from->salt, verity->salt, sizeof(verity->salt));

		if (size < 0)
			return error_field(err, "dm_verity.salt", "must be hex digits, at most %u bytes", VERITY_SALT_MAX);
		verity->salt_size = (size_t)size;
	}
	verity->superblock = !from->has_no_superblock ? VERITY_SUPERBLOCK_LOOK
			     : from->no_superblock    ? VERITY_SUPERBLOCK_NONE
						      : VERITY_SUPERBLOCK_PRESENT;
	return 0;
}
