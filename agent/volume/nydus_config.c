/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/nydus_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "storage/erofs.h"
#include "volume/volume.h"

#define FIELD "nydus_image.config"

#define BLOB(key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct nydus_blob, member)

static const struct decode_field blob_fields[] = {
	{ BLOB("id", DECODE_STRING, id), .flags = DECODE_NONZERO, .max = 64 },
	{ BLOB("source", DECODE_STRING, source), .flags = DECODE_NONZERO, .max = COFFER_PATH_MAX },
	{ BLOB("path", DECODE_STRING, path), .flags = DECODE_NONZERO, .max = COFFER_PATH_MAX },
	{ BLOB("dm_verity", DECODE_RAW, dm_verity_json), .present = offsetof(struct nydus_blob, has_dm_verity) },
};
static const struct decode_schema blob_schema = { blob_fields, array_count(blob_fields), sizeof(struct nydus_blob), NULL };

static const struct decode_field config_fields[] = {
	{ .name = "blobs",
	  .kind = DECODE_LIST,
	  .flags = DECODE_REQUIRED,
	  .offset = offsetof(struct nydus_config, blobs),
	  .schema = &blob_schema,
	  .max = EROFS_DEVICES_MAX },
};
/* Fills the first member alone. */
static const struct decode_schema config_schema = { config_fields, array_count(config_fields), sizeof(struct decode_list), NULL };

static int read_verity(struct nydus_blob *blob, struct decode_memory *memory, struct error *err)
{
	struct verity verity;

	if (!blob->has_dm_verity)
		return 0;
	if (virtual_volume_verity_decode(blob->dm_verity_json, &blob->dm_verity, memory, err) < 0)
		return error_within(err, "dm_verity");
	return virtual_volume_verity(&blob->dm_verity, &verity, err);
}

static int check_blob(struct nydus_blob *blob, bool files, bool plain_allowed, struct decode_memory *memory, struct error *err)
{
	struct blockdev_name name;

	if (files && (blob->source || blob->has_dm_verity))
		return error_field(err, blob->source ? "source" : "dm_verity", "the blobs of this type are files of a volume");
	if (files)
		return blob->path ? 0 : error_field(err, "path", "is required");
	if (blob->path)
		return error_field(err, "path", "the blobs of this type are devices");
	int result = volume_source(blob->source, &name, err);
	if (result == 0)
		result = read_verity(blob, memory, err);
	if (result == 0 && !blob->has_dm_verity && !plain_allowed) {
		result = error_field(err, "dm_verity", "is required: a blob is only mounted verified");
		err->code = ERROR_NOT_ALLOWED;
		err->errnum = EPERM;
	}
	return result;
}

int nydus_config_read(const struct virtual_volume *volume, bool files, bool plain_allowed, struct nydus_config *config,
		      struct error *err)
{
	const char *text = volume->nydus_image.config;
	char field[64];
	int result;

	*config = (struct nydus_config){ 0 };
	if (!text || !text[0])
		return 0;
	if (decode_parse(text, strlen(text), &config->json, err) < 0)
		return error_field(err, FIELD, "must be JSON that lists the blobs (docs/VOLUMES.md); a nydusd's is of no use here");
	result = decode_object(config->json, &config_schema, config, &config->memory, err);
	for (size_t i = 0; i < config->blobs.count && result == 0; i++) {
		result = check_blob((struct nydus_blob *)config->blobs.items + i, files, plain_allowed, &config->memory, err);
		snprintf(field, sizeof(field), "blobs[%zu]", i);
		if (result < 0)
			error_within(err, field);
	}
	if (result < 0)
		error_within(err, FIELD);
	return result;
}

void nydus_config_free(struct nydus_config *config)
{
	decode_free(&config->memory);
	json_object_put(config->json);
	*config = (struct nydus_config){ 0 };
}

int nydus_config_match(const struct nydus_blob *blob, const char *tag, size_t index, struct error *err)
{
	if (!blob->id || strcmp(blob->id, tag) == 0)
		return 0;
	return error_set(err, ERROR_MOUNT, EINVAL, "blob %zu is given as %s, and the image wants %s there", index, blob->id,
			 tag[0] ? tag : "one without a tag");
}
