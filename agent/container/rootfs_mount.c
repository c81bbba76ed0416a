/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/rootfs_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "container/rootfs_cgroup.h"
#include "sys/cgroups.h"
#include "sys/copy_tree.h"
#include "sys/labels.h"
#include "sys/mounts.h"
#include "sys/paths.h"

/* What a bind mount may take: what the host's requests have put there, and never the agent's own files. */
static const char *const bind_sources[] = { "/run/coffer/volume/", "/run/coffer/scratch/" }; /* see rootfs_mount_base */

#define ACCEPTED_FLAGS                                                                                                             \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS | MS_DIRSYNC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME |   \
	 MS_STRICTATIME | MS_LAZYTIME | MS_NOSYMFOLLOW | MS_SILENT | MS_BIND | MS_REC | MS_REMOUNT)

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

static int check_target(const struct rootfs *rootfs, const struct config_mount *wanted, int target, struct error *err)
{
	struct statfs filesystem;
	struct stat ours, theirs;

	if (fstat(rootfs->root, &ours) < 0 || fstat(target, &theirs) < 0 || fstatfs(target, &filesystem) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "look at %s", wanted->destination);
	if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return error_set(err, ERROR_CONTAINER, EINVAL, "%s is the root itself", wanted->destination);
	/* Over a file of /proc a container could fake what its own tools, or a later mask, rely on. */
	if (filesystem.f_type == PROC_SUPER_MAGIC)
		return error_set(err, ERROR_CONTAINER, EPERM, "%s is inside /proc", wanted->destination);
	struct error ignored;
	struct stat proc;
	fd_auto place = paths_open(rootfs->root, "/proc", O_PATH | O_NOFOLLOW, &ignored);
	if (strcmp(wanted->device, "proc") != 0 && place >= 0 && fstat(place, &proc) == 0 && proc.st_dev == theirs.st_dev &&
	    proc.st_ino == theirs.st_ino)
		return error_set(err, ERROR_CONTAINER, EPERM, "only proc is mounted on /proc");
	return 0;
}

static int attach(const struct rootfs *rootfs, const struct config_mount *wanted, int mount, int target, struct error *err)
{
	int result = check_target(rootfs, wanted, target, err);

	return result < 0 ? result : mounts_attach(mount, target, ERROR_CONTAINER, err);
}

/* Of the file systems whose files are the container's own. */
static int add_label(const struct config *config, const char *type, const char *data, char *text, size_t size, struct error *err)
{
	const char *label = config->mount_label;
	bool labelled = label && label[0] && (strcmp(type, "tmpfs") == 0 || strcmp(type, "devpts") == 0);
	char option[LABELS_MAX + 16] = "";

	if (labelled)
		labels_mount_option(label, option, sizeof(option));
	if (text_format(text, size, "%s%s%s", data ? data : "", labelled && data && data[0] ? "," : "", option) < 0)
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "mount options");
	return 0;
}

static int mount_new(const struct rootfs *rootfs, const struct config_mount *wanted, const char *type, bool plain, const char *data,
		     struct error *err)
{
	fd_auto target = plain ? open_plain_directory(rootfs->root, wanted->destination, err)
			       : paths_make_directory(rootfs->root, wanted->destination, 0755, err);

	if (target < 0)
		return target;
	char with_label[4096 + LABELS_MAX];
	int result = add_label(rootfs->config, type, data, with_label, sizeof(with_label), err);
	if (result < 0)
		return result;
	/* MS_RDONLY on the mount and not on the file system: /dev is filled after it was mounted. */
	fd_auto mount =
		mounts_new(type, wanted->source && wanted->source[0] ? wanted->source : type,
			   (unsigned long)wanted->flags & ~MS_RDONLY, with_label[0] ? with_label : NULL, ERROR_CONTAINER, err);
	if (mount < 0)
		return mount;
	if (wanted->extensions & CONFIG_COPY_UP) {
		fd_auto from = paths_open(rootfs->root, wanted->destination, O_RDONLY | O_DIRECTORY, err);
		fd_auto to = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (from < 0 || to < 0)
			return from < 0 ? from : error_set(err, ERROR_CONTAINER, errno, "open the tmpfs");
		int copied = copy_tree_into(from, to, err);
		if (copied < 0)
			return error_wrap(err, "fill the tmpfs");
	}
	result = mounts_set_flags(mount, (unsigned long)wanted->flags & MS_RDONLY, false, ERROR_CONTAINER, err);
	return result < 0 ? result : attach(rootfs, wanted, mount, target, err);
}

static int mount_proc(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	return mount_new(rootfs, wanted, "proc", true, wanted->data, err);
}

static int mount_sysfs(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	return mount_new(rootfs, wanted, "sysfs", true, wanted->data, err);
}

/* The mode of what it covers, unless the options say another. */
static int mount_tmpfs(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	const char *data = wanted->data ? wanted->data : "";
	char with_mode[4096];
	struct error ignored;
	struct stat status;
	fd_auto covered = paths_open(rootfs->root, wanted->destination, O_PATH | O_DIRECTORY, &ignored);

	if (covered < 0 || strncmp(data, "mode=", 5) == 0 || strstr(data, ",mode=") || fstat(covered, &status) < 0)
		return mount_new(rootfs, wanted, "tmpfs", false, data, err);
	if (text_format(with_mode, sizeof(with_mode), "mode=%04o%s%s", status.st_mode & 07777, data[0] ? "," : "", data) < 0)
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "mount options");
	return mount_new(rootfs, wanted, "tmpfs", false, with_mode, err);
}

static int mount_devpts(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	return mount_new(rootfs, wanted, "devpts", false, wanted->data, err);
}

static int mount_mqueue(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	return mount_new(rootfs, wanted, "mqueue", false, wanted->data, err);
}

/*
 * In a cgroup namespace of its own a container sees its own subtree, and with nsdelegate cannot lift its own limits.  Without one,
 * and on v1, it is shown the same subtree, and must not write to it.
 */
static int mount_cgroup(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	bool v1 = cgroups_version() == CGROUPS_V1;

	if (!v1 && ((rootfs->config->namespaces.create | rootfs->config->namespaces.join) & CLONE_NEWCGROUP))
		return mount_new(rootfs, wanted, "cgroup2", false, wanted->data, err);
	if (!(wanted->flags & MS_RDONLY))
		return error_set(err, ERROR_CONTAINER, EPERM, "%s cgroups are mounted read-only (MS_RDONLY) only",
				 v1 ? "of version 1" : "without NEWCGROUP");
	fd_auto target = paths_make_directory(rootfs->root, wanted->destination, 0755, err);
	if (target < 0)
		return target;
	int result = check_target(rootfs, wanted, target, err);
	if (result < 0)
		return result;
	return v1 ? rootfs_cgroup_v1(rootfs->cgroup, (unsigned long)wanted->flags, target, err)
		  : rootfs_cgroup_bind(rootfs->cgroup, (unsigned long)wanted->flags, target, err);
}

int rootfs_mount_base(const char *source, bool *scratch, char *id, const char **inside)
{
	for (size_t i = 0; i < array_count(bind_sources); i++) {
		size_t length = strlen(bind_sources[i]);

		if (!source || strncmp(source, bind_sources[i], length) != 0)
			continue;
		size_t id_length = strcspn(source + length, "/");
		if (id_length == 0 || id_length > COFFER_ID_MAX || strncmp(source + length, "..", 2) == 0)
			break;
		memcpy(id, source + length, id_length);
		id[id_length] = '\0';
		*scratch = i == 1;
		*inside = source + length + id_length;
		return 0;
	}
	return -EPERM;
}

/* The source below one of the accepted directories, resolved within it. */
int rootfs_mount_source(const struct config_mount *wanted, struct error *err)
{
	char id[COFFER_ID_MAX + 1], base[128];
	const char *inside;
	bool scratch;

	if (rootfs_mount_base(wanted->source, &scratch, id, &inside) < 0 ||
	    text_format(base, sizeof(base), "%s%s", bind_sources[scratch ? 1 : 0], id) < 0)
		return error_set(err, ERROR_CONTAINER, EPERM,
				 "a bind mount's source lies below /run/coffer/volume/ID or /run/coffer/scratch/ID");
	fd_auto directory = open(base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open %s", base);
	return paths_open(directory, inside[0] ? inside : "/", O_PATH, err);
}

static int mount_bind(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	size_t index = (size_t)(wanted - (const struct config_mount *)rootfs->config->mounts.items);
	int source = rootfs->sources[index];
	struct stat status;

	if (fstat(source, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "look at the source");
	fd_auto target = S_ISDIR(status.st_mode) ? paths_make_directory(rootfs->root, wanted->destination, 0755, err)
						 : paths_make_file(rootfs->root, wanted->destination, 0644, err);
	if (target < 0)
		return target;
	bool recursive = (wanted->flags & MS_REC) != 0;
	if (wanted->relabel && wanted->relabel[0]) {
		int labelled = labels_relabel(source, rootfs->config->mount_label, wanted->relabel[0] == 'z', err);

		if (labelled < 0)
			return labelled;
	}
	fd_auto copy = mounts_clone(source, recursive, ERROR_CONTAINER, err);
	if (copy < 0)
		return copy;
	int result = mounts_set_attributes(copy, 0, mounts_attributes((unsigned long)wanted->cleared_flags), 0, false,
					   ERROR_CONTAINER, err);
	/* nodev always: a device node on a volume is the host's. */
	if (result == 0)
		result = mounts_set_flags(copy, (unsigned long)wanted->flags | MS_NODEV, recursive, ERROR_CONTAINER, err);
	return result < 0 ? result : attach(rootfs, wanted, copy, target, err);
}

static const struct {
	const char *device;
	int (*mount)(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err);
} kinds[] = {
	{ "proc", mount_proc },     { "sysfs", mount_sysfs },   { "tmpfs", mount_tmpfs },    { "devpts", mount_devpts },
	{ "mqueue", mount_mqueue }, { "cgroup", mount_cgroup }, { "cgroup2", mount_cgroup }, { "bind", mount_bind },
};

/* libcontainer: each propagation flag is one call of mount(2) on the new mount; rec_attr is one for it and all below. */
static int set_attributes(int root, const struct config_mount *wanted, struct error *err)
{
	const int64_t *flags = wanted->propagation_flags.items;
	const struct config_attributes *recursive = &wanted->recursive;

	if (!wanted->propagation_flags.count && !recursive->set && !recursive->clear && !recursive->propagation)
		return 0;
	fd_auto target = paths_open(root, wanted->destination, O_PATH, err);
	int result = target < 0 ? target : 0;
	for (size_t i = 0; i < wanted->propagation_flags.count && result == 0; i++)
		result = mounts_set_attributes(target, 0, 0, (uint64_t)flags[i] & ~(uint64_t)MS_REC, (flags[i] & MS_REC) != 0,
					       ERROR_CONTAINER, err);
	return result < 0 ? result
			  : mounts_set_attributes(target, recursive->set, recursive->clear,
						  recursive->propagation & ~(uint64_t)MS_REC, true, ERROR_CONTAINER, err);
}

static int mount_one(const struct rootfs *rootfs, const struct config_mount *wanted, struct error *err)
{
	if (wanted->flags & ~(int64_t)ACCEPTED_FLAGS)
		return error_set(err, ERROR_CONTAINER, EINVAL, "mount flags 0x%llx are not accepted",
				 (unsigned long long)(wanted->flags & ~(int64_t)ACCEPTED_FLAGS));
	for (size_t i = 0; i < array_count(kinds); i++) {
		if (strcmp(kinds[i].device, wanted->device) != 0)
			continue;
		int result = kinds[i].mount(rootfs, wanted, err);
		if (result == 0)
			result = set_attributes(rootfs->root, wanted, err);
		return result < 0 ? error_wrap(err, "mount %s on %.100s", wanted->device, wanted->destination) : 0;
	}
	return error_set(err, ERROR_CONTAINER, ENODEV, "\"%s\" is no kind of mount that this agent makes", wanted->device);
}

int rootfs_mount(const struct rootfs *rootfs, size_t index, struct error *err)
{
	const struct config_mount *wanted = (const struct config_mount *)rootfs->config->mounts.items + index;
	char key[48];

	snprintf(key, sizeof(key), "mounts[%zu].premount_cmds", index);
	int result = hooks_run(&wanted->premount, key, NULL, err);
	if (result == 0)
		result = mount_one(rootfs, wanted, err);
	snprintf(key, sizeof(key), "mounts[%zu].postmount_cmds", index);
	if (result == 0)
		result = hooks_run(&wanted->postmount, key, NULL, err);
	if (result < 0 && err->field[0] == '\0')
		snprintf(err->field, sizeof(err->field), "config.mounts[%zu]", index);
	return result;
}
