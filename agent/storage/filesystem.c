/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "sys/libraries.h"
#include "sys/modules.h"
#include "sys/mounts.h"

static const struct filesystem {
	const char *type;
	const char *module;
	bool image;
	const char *read_only, *writable; /* options for each way; NULL: none */
} known[] = {
	{ "erofs", "erofs", true, NULL, NULL },
	{ "squashfs", "squashfs", true, NULL, NULL },
	/* noload, norecovery: who mounts read-only writes nothing, and a journal is never replayed from an image. */
	{ "ext4", "?ext4", true, "noload", "errors=remount-ro" },
	/* nouuid: two volumes made from one image may be mounted side by side. */
	{ "xfs", "xfs", false, "norecovery,nouuid", "nouuid" },
};

static const struct filesystem *find(const char *type)
{
	for (size_t i = 0; i < array_count(known); i++) {
		if (strcmp(known[i].type, type) == 0)
			return &known[i];
	}
	return NULL;
}

bool filesystem_is_image(const char *type)
{
	const struct filesystem *filesystem = find(type);

	return filesystem && filesystem->image;
}

bool filesystem_is_known(const char *type)
{
	return find(type) != NULL;
}

/* The file system that libblkid finds among `wanted` (NULL-terminated); NULL when none, or more than one. */
static int probe_for(const char *node, char **wanted, const struct filesystem **found, struct error *err)
{
	const char *name = NULL;
	struct libraries lib;
	int result = libraries_open(&lib, LIBRARY_blkid, err);

	if (result < 0)
		return result;
	fd_auto fd = open(node, O_RDONLY | O_CLOEXEC);
	blkid_probe probe = fd >= 0 ? lib.blkid_new_probe() : NULL;
	if (!probe)
		return error_set(err, ERROR_MOUNT, fd < 0 ? errno : ENOMEM, "probe %s", node);
	lib.blkid_probe_enable_superblocks(probe, 1);
	lib.blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	lib.blkid_probe_filter_superblocks_type(probe, BLKID_FLTR_ONLYIN, wanted);
	if (lib.blkid_probe_set_device(probe, fd, 0, 0) == 0 && lib.blkid_do_safeprobe(probe) == 0)
		lib.blkid_probe_lookup_value(probe, "TYPE", &name, NULL);
	*found = name ? find(name) : NULL;
	lib.blkid_free_probe(probe);
	return 0;
}

int filesystem_detect(const char *node, const char **type, struct error *err)
{
	char *wanted[array_count(known) + 1] = { NULL };
	const struct filesystem *found;
	size_t count = 0;

	for (size_t i = 0; i < array_count(known); i++) {
		if (known[i].image)
			wanted[count++] = (char *)known[i].type; /* libblkid does not change them, but says char * */
	}
	int result = probe_for(node, wanted, &found, err);
	if (result < 0)
		return result;
	if (!found)
		return error_set(err, ERROR_MOUNT, EINVAL, "no erofs, squashfs or ext4 was found in the image");
	*type = found->type;
	return 0;
}

int filesystem_confirm(const char *node, const char *type, struct error *err)
{
	const struct filesystem *wanted = find(type), *found;
	char *names[2] = { wanted ? (char *)wanted->type : NULL, NULL };

	if (!wanted)
		return error_set(err, ERROR_MOUNT, EINVAL, "file system %s", type);
	int result = probe_for(node, names, &found, err);
	if (result == 0 && found != wanted)
		result = error_set(err, ERROR_MOUNT, EINVAL, "no %s is found on the device", type);
	return result;
}

static int write_options(struct buf *options, const struct filesystem *filesystem, const struct filesystem_mount *mount)
{
	const char *const parts[] = {
		mount->flags & MS_RDONLY ? filesystem->read_only : filesystem->writable,
		mount->discard ? "discard" : NULL,
		mount->options,
	};
	int result = 0;

	for (size_t i = 0; i < array_count(parts) && result == 0; i++) {
		if (parts[i])
			result = buf_printf(options, "%s%s", buf_length(options) ? "," : "", parts[i]);
	}
	return result == 0 ? buf_append(options, "", 1) : result;
}

/* A detached mount: it is looked at before anybody can see it. */
static int make_mount(const struct filesystem *filesystem, const struct filesystem_mount *mount, struct error *err)
{
	unsigned long flags = mount->flags | MS_NODEV | MS_NOSUID;
	struct buf options = { 0 };
	struct stat status;
	int result = write_options(&options, filesystem, mount);

	if (result < 0)
		result = error_set(err, ERROR_INTERNAL, -result, "mount options");
	else
		result = mounts_new(mount->type, mount->source, flags, options.data, ERROR_MOUNT, err);
	buf_free(&options);
	fd_auto made = result;
	if (made < 0)
		return made;
	if (fstat(made, &status) < 0)
		return error_set(err, ERROR_MOUNT, errno, "look at the new %s", mount->type);
	/* The name has been resolved again: what was claimed and checked is what must be mounted. */
	if (mount->device && status.st_dev != mount->device)
		return error_set(err, ERROR_MOUNT, ESTALE, "%s is device %u:%u, and %u:%u was checked", mount->source,
				 major(status.st_dev), minor(status.st_dev), major(mount->device), minor(mount->device));
	return take_fd(&made);
}

int filesystem_mount(const struct filesystem_mount *mount, const char *target, struct undo *undo, struct error *err)
{
	const struct filesystem *filesystem = find(mount->type);

	if (!filesystem)
		return error_set(err, ERROR_MOUNT, EINVAL, "file system %s", mount->type);
	const char *modules[] = { filesystem->module, NULL };
	int result = modules_load(modules, err);
	if (result < 0)
		return result;
	fd_auto made = make_mount(filesystem, mount, err);
	return made < 0 ? made : mounts_place(made, target, undo, ERROR_MOUNT, err);
}
