/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/overlay.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"
#include "sys/modules.h"
#include "sys/mounts.h"

/* mount(2) takes one page of options at most (before Linux 6.5 there is no other way for overlay). */
#define DATA_MAX 4095u

static int make_directory(const char *base, const char *name, mode_t mode, struct error *err)
{
	char path[512];

	if (text_format(path, sizeof(path), "%s%s", base, name) < 0)
		return error_set(err, ERROR_MOUNT, ENAMETOOLONG, "directory in %s", base);
	if (mkdir(path, mode) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	return 0;
}

static int write_options(struct buf *options, const char *const *lower, size_t count, const char *upper_base)
{
	int result = buf_printf(options, "lowerdir=");

	for (size_t i = 0; i < count && result == 0; i++)
		result = buf_printf(options, "%s%s", i ? ":" : "", lower[i]);
	/* volatile: the upper layer's key is gone after a crash, so making it durable would be work for nobody. */
	if (result == 0)
		result = buf_printf(options, ",upperdir=%s/upper,workdir=%s/work,volatile", upper_base, upper_base);
	if (result == 0)
		result = buf_append(options, "", 1);
	return result;
}

int overlay_mount(const char *lower_base, const char *const *lower, size_t count, const char *upper_base, const char *target,
		  struct undo *undo, struct error *err)
{
	static const char *const modules[] = { "overlay", NULL };
	struct buf options = { .limit = DATA_MAX };
	int result = modules_load(modules, err);

	if (result < 0)
		return result;
	result = write_options(&options, lower, count, upper_base);
	if (result == -EMSGSIZE)
		result = error_field(err, "lower", "the names of the volumes are too long together: %u bytes of options fit",
				     DATA_MAX);
	else if (result < 0)
		result = error_set(err, ERROR_INTERNAL, -result, "overlay options");
	if (result == 0)
		result = undo_push(undo, UNDO_TREE, upper_base, err);
	if (result == 0)
		result = make_directory(upper_base, "", 0700, err);
	if (result == 0)
		result = make_directory(upper_base, "/upper", 0755, err);
	if (result == 0)
		result = make_directory(upper_base, "/work", 0700, err);
	if (result == 0)
		result = undo_push(undo, UNDO_RMDIR, target, err);
	if (result == 0)
		result = make_directory(target, "", 0700, err);
	if (result == 0)
		result = undo_push(undo, UNDO_UMOUNT, target, err);
	/* Relative lower names keep the options short. */
	if (result == 0 && chdir(lower_base) < 0)
		result = error_set(err, ERROR_MOUNT, errno, "enter %s", lower_base);
	if (result == 0)
		result = mounts_mount("overlay", target, "overlay", 0, options.data, ERROR_MOUNT, err);
	buf_free(&options);
	if (chdir("/") < 0 && result == 0)
		result = error_set(err, ERROR_MOUNT, errno, "leave %s", lower_base);
	return result;
}
