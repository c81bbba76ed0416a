/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/device_tree.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/text.h"

const struct device_tree device_tree_kernel = { "/sys", "/dev" };

const char *device_tree_last(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int device_tree_number(const char *file, dev_t *number)
{
	char text[32], end;
	unsigned high, low;
	long length = text_read_file(file, text, sizeof(text));

	if (length < 0)
		return (int)length;
	if (sscanf(text, "%u:%u%c", &high, &low, &end) != 2)
		return -EINVAL;
	*number = makedev(high, low);
	return 0;
}

int device_tree_count(const char *file, unsigned long long *value)
{
	char text[32], end;
	long length = text_read_file(file, text, sizeof(text));

	if (length < 0)
		return (int)length;
	return text[0] >= '0' && text[0] <= '9' && sscanf(text, "%llu%c", value, &end) == 1 ? 0 : -EINVAL;
}

/* `folder` with every link resolved, and still below /sys/devices, but not among what software makes. */
static bool resolve(const struct device_tree *tree, const char *link, char *folder, size_t size)
{
	char real[PATH_MAX], top[PATH_MAX];
	int length;

	if (!realpath(link, real))
		return false;
	length = snprintf(top, sizeof(top), "%s/devices/", tree->sys);
	if (length < 0 || (size_t)length >= sizeof(top) || strncmp(real, top, (size_t)length) != 0)
		return false;
	if (strncmp(real + length, "virtual/block/", strlen("virtual/block/")) == 0)
		return false;
	return text_format(folder, size, "%s", real) == 0;
}

static bool has_file(const char *folder, const char *name)
{
	char path[DEVICE_TREE_FOLDER_MAX + 32];

	return text_format(path, sizeof(path), "%s/%s", folder, name) == 0 && access(path, F_OK) == 0;
}

int device_tree_disk(const struct device_tree *tree, const char *name, struct device_disk *disk)
{
	char path[DEVICE_TREE_FOLDER_MAX + 32];
	unsigned long long hidden = 0;

	if (text_format(disk->name, sizeof(disk->name), "%s", name) < 0 ||
	    text_format(path, sizeof(path), "%s/block/%s", tree->sys, name) < 0 ||
	    !resolve(tree, path, disk->folder, sizeof(disk->folder)) || strcmp(device_tree_last(disk->folder), name) != 0)
		return 0;
	if (has_file(disk->folder, "partition"))
		return 0;
	if (text_format(path, sizeof(path), "%s/hidden", disk->folder) == 0 && device_tree_count(path, &hidden) == 0 && hidden)
		return 0;
	return text_format(path, sizeof(path), "%s/dev", disk->folder) == 0 && device_tree_number(path, &disk->number) == 0;
}

/* By the words of the link alone: a look at every mapping of a machine with hundreds would cost more than all else. */
static bool is_virtual(const char *folder, const char *name)
{
	char link[DEVICE_TREE_FOLDER_MAX + 32], target[PATH_MAX];

	if (text_format(link, sizeof(link), "%s/%s", folder, name) < 0)
		return false;
	ssize_t length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return strstr(target, "/devices/virtual/block/") != NULL;
}

int device_tree_each(const struct device_tree *tree, int (*visit)(const struct device_disk *disk, void *context), void *context,
		     struct error *err)
{
	char path[DEVICE_TREE_FOLDER_MAX];
	struct dirent *entry;
	int result = text_format(path, sizeof(path), "%s/block", tree->sys);
	auto_dir blocks = result == 0 ? opendir(path) : NULL;

	if (!blocks)
		return error_set(err, ERROR_INTERNAL, errno, "open %s/block", tree->sys);
	while ((entry = readdir(blocks))) {
		struct device_disk disk;

		if (entry->d_name[0] == '.' || is_virtual(path, entry->d_name) || !device_tree_disk(tree, entry->d_name, &disk))
			continue;
		result = visit(&disk, context);
		if (result != 0)
			return result;
	}
	return 0;
}

int device_tree_node(const struct device_tree *tree, const char *name, dev_t number, char *path, size_t size, struct error *err)
{
	struct stat status;

	if (text_format(path, size, "%s/%s", tree->dev, name) < 0)
		return error_set(err, ERROR_DEVICE, ENAMETOOLONG, "device %s", name);
	if (lstat(path, &status) < 0)
		return 0;
	/* No symbolic links: what is opened must be what was named. */
	if (!S_ISBLK(status.st_mode))
		return error_set(err, ERROR_DEVICE, ENOTBLK, "%s", path);
	return status.st_rdev == number;
}

int device_tree_only(const char *folder, const char *prefix, char *name, size_t size)
{
	auto_dir entries = opendir(folder);
	struct dirent *entry;
	int count = 0;

	while (entries && (entry = readdir(entries))) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		if (++count > 1 || text_format(name, size, "%s", entry->d_name) < 0)
			return 0;
	}
	return count;
}
