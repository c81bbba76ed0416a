/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/volume.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "sys/device_ways.h"
#include "volume/direct_block.h"
#include "volume/nydus_block.h"
#include "volume/nydus_fs.h"
#include "volume/raw_block.h"

/* Known, so that a shim learns that this agent cannot do it, and not that it made a spelling mistake. */
static const struct volume_driver guest_pull_image = {
	.type = "image_guest_pull",
	.rules = { .may = VIRTUAL_VOLUME_IMAGE_PULL, .must = VIRTUAL_VOLUME_IMAGE_PULL, .verified_by_base = true },
};

const struct volume_driver *const volume_drivers[] = {
	&raw_block_image,   &raw_block_layer, &direct_block,   &nydus_block_image,
	&nydus_block_layer, &nydus_fs_image,  &nydus_fs_layer, &guest_pull_image,
};
const size_t volume_driver_count = array_count(volume_drivers);

static const struct volume_driver *find(const char *type)
{
	for (size_t i = 0; i < volume_driver_count; i++) {
		if (strcmp(volume_drivers[i]->type, type) == 0)
			return volume_drivers[i];
	}
	return NULL;
}

int volume_check(const struct volume_attach *request, struct volume_bases *bases, struct error *err)
{
	const struct volume_driver *driver = find(request->volume.volume_type);

	*bases = (struct volume_bases){ 0 };
	if (!driver)
		return error_field(err, "volume_type", "unknown volume type \"%.64s\"", request->volume.volume_type);
	if (!driver->attach) {
		int result = error_field(err, "volume_type", "%s is not supported by this agent", driver->type);

		err->code = ERROR_UNSUPPORTED_VOLUME;
		err->errnum = ENOTSUP;
		return result;
	}
	int result = rules_check(&request->volume, &driver->rules, err);
	if (result == 0)
		result = driver->check(request, bases, err);
	return result == 0 ? rules_check_trust(&request->volume, &driver->rules, request->plain_allowed, err) : result;
}

int volume_attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		  struct error *err)
{
	const struct volume_driver *driver = find(request->volume.volume_type);

	if (!driver || !driver->attach)
		return error_set(err, ERROR_INTERNAL, EINVAL, "volume type %s", request->volume.volume_type);
	snprintf(attached->type, sizeof(attached->type), "%s", driver->type);
	return driver->attach(request, context, attached, err);
}

int volume_check_device(const struct blockdev_name *name, struct error *err)
{
	struct device_wanted wanted;

	return device_ways_read(name, &wanted, err);
}

int volume_source(const char *source, struct blockdev_name *name, struct error *err)
{
	*name = (struct blockdev_name){ .source = source };
	if (!source || source[0] == '\0')
		return error_field(err, "source", "is required: the name of a device (docs/DEVICES.md)");
	return volume_check_device(name, err);
}

int volume_check_source(const struct volume_attach *request, struct volume_bases *bases, struct error *err)
{
	struct blockdev_name name;

	(void)bases;
	return volume_source(request->volume.source, &name, err);
}
