/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "container/rootfs_mount.h"
#include "sys/mounts.h"
#include "sys/paths.h"

#define EMPTY_OPTIONS "nr_blocks=1,nr_inodes=1,mode=0555"

static const struct config_device usual_devices[] = {
	{ .type = 'c', .path = "/dev/null", .major = 1, .minor = 3, .file_mode = 0666 },
	{ .type = 'c', .path = "/dev/zero", .major = 1, .minor = 5, .file_mode = 0666 },
	{ .type = 'c', .path = "/dev/full", .major = 1, .minor = 7, .file_mode = 0666 },
	{ .type = 'c', .path = "/dev/random", .major = 1, .minor = 8, .file_mode = 0666 },
	{ .type = 'c', .path = "/dev/urandom", .major = 1, .minor = 9, .file_mode = 0666 },
	{ .type = 'c', .path = "/dev/tty", .major = 5, .minor = 0, .file_mode = 0666 },
};

static const struct {
	const char *path, *target;
} links[] = {
	{ "/dev/fd", "/proc/self/fd" },       { "/dev/stdin", "/proc/self/fd/0" }, { "/dev/stdout", "/proc/self/fd/1" },
	{ "/dev/stderr", "/proc/self/fd/2" }, { "/dev/ptmx", "pts/ptmx" },
};

/*
 * In a user namespace, where the kernel lets no node be made: the agent's own of that name and number, with its owner and mode,
 * over whatever file is there.
 */
static int bind_device(int parent, const char *name, const struct config_device *device, struct error *err)
{
	struct stat status;
	fd_auto made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600);
	fd_auto target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	fd_auto source = open(device->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (target < 0 || fstat(target, &status) < 0 || S_ISDIR(status.st_mode) || S_ISLNK(status.st_mode))
		return error_set(err, ERROR_CONTAINER, EEXIST, "the place of %s", device->path);
	if (source < 0 || fstat(source, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open the VM's %s", device->path);
	if (!(device->type == 'b' ? S_ISBLK(status.st_mode) : S_ISCHR(status.st_mode)) ||
	    status.st_rdev != makedev((unsigned)device->major, (unsigned)device->minor))
		return error_set(err, ERROR_CONTAINER, ENODEV, "the VM's %s has another number", device->path);
	fd_auto copy = mounts_clone(source, false, ERROR_CONTAINER, err);
	return copy < 0 ? copy : mounts_attach(copy, target, ERROR_CONTAINER, err);
}

/* A directory that was looked up: most nodes and links have the same one. */
struct place {
	int root, folder;
	const char *path; /* borrowed: of a node in the folder; NULL: none yet */
};

static int place_open(struct place *place, const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) + 1 : 0;

	if (length > 1 && place->path && strncmp(place->path, path, length) == 0 && !strchr(place->path + length, '/') &&
	    slash[1] && slash[1] != '.') {
		*name = slash + 1;
		return 0;
	}
	close_fd(&place->folder);
	place->path = path;
	place->folder = paths_open_parent(place->root, path, name, err);
	return place->folder < 0 ? place->folder : 0;
}

/* Of a node that was there, or whose owner or mode the kernel could not give it at once. */
static int set_owner_and_mode(int node, const struct stat *status, const struct config_device *device, struct error *err)
{
	bool owned = status->st_uid == (uid_t)device->uid && status->st_gid == (gid_t)device->gid;
	bool mode = (status->st_mode & 07777) == (mode_t)device->file_mode;
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", node);
	if ((!mode && chmod(self, (mode_t)device->file_mode) < 0) ||
	    (!owned && chown(self, (uid_t)device->uid, (gid_t)device->gid) < 0))
		return error_set(err, ERROR_CONTAINER, errno, "set the mode of %s", device->path);
	return 0;
}

static int make_device(struct place *place, const struct config_device *device, bool user, struct error *err)
{
	mode_t kind = device->type == 'b' ? S_IFBLK : device->type == 'p' ? S_IFIFO : S_IFCHR;
	dev_t number = makedev((unsigned)device->major, (unsigned)device->minor);
	const char *name;
	struct stat status;
	int result = place_open(place, device->path, &name, err), parent = place->folder;

	if (result < 0)
		return result;
	if (user && kind != S_IFIFO)
		return bind_device(parent, name, device, err);
	/* The owner comes last: until then the node is root's. */
	if (mknodat(parent, name, kind | ((mode_t)device->file_mode & 0777), number) < 0 && errno != EEXIST)
		return error_set(err, ERROR_CONTAINER, errno, "make the device %s", device->path);
	fd_auto node = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open the device %s", device->path);
	/* What was there already, an image's file or link of that name, must not pass for the device. */
	if ((status.st_mode & S_IFMT) != kind || (kind != S_IFIFO && status.st_rdev != number))
		return error_set(err, ERROR_CONTAINER, EEXIST, "%s is something else in the image", device->path);
	return set_owner_and_mode(node, &status, device, err);
}

static int make_links(struct place *place, struct error *err)
{
	for (size_t i = 0; i < array_count(links); i++) {
		const char *name;
		int result = place_open(place, links[i].path, &name, err);

		if (result < 0)
			return result;
		if (symlinkat(links[i].target, place->folder, name) < 0 && errno != EEXIST)
			return error_set(err, ERROR_CONTAINER, errno, "make the link %s", links[i].path);
	}
	return 0;
}

/* Somebody else's /dev has been mounted there: it is as it is. */
static bool has_bound_dev(const struct config *config)
{
	const struct config_mount *mounts = config->mounts.items;

	for (size_t i = 0; i < config->mounts.count; i++) {
		if (strcmp(mounts[i].device, "bind") == 0 && strcmp(mounts[i].destination, "/dev") == 0)
			return true;
	}
	return false;
}

static int make_devices(int root, const struct config *config, struct error *err)
{
	const struct config_device *devices = config->devices.count ? config->devices.items : usual_devices;
	size_t count = config->devices.count ? config->devices.count : array_count(usual_devices);
	bool user = ((config->namespaces.create | config->namespaces.join) & CLONE_NEWUSER) != 0;
	struct place place = { .root = root, .folder = -1 };
	mode_t mask = umask(0); /* nodes are born with their mode */
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++)
		result = make_device(&place, &devices[i], user, err);
	if (result == 0)
		result = make_links(&place, err);
	umask(mask);
	close_fd(&place.folder);
	return result;
}

/* The agent's own /dev/null: an image's could be anything (CVE-2025-31133). */
static int open_null(struct error *err)
{
	struct stat status;
	fd_auto null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (null < 0 || fstat(null, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open /dev/null");
	if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
		return error_set(err, ERROR_CONTAINER, ENODEV, "/dev/null");
	return take_fd(&null);
}

/* What masks: a file, and a directory that is made for the first that needs it. */
struct masks {
	int null, empty;
};

/* Each directory is covered by the same empty one, which nobody can write to. */
static int empty_directory(struct masks *masks, struct error *err)
{
	if (masks->empty >= 0)
		return mounts_clone(masks->empty, false, ERROR_CONTAINER, err);
	masks->empty =
		mounts_new("tmpfs", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, EMPTY_OPTIONS, ERROR_CONTAINER, err);
	if (masks->empty < 0)
		return masks->empty;
	int copy = fcntl(masks->empty, F_DUPFD_CLOEXEC, 3);
	return copy >= 0 ? copy : error_set(err, ERROR_CONTAINER, errno, "keep an empty directory");
}

static int mask_path(int root, const char *path, struct masks *masks, struct error *err)
{
	struct stat status;
	fd_auto target = paths_open(root, path, O_PATH, err);

	if (target < 0) /* masking what is not there is done */
		return target == -ENOENT || target == -ENOTDIR ? 0 : target;
	if (fstat(target, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "look at %s", path);
	fd_auto mask =
		S_ISDIR(status.st_mode) ? empty_directory(masks, err) : mounts_clone(masks->null, false, ERROR_CONTAINER, err);
	if (mask < 0)
		return mask;
	return mounts_attach(mask, target, ERROR_CONTAINER, err);
}

static int make_readonly(int root, const char *path, struct error *err)
{
	fd_auto target = paths_open(root, path, O_PATH, err);

	if (target < 0)
		return target == -ENOENT || target == -ENOTDIR ? 0 : target;
	fd_auto copy = mounts_clone(target, true, ERROR_CONTAINER, err);
	if (copy < 0)
		return copy;
	int result = mounts_set_flags(copy, MS_RDONLY, true, ERROR_CONTAINER, err);
	return result < 0 ? result : mounts_attach(copy, target, ERROR_CONTAINER, err);
}

static int restrict_paths(int root, const struct config *config, struct error *err)
{
	const char *const *paths = config->readonly_paths.items;
	struct masks masks = { .null = open_null(err), .empty = -1 };
	int result = masks.null < 0 ? masks.null : 0;

	for (size_t i = 0; i < config->readonly_paths.count && result == 0; i++) {
		result = make_readonly(root, paths[i], err);
		if (result < 0)
			error_wrap(err, "read-only path %s", paths[i]);
	}
	paths = config->mask_paths.items;
	for (size_t i = 0; i < config->mask_paths.count && result == 0; i++) {
		result = mask_path(root, paths[i], &masks, err);
		if (result < 0)
			error_wrap(err, "masked path %s", paths[i]);
	}
	close_fd(&masks.null);
	close_fd(&masks.empty);
	return result;
}

int rootfs_open(struct rootfs *rootfs, struct error *err)
{
	const struct config *config = rootfs->config;
	const struct config_mount *mounts = config->mounts.items;

	rootfs->root = -1;
	for (size_t i = 0; i < CONFIG_MOUNTS_MAX; i++)
		rootfs->sources[i] = -1;
	rootfs->original = open(rootfs->path[0] ? rootfs->path : "/run", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfs->original < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open the root file system");
	for (size_t i = 0; i < config->mounts.count; i++) {
		if (strcmp(mounts[i].device, "bind") != 0)
			continue;
		rootfs->sources[i] = rootfs_mount_source(&mounts[i], err);
		if (rootfs->sources[i] < 0) {
			snprintf(err->field, sizeof(err->field), "config.mounts[%zu]", i);
			return rootfs->sources[i];
		}
	}
	return 0;
}

void rootfs_close(struct rootfs *rootfs)
{
	close_fd(&rootfs->root);
	close_fd(&rootfs->original);
	for (size_t i = 0; i < CONFIG_MOUNTS_MAX; i++)
		close_fd(&rootfs->sources[i]);
}

int rootfs_prepare(struct rootfs *rootfs, struct error *err)
{
	const struct config *config = rootfs->config;
	bool private = (config->root_propagation & MS_PRIVATE) != 0;
	int result = 0;

	/* Nothing that is mounted from here on may show in the agent's namespace, whatever the container's own root is to be. */
	if (mount(NULL, "/", NULL, (private ? MS_PRIVATE : MS_SLAVE) | MS_REC, NULL) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set the propagation of /");
	bool empty = rootfs->path[0] == '\0';
	/* A copy of the mount is the container's own: flags set on it are not seen elsewhere, and pivot_root has its mount point.
	 */
	rootfs->root = empty ? mounts_new("tmpfs", "sandbox", MS_RDONLY | MS_NOSUID | MS_NODEV, EMPTY_OPTIONS, ERROR_CONTAINER, err)
			     : mounts_clone(rootfs->original, true, ERROR_CONTAINER, err);
	if (rootfs->root < 0)
		return rootfs->root;
	result = mounts_attach(rootfs->root, rootfs->original, ERROR_CONTAINER, err);
	if (empty)
		return result;
	for (size_t i = 0; i < config->mounts.count && result == 0; i++)
		result = rootfs_mount(rootfs, i, err);
	if (result == 0 && !has_bound_dev(config))
		result = make_devices(rootfs->root, config, err);
	if (result == 0)
		result = restrict_paths(rootfs->root, config, err);
	return result;
}

int rootfs_enter(const struct rootfs *rootfs, struct error *err)
{
	unsigned long propagation = (unsigned long)rootfs->config->root_propagation;

	/* pivot_root(".", "."): the old root lands on top of the new one, and is then taken away. */
	if (fchdir(rootfs->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return error_set(err, ERROR_CONTAINER, errno, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_set(err, ERROR_CONTAINER, errno, "leave the old root");
	if ((propagation & (MS_SHARED | MS_UNBINDABLE)) && mount(NULL, "/", NULL, propagation, NULL) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set the propagation of the root");
	/* "/" as of now: the descriptor's mount is the root. */
	if (rootfs->config->readonlyfs)
		return mounts_set_flags(rootfs->root, MS_RDONLY, false, ERROR_CONTAINER, err);
	return 0;
}
