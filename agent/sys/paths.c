/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

/* The kernel gives EAGAIN when a rename raced with the walk: trying again is the documented answer. */
static int open_in_root(int root, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = (flags & O_CREAT) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	for (int tries = 0; tries < 128; tries++) {
		long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int paths_open(int root, const char *path, int flags, struct error *err)
{
	int fd = open_in_root(root, path, flags, 0);

	return fd >= 0 ? fd : error_set(err, ERROR_CONTAINER, -fd, "open %s in the root", path);
}

/* Opens one component below `at`, making it if it is missing; everything stays within `root` since `at` does. */
static int enter(int root, const char *prefix, mode_t mode, struct error *err)
{
	int fd = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);

	if (fd != -ENOENT)
		return fd >= 0 ? fd : error_set(err, ERROR_CONTAINER, -fd, "open %s in the root", prefix);
	/* The parent was opened the turn before, so only the last component is missing (or is a dangling link). */
	const char *slash = strrchr(prefix, '/');
	char parent[4096];
	if (text_format(parent, sizeof(parent), "%.*s", slash ? (int)(slash - prefix) : 0, prefix) < 0)
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "directory in the root");
	fd_auto directory = open_in_root(root, parent[0] ? parent : "/", O_PATH | O_DIRECTORY, 0);
	if (directory < 0)
		return error_set(err, ERROR_CONTAINER, -directory, "open %s in the root", parent);
	if (mkdirat(directory, slash ? slash + 1 : prefix, mode) < 0 && errno != EEXIST)
		return error_set(err, ERROR_CONTAINER, errno, "make the directory %s in the root", prefix);
	fd = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);
	return fd >= 0 ? fd : error_set(err, ERROR_CONTAINER, -fd, "open %s in the root", prefix);
}

int paths_make_directory(int root, const char *path, mode_t mode, struct error *err)
{
	char prefix[4096];
	size_t length = strlen(path);

	if (length >= sizeof(prefix))
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "directory in the root");
	fd_auto fd = open_in_root(root, path[0] ? path : "/", O_PATH | O_DIRECTORY, 0);
	if (fd >= 0)
		return take_fd(&fd);
	memcpy(prefix, path, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		if (path[i - 1] == '/')
			continue;
		prefix[i] = '\0';
		close_fd(&fd);
		fd = enter(root, prefix, mode, err);
		if (fd < 0)
			return fd;
		prefix[i] = path[i];
	}
	if (fd < 0)
		return error_set(err, ERROR_CONTAINER, ENOENT, "open %s in the root", path);
	return take_fd(&fd);
}

int paths_open_parent(int root, const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];

	*name = slash ? slash + 1 : path;
	if (**name == '\0' || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return error_set(err, ERROR_CONTAINER, EINVAL, "%s names no file", path);
	if (text_format(parent, sizeof(parent), "%.*s", slash ? (int)(slash - path) : 0, path) < 0)
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "path in the root");
	return paths_make_directory(root, parent[0] ? parent : "/", 0755, err);
}

int paths_make_file(int root, const char *path, mode_t mode, struct error *err)
{
	const char *name;
	int fd = open_in_root(root, path, O_PATH, 0);

	if (fd >= 0)
		return fd;
	if (fd != -ENOENT)
		return error_set(err, ERROR_CONTAINER, -fd, "open %s in the root", path);
	fd_auto parent = paths_open_parent(root, path, &name, err);
	if (parent < 0)
		return parent;
	fd_auto made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, mode);
	if (made < 0)
		return error_set(err, ERROR_CONTAINER, errno, "make the file %s in the root", path);
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 ? fd : error_set(err, ERROR_CONTAINER, errno, "open %s in the root", path);
}

int paths_mkdirs(const char *path, mode_t mode, struct error *err)
{
	char prefix[4096];
	size_t length = strlen(path);

	if (length >= sizeof(prefix))
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "directory %s", path);
	memcpy(prefix, path, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		prefix[i] = '\0';
		if (mkdir(prefix, mode) < 0 && errno != EEXIST)
			return error_set(err, ERROR_INTERNAL, errno, "make the directory %s", prefix);
		prefix[i] = path[i];
	}
	return 0;
}

/* Directories that hold what cannot be removed, a mount for example: they are not entered again. */
struct stuck {
	ino_t *inodes;
	size_t count;
};

static bool is_stuck(const struct stuck *stuck, ino_t inode)
{
	for (size_t i = 0; i < stuck->count; i++) {
		if (stuck->inodes[i] == inode)
			return true;
	}
	return false;
}

static int add_stuck(struct stuck *stuck, int directory)
{
	struct stat status;
	ino_t *inodes = realloc(stuck->inodes, (stuck->count + 1) * sizeof(*inodes));

	if (!inodes)
		return -ENOMEM;
	stuck->inodes = inodes;
	if (fstat(directory, &status) < 0)
		return -errno;
	inodes[stuck->count++] = status.st_ino;
	return 0;
}

/*
 * Unlinks every entry of the directory.  At the first one that is a directory with content, returns a descriptor of that, to be
 * emptied first; -ENOENT when none is left to enter, with the number of entries that stay by *left.
 */
static int remove_entries(int directory, dev_t device, const struct stuck *stuck, unsigned *left)
{
	fd_auto copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir stream = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	*left = 0;
	if (!stream)
		return -errno;
	copy = -1; /* closedir closes it */
	while ((entry = readdir(stream))) {
		struct stat status;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (fstatat(directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (unlinkat(directory, entry->d_name, S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) == 0)
			continue;
		int next = -1;
		/* Another device is a mount: what is behind it is not ours to delete. */
		if (S_ISDIR(status.st_mode) && errno == ENOTEMPTY && status.st_dev == device && !is_stuck(stuck, status.st_ino))
			next = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next >= 0)
			return next;
		++*left;
	}
	return -ENOENT;
}

/*
 * Removes what is in the directory `fd` (which it takes) and, at the end, lets it go.  A container decides how deep its tree is, so
 * there is no recursion and no path: one level at a time is entered by descriptor and left by "..".  Nothing else runs in a
 * tree that is being removed.  A directory is entered again only while something in it goes, so the walk always ends.
 */
static int empty_directory(int fd, dev_t device, struct stuck *stuck, struct error *err)
{
	fd_auto current = fd;
	unsigned depth = 0, left;

	for (;;) {
		int next = remove_entries(current, device, stuck, &left);

		if (next < 0 && next != -ENOENT)
			return error_set(err, ERROR_TEARDOWN, -next, "read a directory to remove");
		if (next == -ENOENT && depth == 0)
			break;
		if (next == -ENOENT) {
			int result = left > 0 ? add_stuck(stuck, current) : 0;

			if (result < 0)
				return error_set(err, ERROR_TEARDOWN, -result, "leave a directory");
			next = openat(current, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			depth--;
		} else {
			depth++;
		}
		if (next < 0)
			return error_set(err, ERROR_TEARDOWN, errno, "leave a directory");
		close_fd(&current);
		current = next;
	}
	return left ? error_set(err, ERROR_TEARDOWN, EBUSY, "%u entries could not be removed", left) : 0;
}

int paths_remove_tree(int parent, const char *name, bool itself, struct error *err)
{
	struct stat status;
	fd_auto fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, ERROR_TEARDOWN, errno, "open %s to remove it", name);
	if (fstat(fd, &status) < 0)
		return error_set(err, ERROR_TEARDOWN, errno, "look at %s", name);
	struct stuck stuck = { 0 };
	int result = empty_directory(take_fd(&fd), status.st_dev, &stuck, err);
	free(stuck.inodes);
	if (result < 0 || !itself)
		return result;
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_set(err, ERROR_TEARDOWN, errno, "remove the directory %s", name);
	return 0;
}
