/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/nydus_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/decode.h"
#include "base/text.h"
#include "storage/erofs.h"
#include "storage/filesystem.h"
#include "sys/loopdev.h"
#include "sys/paths.h"
#include "volume/mapped.h"
#include "volume/nydus_config.h"

#define PREFIX "volume:"

static const char *const fs_types[] = { "rafsv6", "erofs", NULL };

/* The bootstrap, then the blobs in the order of its table. */
#define FILES_MAX (EROFS_DEVICES_MAX + 1)

struct attaching {
	const struct volume_attach *request;
	struct volume_context *context;
	struct nydus_config config;
	struct erofs_layout layout;
	int files[FILES_MAX], loops[FILES_MAX];
	uint64_t size;
};

/* "volume:ID/PATH" as an id and a path; error for `field`. */
static int split(const char *text, const char *field, char *id, const char **path, struct error *err)
{
	const char *slash;

	if (!text || strncmp(text, PREFIX, strlen(PREFIX)) != 0 || !(slash = strchr(text, '/')))
		return error_field(err, field, "is a path in another volume, volume:ID/PATH");
	size_t length = (size_t)(slash - text) - strlen(PREFIX);
	if (length == 0 || length > COFFER_ID_MAX)
		return error_field(err, field, "names no volume");
	memcpy(id, text + strlen(PREFIX), length);
	id[length] = '\0';
	if (decode_check_id(id, err) < 0)
		return error_field(err, field, "names no volume");
	*path = slash + 1;
	return 0;
}

static int add_base(const char *text, const char *field, struct volume_bases *bases, struct error *err)
{
	const char *path;
	int result = split(text, field, bases->ids[bases->count], &path, err);

	if (result < 0)
		return result;
	if (path[0] == '\0')
		return error_field(err, field, "names no file");
	bases->fields[bases->count++] = field;
	return 0;
}

static int check(const struct volume_attach *request, struct volume_bases *bases, struct error *err)
{
	const struct virtual_volume *volume = &request->volume;
	const char *folder = volume->nydus_image.snapshot_dir;
	struct nydus_config config;
	int result = add_base(volume->source, "source", bases, err);

	if (result == 0 && folder && folder[0])
		result = add_base(folder, "nydus_image.snapshot_dir", bases, err);
	if (result < 0)
		return result;
	result = nydus_config_read(volume, true, request->plain_allowed, &config, err);
	if (result == 0 && config.blobs.count && !(folder && folder[0]))
		result = error_field(err, "nydus_image.snapshot_dir", "is required where there are blobs");
	nydus_config_free(&config);
	return result;
}

/* A regular file below a folder of a volume, whatever symbolic links are in it. */
static int open_file(const char *base, const char *field, const char *name, uint64_t *size, struct error *err)
{
	char id[COFFER_ID_MAX + 1], root_path[160], path[COFFER_PATH_MAX + 1];
	struct stat status;
	const char *inside;
	int result = split(base, field, id, &inside, err);

	if (result < 0)
		return result;
	if (text_format(root_path, sizeof(root_path), VOLUME_DIRECTORY "/%s", id) < 0 ||
	    text_format(path, sizeof(path), "%s%s%s", inside, name ? "/" : "", name ? name : "") < 0)
		return error_field(err, field, "is too long");
	fd_auto root = open(root_path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return error_set(err, ERROR_MOUNT, errno, "open the volume %s", id);
	fd_auto file = paths_open(root, path, O_RDONLY | O_NONBLOCK, err);
	if (file < 0)
		return error_set(err, ERROR_MOUNT, -file, "open %.100s in the volume %s", path, id);
	if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
		return error_set(err, ERROR_MOUNT, EINVAL, "%.100s in the volume %s is no regular file", path, id);
	*size = (uint64_t)status.st_size;
	return take_fd(&file);
}

static int open_blob(struct attaching *a, uint32_t index, struct error *err)
{
	const struct erofs_device *device = &a->layout.devices[index];
	const struct nydus_blob *blob = a->config.blobs.count ? (const struct nydus_blob *)a->config.blobs.items + index : NULL;
	const char *folder = a->request->volume.nydus_image.snapshot_dir;
	uint64_t size;

	if (blob && nydus_config_match(blob, device->tag, index, err) < 0)
		return -EINVAL;
	/* Without a list the files have the blobs' names, as nydus stores them. */
	if (!blob && (!folder || !folder[0] || !device->tag[0] || strchr(device->tag, '/')))
		return error_set(err, ERROR_MOUNT, ENOENT, "the image is spread over %u files, and file %u is not given",
				 a->layout.device_count, index);
	int fd = open_file(folder, "nydus_image.snapshot_dir", blob ? blob->path : device->tag, &size, err);
	if (fd < 0)
		return error_wrap(err, "blob %u", index);
	a->files[index + 1] = fd;
	if (size < device->bytes)
		return error_set(err, ERROR_MOUNT, ENOSPC, "blob %u has %llu bytes, the image uses %llu of it", index,
				 (unsigned long long)size, (unsigned long long)device->bytes);
	return 0;
}

static int open_files(struct attaching *a, struct error *err)
{
	int result = open_file(a->request->volume.source, "source", NULL, &a->size, err);

	if (result < 0)
		return result;
	a->files[0] = result;
	result = erofs_read(a->files[0], a->size, &a->layout, err);
	if (result == 0 && a->config.blobs.count && a->config.blobs.count != a->layout.device_count)
		return error_set(err, ERROR_MOUNT, EINVAL, "%zu blobs are given, and the image is spread over %u",
				 a->config.blobs.count, a->layout.device_count);
	for (uint32_t i = 0; i < a->layout.device_count && result == 0; i++)
		result = open_blob(a, i, err);
	return result;
}

/* `loops`: through loop devices, or as the files that they are. */
static int mount_from(struct attaching *a, bool loops, struct error *err)
{
	struct buf options = { 0 };
	char source[32] = "", node[32];
	int result = 0;

	for (uint32_t i = 0; i <= a->layout.device_count && result == 0; i++) {
		char *name = i == 0 ? source : node;

		if (loops) {
			result = loopdev_open(a->files[i], name, err);
			a->loops[i] = result;
		} else {
			snprintf(name, sizeof(source), "/proc/self/fd/%d", a->files[i]);
		}
		if (result >= 0)
			result = i == 0 ? 0 : buf_printf(&options, "%sdevice=%s", i > 1 ? "," : "", node);
	}
	if (result == 0)
		result = buf_append(&options, "", 1);
	if (result == 0) {
		const struct filesystem_mount mount = {
			.source = source,
			.type = "erofs",
			.flags = MS_RDONLY,
			.options = a->layout.device_count ? options.data : NULL,
		};
		result = mapped_mount(a->request, &mount, a->context, err);
	} else if (result == -ENOMEM) {
		error_set(err, ERROR_INTERNAL, ENOMEM, "mount options");
	}
	buf_free(&options);
	return result;
}

static void close_files(struct attaching *a)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		close_fd(&a->files[i]);
		close_fd(&a->loops[i]);
	}
}

static int attach(const struct volume_attach *request, struct volume_context *context, struct volume_attached *attached,
		  struct error *err)
{
	auto_free struct attaching *a = calloc(1, sizeof(*a));

	if (!a)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "volume %s", request->id);
	a->request = request;
	a->context = context;
	for (size_t i = 0; i < FILES_MAX; i++)
		a->files[i] = a->loops[i] = -1;
	int result = nydus_config_read(&request->volume, true, request->plain_allowed, &a->config, err);
	if (result == 0) {
		result = open_files(a, err);
		if (result < 0)
			error_step(err, "find the image's files");
	}
	if (result == 0) {
		steps_done(context->steps, "find its files");
		result = mount_from(a, false, err);
		/* Nothing has been done yet when a kernel says that it mounts block devices alone. */
		if (result == -ENOTBLK)
			result = mount_from(a, true, err);
	}
	close_files(a);
	nydus_config_free(&a->config);
	snprintf(attached->fs_type, sizeof(attached->fs_type), "erofs");
	attached->size = a->size;
	return result;
}

#define NYDUS_FS(name)                                                                                                             \
	{                                                                                                                          \
		.type = name,                                                                                                      \
		.rules = { .may = VIRTUAL_VOLUME_NYDUS_IMAGE,                                                                      \
			   .fs_types = fs_types,                                                                                   \
			   .fs_type_needed = true,                                                                                 \
			   .verified_by_base = true },                                                                             \
		.check = check, .attach = attach,                                                                                  \
	}

const struct volume_driver nydus_fs_image = NYDUS_FS("image_nydus_fs");
const struct volume_driver nydus_fs_layer = NYDUS_FS("layer_nydus_fs");
