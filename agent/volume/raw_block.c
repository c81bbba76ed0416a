/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/raw_block.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "storage/filesystem.h"
#include "storage/verity.h"
#include "sys/modules.h"

static int check_options(const struct virtual_volume *volume, struct error *err)
{
	const char *const *options = volume->options.items;

	for (size_t i = 0; i < volume->options.count; i++) {
		char field[32];

		if (strcmp(options[i], "ro") == 0)
			continue;
		snprintf(field, sizeof(field), "options[%zu]", i);
		return error_field(err, field, "only \"ro\" is accepted: an image is read-only, and its options are the agent's");
	}
	return 0;
}

static int check(const struct volume_attach *request, struct error *err)
{
	const struct virtual_volume *volume = &request->volume;
	const struct {
		const char *key;
		const void *value;
	} foreign[] = {
		{ "direct_volume", volume->direct_volume },
		{ "image_pull", volume->image_pull },
		{ "nydus_image", volume->nydus_image },
	};
	struct blockdev_name name;
	struct verity verity;
	int result = volume_source(volume, &name, err);

	if (result == 0)
		result = check_options(volume, err);
	if (result < 0)
		return result;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (foreign[i].value)
			return error_field(err, foreign[i].key, "does not belong to %s", volume->volume_type);
	}
	if (volume->fs_type && volume->fs_type[0] && !filesystem_is_known(volume->fs_type))
		return error_field(err, "fs_type", "erofs, ext4 and squashfs are accepted");
	return virtual_volume_verity(volume, &verity, err);
}

static int map_verified(const struct volume_attach *request, struct volume_context *context, const char *mapping,
			struct volume_attached *attached, struct error *err)
{
	static const char *const modules[] = { "dm_mod", "dm_verity", "?sha256_ssse3", "sha256_generic", NULL };
	__attribute__((cleanup(blockdev_close))) struct blockdev disk = { .fd = -1 };
	struct blockdev_name name;
	struct verity verity;
	dev_t number;
	int result = volume_source(&request->volume, &name, err);

	if (result == 0)
		result = virtual_volume_verity(&request->volume, &verity, err);
	if (result < 0)
		return result;
	result = blockdev_open(&name, false, request->timeout_ms, &disk, err);
	if (result < 0)
		return error_step(err, "find the device");
	steps_done(context->steps, "find the device");
	result = context->claim(context->claim_context, disk.number, err);
	if (result < 0)
		return error_step(err, "claim the device");
	result = modules_load(modules, err);
	if (result < 0)
		return result;
	steps_done(context->steps, "load modules");
	result = verity_open(mapping, &disk, &verity, context->undo, &number, err);
	if (result < 0)
		return error_step(err, "open with dm-verity");
	steps_done(context->steps, "open with dm-verity");
	snprintf(attached->device, sizeof(attached->device), "%s", disk.path);
	attached->size = verity.blocks * verity.block_size;
	return 0;
}

static int attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		  struct error *err)
{
	char mapping[128], node[160], target[160];
	const char *type = request->volume.fs_type;

	if (text_format(mapping, sizeof(mapping), "coffer-volume-%s", request->id) < 0 ||
	    text_format(node, sizeof(node), "/dev/mapper/%s", mapping) < 0 ||
	    text_format(target, sizeof(target), VOLUME_DIRECTORY "/%s", request->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", request->id);
	int result = map_verified(request, context, mapping, attached, err);
	if (result < 0)
		return result;
	if (!type || type[0] == '\0')
		result = filesystem_detect(node, &type, err);
	if (result == 0)
		result = filesystem_mount_image(node, target, type, context->undo, err);
	if (result < 0)
		return error_step(err, "mount the image");
	steps_done(context->steps, "mount");
	snprintf(attached->fs_type, sizeof(attached->fs_type), "%s", type);
	return 0;
}

const struct volume_driver raw_block_image = { .type = "image_raw_block", .check = check, .attach = attach };
