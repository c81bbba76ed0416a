/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/nydus_block.h"

#include "volume/erofs_image.h"

static const char *const fs_types[] = { "rafsv6", "erofs", NULL };

static int check(const struct volume_attach *request, struct volume_bases *bases, struct error *err)
{
	const struct virtual_volume *volume = &request->volume;
	struct nydus_config config;
	int result = volume_check_source(request, bases, err);

	if (result < 0)
		return result;
	if (volume->nydus_image.snapshot_dir && volume->nydus_image.snapshot_dir[0])
		return error_field(err, "nydus_image.snapshot_dir", "is a directory of the host, and says nothing to a guest");
	result = nydus_config_read(volume, false, request->plain_allowed, &config, err);
	nydus_config_free(&config);
	return result;
}

static int attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		  struct error *err)
{
	struct nydus_config config;
	struct mapped bootstrap;
	int result = nydus_config_read(&request->volume, false, request->plain_allowed, &config, err);

	if (result == 0)
		result = mapped_open_own(request, context, &bootstrap, err);
	if (result == 0) {
		mapped_describe(&bootstrap, "erofs", attached);
		result = erofs_image_mount(request, &bootstrap, &config, context, err);
	}
	nydus_config_free(&config);
	return result;
}

#define NYDUS_BLOCK(name)                                                                                                          \
	{                                                                                                                          \
		.type = name,                                                                                                      \
		.rules = { .may = VIRTUAL_VOLUME_NYDUS_IMAGE | VIRTUAL_VOLUME_DM_VERITY,                                           \
			   .fs_types = fs_types,                                                                                   \
			   .fs_type_needed = true },                                                                               \
		.check = check, .attach = attach,                                                                                  \
	}

const struct volume_driver nydus_block_image = NYDUS_BLOCK("image_nydus_block");
const struct volume_driver nydus_block_layer = NYDUS_BLOCK("layer_nydus_block");
