/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/raw_block.h"

#include <string.h>
#include <sys/mount.h>

#include "storage/filesystem.h"
#include "volume/erofs_image.h"
#include "volume/mapped.h"

static const char *const fs_types[] = { "erofs", "ext4", "squashfs", NULL };

static int attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		  struct error *err)
{
	const struct virtual_volume *volume = &request->volume;
	const char *type = volume->fs_type;
	struct mapped mapped;
	int result = mapped_open_own(request, context, &mapped, err);

	if (result < 0)
		return result;
	if (!type || type[0] == '\0')
		result = filesystem_detect(mapped.node, &type, err);
	else if (!volume->has_dm_verity)
		result = filesystem_confirm(mapped.node, type, err);
	if (result < 0)
		return error_step(err, "look for the file system");
	mapped_describe(&mapped, type, attached);
	/* It may be spread over ranges of the disk: nydus' tarfs. */
	if (strcmp(type, "erofs") == 0)
		return erofs_image_mount(request, &mapped, NULL, context, err);
	const struct filesystem_mount mount = { .source = mapped.node, .device = mapped.number, .type = type, .flags = MS_RDONLY };
	return mapped_mount(request, &mount, context, err);
}

#define RAW_BLOCK(name)                                                                                                            \
	{                                                                                                                          \
		.type = name, .rules = { .may = VIRTUAL_VOLUME_DM_VERITY, .fs_types = fs_types }, .check = volume_check_source,    \
		.attach = attach,                                                                                                  \
	}

const struct volume_driver raw_block_image = RAW_BLOCK("image_raw_block");
const struct volume_driver raw_block_layer = RAW_BLOCK("layer_raw_block");
