/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/mapped.h"

#include <errno.h>
#include <stdio.h>

#include "base/text.h"
#include "storage/verity.h"
#include "sys/modules.h"

static int open_verified(const struct mapped_request *request, const char *mapping, struct blockdev *disk,
			 struct volume_context *context, struct mapped *mapped, struct error *err)
{
	struct verity verity;
	int result = virtual_volume_verity(request->verity, &verity, err);

	if (result == 0)
		result = modules_load(verity_modules, err);
	if (result < 0)
		return result;
	steps_done(context->steps, "load modules");
	result = verity_open(mapping, disk, &verity, context->undo, &mapped->number, err);
	if (result < 0)
		return error_step(err, "open with dm-verity");
	steps_done(context->steps, "open with dm-verity");
	mapped->size = verity.blocks * verity.block_size;
	if (text_format(mapped->node, sizeof(mapped->node), "/dev/mapper/%s", mapping) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping %s", mapping);
	return 0;
}

int mapped_open(const struct mapped_request *request, struct volume_context *context, struct mapped *mapped, struct error *err)
{
	__attribute__((cleanup(blockdev_close))) struct blockdev disk = { .fd = -1 };
	struct blockdev_name name;
	char mapping[128];
	int result = volume_source(request->source, &name, err);

	if (result < 0)
		return result;
	if (text_format(mapping, sizeof(mapping), "coffer-volume-%s%s%s", request->id, request->part[0] ? "+" : "", request->part) <
	    0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", request->id);
	result = blockdev_open(&name, request->writable, request->timeout_ms, &disk, err);
	if (result < 0)
		return error_step(err, "find the device");
	steps_done(context->steps, "find the device");
	result = context->claim(context->claim_context, disk.number, err);
	if (result < 0)
		return error_step(err, "claim the device");
	*mapped = (struct mapped){ .number = disk.number, .size = disk.size };
	snprintf(mapped->device, sizeof(mapped->device), "%s", disk.path);
	snprintf(mapped->node, sizeof(mapped->node), "%s", disk.path);
	return request->verity ? open_verified(request, mapping, &disk, context, mapped, err) : 0;
}

int mapped_open_own(const struct volume_attach *request, struct volume_context *context, struct mapped *mapped, struct error *err)
{
	const struct virtual_volume *volume = &request->volume;
	const struct mapped_request wanted = {
		.source = volume->source,
		.verity = volume->has_dm_verity ? &volume->dm_verity : NULL,
		.id = request->id,
		.part = "",
		.timeout_ms = request->timeout_ms,
	};

	return mapped_open(&wanted, context, mapped, err);
}

void mapped_describe(const struct mapped *mapped, const char *fs_type, struct volume_attached *attached)
{
	snprintf(attached->device, sizeof(attached->device), "%s", mapped->device);
	snprintf(attached->fs_type, sizeof(attached->fs_type), "%s", fs_type);
	attached->size = mapped->size;
}

int mapped_mount(const struct volume_attach *request, const struct filesystem_mount *mount, struct volume_context *context,
		 struct error *err)
{
	char target[160];

	if (text_format(target, sizeof(target), VOLUME_DIRECTORY "/%s", request->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", request->id);
	int result = filesystem_mount(mount, target, context->undo, err);
	if (result < 0)
		return error_step(err, "mount the volume");
	steps_done(context->steps, "mount");
	return 0;
}
