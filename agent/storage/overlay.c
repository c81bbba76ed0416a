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
#include "sys/labels.h"
#include "sys/modules.h"
#include "sys/mounts.h"

/* mount(2) takes one page of options at most. */
#define DATA_MAX 4095u

#define COMMON "redirect_dir=nofollow,metacopy=off,index=off"

struct layers {
	const struct overlay *overlay;
	int folders[OVERLAY_LOWER_MAX]; /* O_PATH */
	const char *target;
};

static int make_directory(const char *path, mode_t mode, struct error *err)
{
	if (mkdir(path, mode) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	return 0;
}

static int open_layers(struct layers *layers, struct error *err)
{
	const struct overlay *overlay = layers->overlay;
	fd_auto base = open(overlay->base, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (base < 0)
		return error_set(err, ERROR_MOUNT, errno, "enter %s", overlay->base);
	for (size_t i = 0; i < overlay->count; i++) {
		layers->folders[i] = openat(base, overlay->lower[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (layers->folders[i] < 0)
			return error_set(err, ERROR_MOUNT, errno, "open the layer %s", overlay->lower[i]);
	}
	return 0;
}

static int append_upper(struct buf *options, const struct overlay *overlay)
{
	char label[LABELS_MAX + 16];
	int result = 0;

	if (overlay->upper)
		result = buf_printf(options, ",upperdir=%s,workdir=%s", overlay->upper, overlay->work);
	if (result == 0)
		result = buf_printf(options, "," COMMON "%s", overlay->upper && !overlay->lasting ? ",volatile" : "");
	if (overlay->label) {
		labels_mount_option(overlay->label, label, sizeof(label));
		result = result == 0 ? buf_printf(options, ",%s", label) : result;
	}
	return result == 0 ? buf_append(options, "", 1) : result;
}

static int append_lower(struct buf *options, const char *comma, const char *base, const char *name)
{
	if (*name == '/')
		return buf_printf(options, "%slowerdir+=%s", comma, name);
	return buf_printf(options, "%slowerdir+=%s/%s", comma, base, name);
}

/* One option a layer: no limit but the kernel's 500.  Linux 6.8. */
static int mount_by_options(const struct layers *layers, struct error *err)
{
	struct buf options = { 0 };
	int result = 0;

	for (size_t i = 0; i < layers->overlay->count && result == 0; i++)
		result = append_lower(&options, i ? "," : "", layers->overlay->base, layers->overlay->lower[i]);
	if (result == 0)
		result = append_upper(&options, layers->overlay);
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

	for (size_t i = 0; i < layers->overlay->count && result == 0; i++)
		result = buf_printf(&options, "%s%d", i ? ":" : "", layers->folders[i]);
	if (result == 0)
		result = append_upper(&options, layers->overlay);
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

static int make_upper(const struct overlay *overlay, const char *upper_base, struct undo *undo, struct error *err)
{
	int result = undo_push(undo, UNDO_TREE, upper_base, err);

	if (result == 0)
		result = make_directory(upper_base, 0700, err);
	if (result == 0)
		result = make_directory(overlay->upper, 0755, err);
	return result == 0 ? make_directory(overlay->work, 0700, err) : result;
}

static int place(struct layers *layers, struct undo *undo, struct error *err)
{
	int result = undo_push(undo, UNDO_RMDIR, layers->target, err);

	if (result == 0)
		result = make_directory(layers->target, 0700, err);
	if (result == 0)
		result = undo_push(undo, UNDO_UMOUNT, layers->target, err);
	if (result < 0)
		return result;
	result = mount_by_options(layers, err);
	/* A kernel that does not know the option; whatever else is wrong, the second way meets it again. */
	return result == -EINVAL ? mount_by_numbers(layers, err) : result;
}

/* With `upper_base` the upper and work directories are made in it. */
static int stack(const struct overlay *overlay, const char *upper_base, const char *target, struct undo *undo, struct error *err)
{
	static const char *const modules[] = { "overlay", NULL };
	struct layers layers = { .overlay = overlay, .target = target };
	int result = modules_load(modules, err);

	if (result < 0)
		return result;
	if (overlay->count == 0 || overlay->count > OVERLAY_LOWER_MAX)
		return error_field(err, "lower", "1 to %u volumes", OVERLAY_LOWER_MAX);
	memset(layers.folders, -1, sizeof(layers.folders));
	result = open_layers(&layers, err);
	if (result == 0 && upper_base)
		result = make_upper(overlay, upper_base, undo, err);
	if (result == 0)
		result = place(&layers, undo, err);
	for (size_t i = 0; i < overlay->count; i++)
		close_fd(&layers.folders[i]);
	return result;
}

int overlay_stack(const struct overlay *overlay, const char *target, struct undo *undo, struct error *err)
{
	return stack(overlay, NULL, target, undo, err);
}

int overlay_mount(const char *lower_base, const char *const *lower, size_t count, const char *upper_base, const char *label,
		  const char *target, struct undo *undo, struct error *err)
{
	char upper[512], work[512];
	const struct overlay overlay = {
		.base = lower_base, .lower = lower, .count = count, .upper = upper, .work = work, .label = label
	};

	if (text_format(upper, sizeof(upper), "%s/upper", upper_base) < 0 ||
	    text_format(work, sizeof(work), "%s/work", upper_base) < 0)
		return error_set(err, ERROR_MOUNT, ENAMETOOLONG, "directory in %s", upper_base);
	return stack(&overlay, upper_base, target, undo, err);
}
