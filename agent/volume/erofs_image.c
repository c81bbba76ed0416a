/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/erofs_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "storage/erofs.h"
#include "storage/filesystem.h"
#include "sys/devmapper.h"

struct devices {
	const struct volume_attach *request;
	struct volume_context *context;
	const struct mapped *image;
	const struct nydus_config *config;
	struct erofs_layout layout;
	struct buf options; /* "device=NODE,device=NODE" in the order of the image's table */
	char source[192];   /* what is mounted: the image's node, or a mapping of it */
	dev_t number;
};

static int add_device(struct buf *options, const char *node, struct error *err)
{
	if (buf_printf(options, "%sdevice=%s", buf_length(options) ? "," : "", node) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "mount options");
	return 0;
}

static int open_blob(struct devices *d, uint32_t index, struct error *err)
{
	const struct nydus_blob *blob = &((const struct nydus_blob *)d->config->blobs.items)[index];
	const struct erofs_device *device = &d->layout.devices[index];
	struct mapped mapped;
	char part[24];
	int result = nydus_config_match(blob, device->tag, index, err);

	if (result < 0)
		return result;
	snprintf(part, sizeof(part), "blob%u", index);
	const struct mapped_request wanted = {
		.source = blob->source,
		.verity = blob->has_dm_verity ? &blob->dm_verity : NULL,
		.id = d->request->id,
		.part = part,
		.timeout_ms = d->request->timeout_ms,
	};
	result = mapped_open(&wanted, d->context, &mapped, err);
	if (result < 0)
		return error_wrap(err, "blob %u", index);
	if (mapped.size < device->bytes)
		return error_set(err, ERROR_DEVICE, ENOSPC, "blob %u has %llu bytes, the image uses %llu of it", index,
				 (unsigned long long)mapped.size, (unsigned long long)device->bytes);
	return add_device(&d->options, mapped.node, err);
}

/* Since 6.4 the kernel finds the devices of a flat disk by itself; older ones get each as a mapping of its range. */
static bool kernel_reads_flat_disks(void)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 4));
}

/* A range of the image's device as a mapping of its own. */
static int slice(struct devices *d, const char *part, uint64_t start, uint64_t bytes, char *node, size_t size, dev_t *number,
		 struct error *err)
{
	const dev_t below = d->image->number;
	char name[128], params[64];
	int result;

	if (text_format(name, sizeof(name), "coffer-volume-%s+%s", d->request->id, part) < 0 ||
	    text_format(node, size, "/dev/mapper/%s", name) < 0 ||
	    text_format(params, sizeof(params), "%u:%u %llu", major(below), minor(below), (unsigned long long)(start / 512)) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", d->request->id);
	result = undo_push(d->context->undo, UNDO_DM_REMOVE, name, err);
	const struct devmapper_target target = { .sectors = bytes / 512, .type = "linear", .params = params, .read_only = true };
	return result == 0 ? devmapper_create(name, &target, ERROR_MOUNT, number, err) : result;
}

/* The image itself too: the kernel mounts nothing from a device that mappings hold. */
static int slice_all(struct devices *d, struct error *err)
{
	char node[160], part[24];
	dev_t number;
	int result = slice(d, "image", 0, d->image->size, d->source, sizeof(d->source), &d->number, err);

	for (uint32_t i = 0; i < d->layout.device_count && result == 0; i++) {
		const struct erofs_device *device = &d->layout.devices[i];

		snprintf(part, sizeof(part), "slice%u", i);
		result = slice(d, part, device->mapped, device->bytes, node, sizeof(node), &number, err);
		if (result == 0)
			result = add_device(&d->options, node, err);
	}
	return result;
}

static int find_devices(struct devices *d, struct error *err)
{
	const struct erofs_layout *layout = &d->layout;
	int result = 0;

	if (d->config && d->config->blobs.count) {
		if (d->config->blobs.count != layout->device_count)
			return error_set(err, ERROR_MOUNT, EINVAL, "%zu blobs are given, and the image is spread over %u",
					 d->config->blobs.count, layout->device_count);
		for (uint32_t i = 0; i < layout->device_count && result == 0; i++)
			result = open_blob(d, i, err);
		return result;
	}
	result = erofs_check_flat(layout, d->image->size, err);
	if (result < 0 || layout->device_count == 0 || kernel_reads_flat_disks())
		return result;
	return slice_all(d, err);
}

static int find_and_mount(struct devices *d, struct error *err)
{
	fd_auto fd = open(d->image->node, O_RDONLY | O_CLOEXEC);
	int result;

	if (fd < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", d->image->node);
	result = erofs_read(fd, d->image->size, &d->layout, err);
	if (result == 0)
		result = find_devices(d, err);
	if (result < 0)
		return error_step(err, "find the image's devices");
	steps_done(d->context->steps, "find its devices");
	bool several = buf_length(&d->options) > 0;
	if (buf_append(&d->options, "", 1) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "mount options");
	const struct filesystem_mount mount = {
		.source = d->source,
		.device = d->number,
		.type = "erofs",
		.flags = MS_RDONLY,
		.options = several ? buf_bytes(&d->options) : NULL,
	};
	return mapped_mount(d->request, &mount, d->context, err);
}

int erofs_image_mount(const struct volume_attach *request, const struct mapped *image, const struct nydus_config *config,
		      struct volume_context *context, struct error *err)
{
	auto_free struct devices *d = calloc(1, sizeof(*d));

	if (!d)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "volume %s", request->id);
	d->request = request;
	d->context = context;
	d->image = image;
	d->config = config;
	d->number = image->number;
	snprintf(d->source, sizeof(d->source), "%s", image->node);
	int result = find_and_mount(d, err);
	buf_free(&d->options);
	return result;
}
