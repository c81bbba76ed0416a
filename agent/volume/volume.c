/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/volume.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "volume/raw_block.h"

#define SERIAL_PREFIX "serial:"

/* Known, so that a shim learns that this agent cannot do it, and not that it made a spelling mistake. */
#define KNOWN_ONLY(symbol, name) static const struct volume_driver symbol = { .type = name }

KNOWN_ONLY(direct_block, "direct_block");
KNOWN_ONLY(layer_raw_block, "layer_raw_block");
KNOWN_ONLY(image_nydus_block, "image_nydus_block");
KNOWN_ONLY(layer_nydus_block, "layer_nydus_block");
KNOWN_ONLY(image_nydus_fs, "image_nydus_fs");
KNOWN_ONLY(layer_nydus_fs, "layer_nydus_fs");
KNOWN_ONLY(image_guest_pull, "image_guest_pull");

const struct volume_driver *const volume_drivers[] = {
	&raw_block_image,   &direct_block,   &layer_raw_block, &image_nydus_block,
	&layer_nydus_block, &image_nydus_fs, &layer_nydus_fs,  &image_guest_pull,
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

int volume_check(const struct volume_attach *request, struct error *err)
{
	const struct volume_driver *driver = find(request->volume.volume_type);

	if (!driver)
		return error_field(err, "volume_type", "unknown volume type \"%.64s\"", request->volume.volume_type);
	if (!driver->attach) {
		int result = error_field(err, "volume_type", "%s is not supported by this agent", driver->type);

		err->code = ERROR_UNSUPPORTED_VOLUME;
		err->errnum = ENOTSUP;
		return result;
	}
	return driver->check(request, err);
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
	if (name->serial) {
		if (name->serial[0] == '\0' || strlen(name->serial) > COFFER_SERIAL_MAX)
			return error_field(err, "serial", "a serial has 1 to %d characters", COFFER_SERIAL_MAX);
		return 0;
	}
	if (strncmp(name->path, "/dev/", 5) != 0 || name->path[5] == '\0' ||
	    strlen(name->path) >= sizeof(((struct blockdev *)0)->path))
		return error_field(err, "path", "a device is a short path below /dev");
	/* One spelling for each device, or the next line would be passed by with another. */
	if (strstr(name->path, "//") || strstr(name->path, "/."))
		return error_field(err, "path", "no component may be empty or begin with a dot");
	if (strncmp(name->path, "/dev/mapper/", 12) == 0 || strncmp(name->path, "/dev/dm-", 8) == 0)
		return error_field(err, "path", "the agent's own mappings are not to be named");
	return 0;
}

int volume_source(const struct virtual_volume *volume, struct blockdev_name *name, struct error *err)
{
	*name = (struct blockdev_name){ 0 };
	if (!volume->source || volume->source[0] == '\0')
		return error_field(err, "source", "is required: a path below /dev, or serial:S");
	if (strncmp(volume->source, SERIAL_PREFIX, strlen(SERIAL_PREFIX)) == 0)
		name->serial = volume->source + strlen(SERIAL_PREFIX);
	else
		name->path = volume->source;
	int result = volume_check_device(name, err);
	if (result < 0)
		snprintf(err->field, sizeof(err->field), "source");
	return result;
}
