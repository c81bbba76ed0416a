/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sys/modules.h"
#include "sys/mounts.h"

/* mount(2) takes one page of options at most. */
#define DATA_MAX 4095u

#define COMMON "redirect_dir=nofollow,metacopy=off,index=off,volatile"

struct layers {
	const char *base;
	const char *const *names;
	size_t count;
	int folders[OVERLAY_LOWER_MAX]; /* O_PATH */
	const char *upper, *target;
};

static int make_directory(const char *base, const char *name, mode_t mode, struct error *err)
{
	char path[512];

	if (text_format(path, sizeof(path), "%s%s", base, name) < 0)
		return error_set(err, ERROR_MOUNT, ENAMETOOLONG, "directory in %s", base);
	if (mkdir(path, mode) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	return 0;
}

static int open_layers(struct layers *layers, struct error *err)
{
	fd_auto base = open(layers->base, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (base < 0)
		return error_set(err, ERROR_MOUNT, errno, "enter %s", layers->base);
	for (size_t i = 0; i < layers->count; i++) {
		layers->folders[i] = openat(base, layers->names[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (layers->folders[i] < 0)
			return error_set(err, ERROR_MOUNT, errno, "open the layer %s", layers->names[i]);
	}
	return 0;
}

static int append_upper(struct buf *options, const struct layers *layers)
{
	int result = buf_printf(options, ",upperdir=%s/upper,workdir=%s/work," COMMON, layers->upper, layers->upper);

	return result == 0 ? buf_append(options, "", 1) : result;
}

/* One option a layer: no limit but the kernel's 500.  Linux 6.8. */
static int mount_by_options(const struct layers *layers, struct error *err)
{
	struct buf options = { 0 };
	int result = 0;

	for (size_t i = 0; i < layers->count && result == 0; i++)
		result = buf_printf(&options, "%slowerdir+=%s/%s", i ? "," : "", layers->base, layers->names[i]);
	if (result == 0)
		result = append_upper(&options, layers);
	if (result < 0)
		result = error_set(err, ERROR_INTERNAL, -result, "overlay options");
	else
		result = mounts_new("overlay", NULL, 0, options.data, ERROR_MOUNT, err);
	buf_free(&options);
	if (result < 0)
		return result;
	fd_auto made = result;
	fd_auto place = open(layers->target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", layers->target);
	return mounts_attach(made, place, ERROR_MOUNT, err);
}

/* Everything in one page: each layer is named by its descriptor's number, in /proc/self/fd. */
static int mount_by_numbers(const struct layers *layers, struct error *err)
{
	struct buf options = { .limit = DATA_MAX };
	int result = buf_printf(&options, "lowerdir=");

	for (size_t i = 0; i < layers->count && result == 0; i++)
		result = buf_printf(&options, "%s%d", i ? ":" : "", layers->folders[i]);
	if (result == 0)
		result = append_upper(&options, layers);
	if (result == -EMSGSIZE)
		result = error_field(err, "lower", "too many volumes: %u bytes of options fit", DATA_MAX);
	else if (result < 0)
		result = error_set(err, ERROR_INTERNAL, -result, "overlay options");
	else if (chdir("/proc/self/fd") < 0)
		result = error_set(err, ERROR_MOUNT, errno, "enter /proc/self/fd");
	else
		result = mounts_mount("overlay", layers->target, "overlay", 0, options.data, ERROR_MOUNT, err);
	buf_free(&options);
	if (chdir("/") < 0 && result == 0)
		result = error_set(err, ERROR_MOUNT, errno, "enter /");
	return result;
}

static int make_places(const struct layers *layers, struct undo *undo, struct error *err)
{
	int result = undo_push(undo, UNDO_TREE, layers->upper, err);

	if (result == 0)
		result = make_directory(layers->upper, "", 0700, err);
	if (result == 0)
		result = make_directory(layers->upper, "/upper", 0755, err);
	if (result == 0)
		result = make_directory(layers->upper, "/work", 0700, err);
	if (result == 0)
		result = undo_push(undo, UNDO_RMDIR, layers->target, err);
	if (result == 0)
		result = make_directory(layers->target, "", 0700, err);
	return result == 0 ? undo_push(undo, UNDO_UMOUNT, layers->target, err) : result;
}

int overlay_mount(const char *lower_base, const char *const *lower, size_t count, const char *upper_base, const char *target,
		  struct undo *undo, struct error *err)
{
	static const char *const modules[] = { "overlay", NULL };
	struct layers layers = { .base = lower_base, .names = lower, .count = count, .upper = upper_base, .target = target };
	int result = modules_load(modules, err);

	if (result < 0)
		return result;
	if (count == 0 || count > OVERLAY_LOWER_MAX)
		return error_field(err, "lower", "1 to %u volumes", OVERLAY_LOWER_MAX);
	memset(layers.folders, -1, sizeof(layers.folders));
	result = open_layers(&layers, err);
	if (result == 0)
		result = make_places(&layers, undo, err);
	if (result == 0) {
		result = mount_by_options(&layers, err);
		/* A kernel that does not know the option; whatever else is wrong, the second way meets it again. */
		if (result == -EINVAL)
			result = mount_by_numbers(&layers, err);
	}
	for (size_t i = 0; i < count; i++)
		close_fd(&layers.folders[i]);
	return result;
}
