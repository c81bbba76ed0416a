/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/fs_group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FILE_BITS      0660u
#define DIRECTORY_BITS (FILE_BITS | 0110u | S_ISGID)

static int change(int fd, const struct stat *status, gid_t gid, const char *name, struct error *err)
{
	mode_t wanted = (status->st_mode & 07777u) | (S_ISDIR(status->st_mode) ? DIRECTORY_BITS : FILE_BITS);

	if (fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0)
		return error_set(err, ERROR_MOUNT, errno, "change the group of %.100s", name);
	/* What chown has taken away is not given back. */
	if (!S_ISDIR(status->st_mode))
		wanted &= ~(mode_t)(S_ISUID | S_ISGID);
	char self[48];
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (chmod(self, wanted) < 0)
		return error_set(err, ERROR_MOUNT, errno, "change the mode of %.100s", name);
	return 0;
}

static int walk(int directory, dev_t device, gid_t gid, unsigned depth, struct error *err);

static int visit(int parent, const char *name, dev_t device, gid_t gid, unsigned depth, struct error *err)
{
	struct stat status;
	/* O_PATH: opening a pipe or a device for reading would be an act of its own. */
	fd_auto fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %.100s", name);
	if (S_ISLNK(status.st_mode) || status.st_dev != device)
		return 0;
	int result = change(fd, &status, gid, name, err);
	if (result < 0 || !S_ISDIR(status.st_mode))
		return result;
	fd_auto inside = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (inside < 0)
		return error_set(err, ERROR_MOUNT, errno, "read the directory %.100s", name);
	return walk(inside, device, gid, depth + 1, err);
}

static int walk(int directory, dev_t device, gid_t gid, unsigned depth, struct error *err)
{
	struct dirent *entry;
	int result = 0;
	fd_auto copy = dup(directory);
	auto_dir entries = copy >= 0 ? fdopendir(copy) : NULL;

	if (!entries)
		return error_set(err, ERROR_MOUNT, errno, "read a directory");
	copy = -1; /* the directory stream's now */
	if (depth > FS_GROUP_DEPTH)
		return error_set(err, ERROR_MOUNT, ELOOP, "directories are nested more than %u deep", FS_GROUP_DEPTH);
	errno = 0;
	while (result == 0 && (entry = readdir(entries))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = visit(directory, entry->d_name, device, gid, depth, err);
		errno = 0;
	}
	if (result == 0 && errno)
		return error_set(err, ERROR_MOUNT, errno, "read a directory");
	return result;
}

int fs_group_apply(const char *path, const struct fs_group *group, struct error *err)
{
	struct stat status;
	fd_auto root = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (root < 0 || fstat(root, &status) < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", path);
	if (group->on_mismatch_only && status.st_gid == group->gid && (status.st_mode & DIRECTORY_BITS) == DIRECTORY_BITS)
		return 0;
	/* The root last: a walk that was broken off is not taken for a whole one the next time. */
	int result = walk(root, status.st_dev, group->gid, 0, err);
	return result == 0 ? change(root, &status, group->gid, path, err) : result;
}
