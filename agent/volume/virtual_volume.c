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
	{ VERITY_FIELD("on_corruption", DECODE_STRING, on_corruption), .max = 16 },
	{ VERITY_FIELD("signature", DECODE_STRING, signature), .flags = DECODE_NONZERO, .max = 2 * VERITY_SIGNATURE_MAX },
	{ VERITY_FIELD("fec_offset", DECODE_UINT, fec_offset), .min = 512, .max = INT64_MAX },
	{ VERITY_FIELD("fec_roots", DECODE_UINT, fec_roots), .min = 2, .max = 24 },
};

static const struct decode_schema verity_schema = { verity_fields, array_count(verity_fields), sizeof(struct virtual_volume_verity),
						    NULL };

#define METADATA_MAX 256

static const struct decode_field metadata_fields[] = {
	{ .name = "metadata", .kind = DECODE_MAP, .offset = offsetof(struct virtual_volume_metadata, pairs), .max = METADATA_MAX },
};
static const struct decode_schema metadata_schema = { metadata_fields, array_count(metadata_fields),
						      sizeof(struct virtual_volume_metadata), NULL };

static const struct decode_field nydus_fields[] = {
	{ .name = "config", .kind = DECODE_STRING, .offset = offsetof(struct virtual_volume_nydus, config), .max = 256 * 1024 },
	{ .name = "snapshot_dir",
	  .kind = DECODE_STRING,
	  .offset = offsetof(struct virtual_volume_nydus, snapshot_dir),
	  .max = COFFER_PATH_MAX },
};
static const struct decode_schema nydus_schema = { nydus_fields, array_count(nydus_fields), sizeof(struct virtual_volume_nydus),
						   NULL };

static const struct decode_field option_item = { .kind = DECODE_STRING, .max = 4095 };

static const struct decode_field volume_fields[] = {
	{ VOLUME_FIELD("volume_type", DECODE_STRING, volume_type), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 64 },
	{ VOLUME_FIELD("source", DECODE_STRING, source), .max = COFFER_PATH_MAX },
	{ VOLUME_FIELD("fs_type", DECODE_STRING, fs_type), .max = 32 },
	{ VOLUME_FIELD("options", DECODE_LIST, options), .item = &option_item, .max = 64 },
	{ VOLUME_FIELD("direct_volume", DECODE_OBJECT, direct_volume), .schema = &metadata_schema,
	  .present = offsetof(struct virtual_volume, has_direct_volume) },
	{ VOLUME_FIELD("image_pull", DECODE_OBJECT, image_pull), .schema = &metadata_schema,
	  .present = offsetof(struct virtual_volume, has_image_pull) },
	{ VOLUME_FIELD("nydus_image", DECODE_OBJECT, nydus_image), .schema = &nydus_schema,
	  .present = offsetof(struct virtual_volume, has_nydus_image) },
	{ VOLUME_FIELD("dm_verity", DECODE_RAW, dm_verity_json), .present = offsetof(struct virtual_volume, has_dm_verity) },
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
	result = decode_object(json, &volume_schema, volume, memory, err);
	if (result == 0 && volume->has_dm_verity) {
		result = virtual_volume_verity_decode(volume->dm_verity_json, &volume->dm_verity, memory, err);
		if (result < 0)
			error_within(err, "dm_verity");
	}
	return result;
}

/* "N" up to `end`, which must follow it. */
static bool read_number(const char **text, char end, uint64_t *value)
{
	const char *c = *text;

	*value = 0;
	for (; *c >= '0' && *c <= '9'; c++) {
		if (__builtin_mul_overflow(*value, 10u, value) || __builtin_add_overflow(*value, (uint64_t)(*c - '0'), value))
			return false;
	}
	if (c == *text || *c != end)
		return false;
	*text = c + 1;
	return true;
}

static int decode_tarfs(const char *text, struct virtual_volume_verity *verity, struct error *err)
{
	*verity = (struct virtual_volume_verity){ .hashtype = "sha256", .blocksize = 512, .hashsize = 4096 };
	if (!read_number(&text, ',', &verity->blocknum) || !read_number(&text, ',', &verity->offset) ||
	    strncmp(text, "sha256:", 7) != 0)
		return error_field(err, "", "an object, or \"DATA BLOCKS,HASH OFFSET,sha256:ROOT\"");
	if (verity->blocknum == 0 || verity->blocknum > UINT32_MAX || verity->offset > INT64_MAX)
		return error_field(err, "", "the number of blocks or the offset is out of range");
	verity->hash = text + 7;
	return 0;
}

int virtual_volume_verity_decode(json_object *json, struct virtual_volume_verity *verity, struct decode_memory *memory,
				 struct error *err)
{
	if (json_object_is_type(json, json_type_string)) {
		if (strlen(json_object_get_string(json)) != (size_t)json_object_get_string_len(json))
			return error_field(err, "", "has a NUL");
		return decode_tarfs(json_object_get_string(json), verity, err);
	}
	return decode_object(json, &verity_schema, verity, memory, err);
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

static int set_salt(const struct virtual_volume_verity *from, struct verity *to, struct error *err)
{
	if (!from->salt || strcmp(from->salt, "-") == 0)
		return 0;
	long size = text_from_hex(from->salt, to->salt, sizeof(to->salt));
	if (size < 0)
		return error_field(err, "dm_verity.salt", "must be hex digits, at most %u bytes", VERITY_SALT_MAX);
	to->salt_size = (size_t)size;
	return 0;
}

/* Repair costs a second area on the same device, behind the hash area. */
static int set_fec(const struct virtual_volume_verity *from, struct verity *to, struct error *err)
{
	if (!from->fec_roots && !from->fec_offset)
		return 0;
	if (!from->fec_roots || !from->fec_offset)
		return error_field(err, from->fec_roots ? "dm_verity.fec_offset" : "dm_verity.fec_roots",
				   "forward error correction needs both fec_roots and fec_offset");
	if (from->blocksize != from->hashsize)
		return error_field(err, "dm_verity.fec_roots", "needs blocksize and hashsize to be the same");
	if (from->fec_offset % from->blocksize != 0 || from->fec_offset <= from->offset)
		return error_field(err, "dm_verity.fec_offset", "must be a multiple of blocksize behind the hash area's start");
	to->fec_offset = from->fec_offset;
	to->fec_roots = (uint32_t)from->fec_roots;
	return 0;
}

static int set_corruption(const struct virtual_volume_verity *from, struct verity *to, struct error *err)
{
	static const char *const words[] = { "error", "panic", "restart" };

	to->on_corruption = VERITY_CORRUPTION_ERROR;
	if (!from->on_corruption)
		return 0;
	for (size_t i = 0; i < array_count(words); i++) {
		if (strcmp(from->on_corruption, words[i]) != 0)
			continue;
		to->on_corruption = (enum verity_corruption)i;
		return 0;
	}
	return error_field(err, "dm_verity.on_corruption", "error, panic and restart are accepted");
}

static int set_signature(const struct virtual_volume_verity *from, struct verity *to, struct error *err)
{
	if (!from->signature)
		return 0;
	long size = text_from_base64(from->signature, strlen(from->signature), to->signature, sizeof(to->signature));
	if (size <= 0)
		return error_field(err, "dm_verity.signature", "must be base64 of a PKCS#7 signature, at most %u bytes",
				   VERITY_SIGNATURE_MAX);
	to->signature_size = (size_t)size;
	return 0;
}

int virtual_volume_verity(const struct virtual_volume_verity *from, struct verity *verity, struct error *err)
{
	static int (*const parts[])(const struct virtual_volume_verity *, struct verity *, struct error *) = {
		set_root, set_geometry, set_salt, set_fec, set_corruption, set_signature,
	};
	int result = 0;

	memset(verity, 0, sizeof(*verity));
	for (size_t i = 0; i < array_count(parts) && result == 0; i++)
		result = parts[i](from, verity, err);
	/*
	 * Absent means none: so it is in nydus-snapshotter's volumes and in Kata's Go reader, which have no such key.  (Kata's Rust
	 * reader takes its absence for a superblock.)  A wrong guess fails the first verified read.
	 */
	verity->superblock = from->has_no_superblock && !from->no_superblock;
	return result;
}

unsigned virtual_volume_members(const struct virtual_volume *volume)
{
	return (volume->has_direct_volume ? VIRTUAL_VOLUME_DIRECT_VOLUME : 0u) |
	       (volume->has_image_pull ? VIRTUAL_VOLUME_IMAGE_PULL : 0u) |
	       (volume->has_nydus_image ? VIRTUAL_VOLUME_NYDUS_IMAGE : 0u) |
	       (volume->has_dm_verity ? VIRTUAL_VOLUME_DM_VERITY : 0u);
}

const char *virtual_volume_metadata(const struct virtual_volume_metadata *metadata, const char *key)
{
	const struct decode_pair *pairs = metadata->pairs.items;

	for (size_t i = 0; i < metadata->pairs.count; i++) {
		if (strcmp(pairs[i].key, key) == 0)
			return pairs[i].value;
	}
	return NULL;
}
