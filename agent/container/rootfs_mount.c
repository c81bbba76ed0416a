/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/rootfs_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/mounts.h"
#include "sys/paths.h"

/* What a bind mount may take: what the host's requests have put there, and never the agent's own files. */
static const char *const bind_sources[] = { "/run/coffer/volume/", "/run/coffer/scratch/" };

#define ACCEPTED_FLAGS                                                                                                             \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_NOATIME | MS_NODIRATIME | MS_RELATIME |                \
	 MS_STRICTATIME | MS_NOSYMFOLLOW | MS_BIND | MS_REC)

/* Links in the image are not followed here: a fake /proc must not receive what is meant for the real one. */
static int open_plain_directory(int root, const char *destination, struct error *err)
{
	const char *name;
	struct stat status;
	fd_auto parent = paths_open_parent(root, destination, &name, err);

	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return error_set(err, ERROR_CONTAINER, errno, "make %s", destination);
	fd_auto target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || fstat(target, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open %s", destination);
	if (!S_ISDIR(status.st_mode))
		return error_set(err, ERROR_CONTAINER, ENOTDIR, "%s must be an ordinary directory in the image", destination);
	return take_fd(&target);
}

static int check_target(int root, int target, const char *destination, struct error *err)
{
	struct statfs filesystem;
	struct stat ours, theirs;

	if (fstat(root, &ours) < 0 || fstat(target, &theirs) < 0 || fstatfs(target, &filesystem) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "look at %s", destination);
	if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return error_set(err, ERROR_CONTAINER, EINVAL, "%s is the root itself", destination);
	/* Over a file of /proc a container could fake what its own tools, or a later mask, rely on. */
	if (filesystem.f_type == PROC_SUPER_MAGIC)
		return error_set(err, ERROR_CONTAINER, EPERM, "%s is inside /proc", destination);
	return 0;
}

static int mount_new(int root, const struct config_mount *wanted, const char *type, bool plain, struct error *err)
{
	fd_auto target = plain ? open_plain_directory(root, wanted->destination, err)
			       : paths_make_directory(root, wanted->destination, 0755, err);

	if (target < 0)
		return target;
	int result = check_target(root, target, wanted->destination, err);
	if (result < 0)
		return result;
	/* MS_RDONLY on the mount and not on the file system: /dev is filled after it was mounted. */
	fd_auto mount = mounts_new(type, wanted->source && wanted->source[0] ? wanted->source : type,
				   (unsigned long)wanted->flags & ~MS_RDONLY, wanted->data && wanted->data[0] ? wanted->data : NULL,
				   ERROR_CONTAINER, err);
	if (mount < 0)
		return mount;
	result = mounts_set_flags(mount, (unsigned long)wanted->flags & MS_RDONLY, false, ERROR_CONTAINER, err);
	return result < 0 ? result : mounts_attach(mount, target, ERROR_CONTAINER, err);
}

static int mount_proc(int root, const struct config_mount *wanted, struct error *err)
{
	return mount_new(root, wanted, "proc", true, err);
}

static int mount_sysfs(int root, const struct config_mount *wanted, struct error *err)
{
	return mount_new(root, wanted, "sysfs", true, err);
}

static int mount_tmpfs(int root, const struct config_mount *wanted, struct error *err)
{
	return mount_new(root, wanted, "tmpfs", false, err);
}

static int mount_devpts(int root, const struct config_mount *wanted, struct error *err)
{
	return mount_new(root, wanted, "devpts", false, err);
}

static int mount_mqueue(int root, const struct config_mount *wanted, struct error *err)
{
	return mount_new(root, wanted, "mqueue", false, err);
}

static int mount_cgroup(int root, const struct config_mount *wanted, struct error *err)
{
	return mount_new(root, wanted, "cgroup2", false, err);
}

/* The source below one of the accepted directories, resolved within it. */
static int open_bind_source(const char *source, struct error *err)
{
	for (size_t i = 0; i < array_count(bind_sources); i++) {
		size_t length = strlen(bind_sources[i]);

		if (strncmp(source, bind_sources[i], length) != 0)
			continue;
		const char *id = source + length;
		size_t id_length = strcspn(id, "/");
		char base[256];
		if (id_length == 0 || length + id_length >= sizeof(base) || strncmp(id, "..", 2) == 0)
			break;
		memcpy(base, source, length + id_length);
		base[length + id_length] = '\0';
		fd_auto directory = open(base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (directory < 0)
			return error_set(err, ERROR_CONTAINER, errno, "open %s", base);
		return paths_open(directory, id[id_length] ? id + id_length : "/", O_PATH, err);
	}
	return error_set(err, ERROR_CONTAINER, EPERM,
			 "a bind mount's source lies below /run/coffer/volume/ID or /run/coffer/scratch/ID");
}

static int mount_bind(int root, const struct config_mount *wanted, struct error *err)
{
	struct stat status;

	if (wanted->data && wanted->data[0])
		return error_set(err, ERROR_CONTAINER, EINVAL, "a bind mount takes no data");
	fd_auto source = open_bind_source(wanted->source ? wanted->source : "", err);
	if (source < 0)
		return source;
	if (fstat(source, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "look at the source");
	fd_auto target = S_ISDIR(status.st_mode) ? paths_make_directory(root, wanted->destination, 0755, err)
						 : paths_make_file(root, wanted->destination, 0644, err);
	if (target < 0)
		return target;
	int result = check_target(root, target, wanted->destination, err);
	if (result < 0)
		return result;
	bool recursive = (wanted->flags & MS_REC) != 0;
	fd_auto copy = mounts_clone(source, recursive, ERROR_CONTAINER, err);
	if (copy < 0)
		return copy;
	/* nodev always: a device node on a volume is the host's. */
	result = mounts_set_flags(copy, (unsigned long)wanted->flags | MS_NODEV, recursive, ERROR_CONTAINER, err);
	return result < 0 ? result : mounts_attach(copy, target, ERROR_CONTAINER, err);
}

static const struct {
	const char *device;
	int (*mount)(int root, const struct config_mount *wanted, struct error *err);
} kinds[] = {
	{ "proc", mount_proc },     { "sysfs", mount_sysfs },   { "tmpfs", mount_tmpfs },    { "devpts", mount_devpts },
	{ "mqueue", mount_mqueue }, { "cgroup", mount_cgroup }, { "cgroup2", mount_cgroup }, { "bind", mount_bind },
};

/* libcontainer: each propagation flag is one call of mount(2) on the new mount. */
static int set_propagation(int root, const struct config_mount *wanted, struct error *err)
{
	const int64_t *flags = wanted->propagation_flags.items;

	for (size_t i = 0; i < wanted->propagation_flags.count; i++) {
		struct mount_attr attr = { .propagation = (uint64_t)flags[i] & ~(uint64_t)MS_REC };
		fd_auto target = paths_open(root, wanted->destination, O_PATH, err);

		if (target < 0)
			return target;
		if (syscall(SYS_mount_setattr, target, "", AT_EMPTY_PATH | ((flags[i] & MS_REC) ? AT_RECURSIVE : 0), &attr,
			    sizeof(attr)) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "set the propagation of %s", wanted->destination);
	}
	return 0;
}

int rootfs_mount(int root, const struct config_mount *wanted, struct error *err)
{
	if (wanted->flags & ~(int64_t)ACCEPTED_FLAGS)
		return error_set(err, ERROR_CONTAINER, EINVAL, "mount flags 0x%llx are not accepted",
				 (unsigned long long)(wanted->flags & ~(int64_t)ACCEPTED_FLAGS));
	for (size_t i = 0; i < array_count(kinds); i++) {
		if (strcmp(kinds[i].device, wanted->device) != 0)
			continue;
		int result = kinds[i].mount(root, wanted, err);
		if (result == 0)
			result = set_propagation(root, wanted, err);
		return result < 0 ? error_wrap(err, "mount %s on %.100s", wanted->device, wanted->destination) : 0;
	}
	return error_set(err, ERROR_CONTAINER, ENODEV, "\"%s\" is no kind of mount that this agent makes", wanted->device);
}
