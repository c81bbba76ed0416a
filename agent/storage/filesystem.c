/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "sys/libraries.h"
#include "sys/modules.h"
#include "sys/mounts.h"

static const struct filesystem {
	const char *type;
	const char *module;
	const char *data; /* constant: never words of a request */
} known[] = {
	{ "erofs", "erofs", NULL },
	{ "squashfs", "squashfs", NULL },
	/* noload: a journal is never replayed from an image; it could not be written anyway. */
	{ "ext4", "?ext4", "noload" },
};

static const struct filesystem *find(const char *type)
{
	for (size_t i = 0; i < array_count(known); i++) {
		if (strcmp(known[i].type, type) == 0)
			return &known[i];
	}
	return NULL;
}

bool filesystem_is_known(const char *type)
{
	return find(type) != NULL;
}

int filesystem_detect(const char *node, const char **type, struct error *err)
{
	char *wanted[array_count(known) + 1] = { NULL };
	const char *found = NULL;
	struct libraries lib;
	int result = libraries_open(&lib, LIBRARY_blkid, err);

	if (result < 0)
		return result;
	for (size_t i = 0; i < array_count(known); i++)
		wanted[i] = (char *)known[i].type; /* libblkid does not change them, but says char * */
	fd_auto fd = open(node, O_RDONLY | O_CLOEXEC);
	blkid_probe probe = fd >= 0 ? lib.blkid_new_probe() : NULL;
	if (!probe)
		return error_set(err, ERROR_MOUNT, fd < 0 ? errno : ENOMEM, "probe %s", node);
	lib.blkid_probe_enable_superblocks(probe, 1);
	lib.blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	lib.blkid_probe_filter_superblocks_type(probe, BLKID_FLTR_ONLYIN, wanted);
	if (lib.blkid_probe_set_device(probe, fd, 0, 0) == 0 && lib.blkid_do_safeprobe(probe) == 0)
		lib.blkid_probe_lookup_value(probe, "TYPE", &found, NULL);
	const struct filesystem *filesystem = found ? find(found) : NULL;
	lib.blkid_free_probe(probe);
	if (!filesystem)
		return error_set(err, ERROR_MOUNT, EINVAL, "no erofs, squashfs or ext4 was found in the image");
	*type = filesystem->type;
	return 0;
}

int filesystem_mount_image(const char *node, const char *target, const char *type, struct undo *undo, struct error *err)
{
	const struct filesystem *filesystem = find(type);

	if (!filesystem)
		return error_set(err, ERROR_MOUNT, EINVAL, "file system %s", type);
	const char *modules[] = { filesystem->module, NULL };
	int result = modules_load(modules, err);
	if (result == 0)
		result = undo_push(undo, UNDO_RMDIR, target, err);
	if (result < 0)
		return result;
	if (mkdir(target, 0700) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", target);
	result = undo_push(undo, UNDO_UMOUNT, target, err);
	if (result < 0)
		return result;
	return mounts_mount(node, target, type, MS_RDONLY | MS_NODEV | MS_NOSUID, filesystem->data, ERROR_MOUNT, err);
}
