/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define DEPTH_MAX 32

static int copy_file(int from, int to, const char *name, const struct stat *status, struct error *err)
{
	fd_auto in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	/* Nobody else's until it has its owner: with its own mode it could be a set-uid program of root's for a moment. */
	fd_auto out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	off_t left = status->st_size;

	if (in < 0 || out < 0)
		return error_set(err, ERROR_INTERNAL, errno, "copy %s", name);
	while (left > 0) {
		ssize_t done = sendfile(out, in, NULL, (size_t)left);

		if (done <= 0)
			return error_set(err, ERROR_INTERNAL, done < 0 ? errno : EIO, "copy %s", name);
		left -= done;
	}
	/* The owner first: chown takes set-id bits away; and the mode again, since the umask has had its part in it. */
	if (fchown(out, status->st_uid, status->st_gid) < 0 || fchmod(out, status->st_mode & 07777) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set the owner of %s", name);
	return 0;
}

static int copy_link(int from, int to, const char *name, const struct stat *status, struct error *err)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(from, name, target, sizeof(target) - 1);

	if (length < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read the link %s", name);
	target[length] = '\0';
	if (symlinkat(target, to, name) < 0 || fchownat(to, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "copy the link %s", name);
	return 0;
}

static int copy_directory(int from, int to, dev_t device, int depth, struct error *err);

static int copy_entry(int from, int to, const char *name, dev_t device, int depth, struct error *err)
{
	struct stat status;

	if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "look at %s", name);
	if (S_ISREG(status.st_mode))
		return copy_file(from, to, name, &status, err);
	if (S_ISLNK(status.st_mode))
		return copy_link(from, to, name, &status, err);
	if (!S_ISDIR(status.st_mode))
		return 0;
	/* A mount point gets no other mode. */
	if (mkdirat(to, name, status.st_dev == device ? 0700 : status.st_mode & 01777) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make the directory %s", name);
	if (status.st_dev != device)
		return 0;
	fd_auto sub_from = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	fd_auto sub_to = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sub_from < 0 || sub_to < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the directory %s", name);
	if (fchown(sub_to, status.st_uid, status.st_gid) < 0 || fchmod(sub_to, status.st_mode & 07777) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set the owner of %s", name);
	return copy_directory(sub_from, sub_to, device, depth + 1, err);
}

static int copy_directory(int from, int to, dev_t device, int depth, struct error *err)
{
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* not dup: that shares how far `from` has been read */
	auto_dir stream = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	int result = 0;

	if (!stream || depth > DEPTH_MAX)
		return error_set(err, ERROR_INTERNAL, stream ? ELOOP : errno, "read a directory");
	while (result == 0 && (entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = copy_entry(from, to, entry->d_name, device, depth, err);
	}
	return result;
}

int copy_tree_into(int from, int to, struct error *err)
{
	struct stat status;

	if (fstat(from, &status) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "look at a directory");
	return copy_directory(from, to, status.st_dev, 0, err);
}

int copy_tree(const char *from, const char *to, struct error *err)
{
	fd_auto source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd_auto target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (source < 0 || target < 0)
		return error_set(err, ERROR_INTERNAL, errno, "copy %s to %s", from, to);
	return copy_tree_into(source, target, err);
}
