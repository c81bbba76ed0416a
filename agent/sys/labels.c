/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/labels.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define POLICY    "/etc/coffer/selinux.policy"
#define SELINUXFS "/sys/fs/selinux"
#define DEPTH_MAX 256
#define ATTRIBUTE "security.selinux"

/* One write: the kernel takes a policy as a whole. */
static int load(int policy, size_t size, struct error *err)
{
	fd_auto fd = open(SELINUXFS "/load", O_WRONLY | O_CLOEXEC);
	void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, policy, 0);

	if (bytes == MAP_FAILED)
		return error_set(err, ERROR_KERNEL, errno, "read " POLICY);
	ssize_t done = fd < 0 ? -1 : write(fd, bytes, size);
	int errnum = errno;
	munmap(bytes, size);
	return done == (ssize_t)size ? 0 : error_set(err, ERROR_KERNEL, done < 0 ? errnum : EIO, "load " POLICY);
}

int labels_load_policy(struct error *err)
{
	fd_auto policy = open(POLICY, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (policy < 0 && errno == ENOENT)
		return 0;
	if (policy < 0 || fstat(policy, &status) < 0 || status.st_size == 0)
		return error_set(err, ERROR_KERNEL, policy < 0 ? errno : EINVAL, "open " POLICY);
	if (mount("selinuxfs", SELINUXFS, "selinuxfs", MS_NOSUID | MS_NOEXEC, NULL) < 0)
		return error_set(err, ERROR_KERNEL, errno,
				 "there is a " POLICY ", and the kernel runs without SELinux (security=selinux)");
	return load(policy, (size_t)status.st_size, err);
}

bool labels_on(void)
{
	return access(SELINUXFS "/context", F_OK) == 0;
}

int labels_check(const char *label, const char *field, struct error *err)
{
	if (!labels_on()) {
		error_set(err, ERROR_UNSUPPORTED_FIELD, ENOTSUP, "no SELinux policy is loaded in the VM");
		snprintf(err->field, sizeof(err->field), "%s", field);
		return -ENOTSUP;
	}
	/* It becomes part of mount options, between quotes. */
	if (strlen(label) > LABELS_MAX || strpbrk(label, "\"\\\n"))
		return error_field(err, field, "is no label");
	fd_auto fd = open(SELINUXFS "/context", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_KERNEL, errno, "open " SELINUXFS "/context");
	if (write(fd, label, strlen(label) + 1) < 0)
		return error_field(err, field, "is no label of the policy: %s", strerror(errno));
	return 0;
}

void labels_mount_option(const char *label, char *option, size_t size)
{
	snprintf(option, size, "context=\"%s\"", label);
}

static int set(int directory, const char *name, const char *label, struct error *err)
{
	char path[300];
	int result = text_format(path, sizeof(path), "/proc/self/fd/%d/%s", directory, name);

	/* The last component is not followed, and the directory is the one that is open. */
	if (result == 0 && lsetxattr(path, ATTRIBUTE, label, strlen(label) + 1, 0) < 0)
		result = -errno;
	return result < 0 ? error_set(err, ERROR_CONTAINER, -result, "relabel %.64s", name) : 0;
}

static int relabel_below(int directory, dev_t device, const char *label, int depth, struct error *err)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir listing = copy < 0 ? NULL : fdopendir(copy);
	int result = set(directory, ".", label, err);
	struct dirent *entry;
	struct stat status;

	if (!listing || depth > DEPTH_MAX)
		return error_set(err, ERROR_CONTAINER, listing ? ELOOP : errno, "relabel a directory");
	while (result == 0 && (entry = readdir(listing))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		fd_auto below = openat(directory, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			result = set(directory, entry->d_name, label, err);
		else if (fstat(below, &status) == 0 && status.st_dev == device)
			result = relabel_below(below, device, label, depth + 1, err);
	}
	return result;
}

/* USER:ROLE:TYPE:LEVEL */
static void share(char *label, size_t size)
{
	char *colon = label;

	for (int part = 0; colon && part < 3; part++)
		colon = strchr(part ? colon + 1 : colon, ':');
	if (colon)
		snprintf(colon, size - (size_t)(colon - label), ":s0");
}

int labels_relabel(int what, const char *label, bool shared, struct error *err)
{
	char own[LABELS_MAX + 8], path[64];
	struct stat status;

	if (fstat(what, &status) < 0 || text_format(own, sizeof(own), "%s", label) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "relabel");
	if (shared)
		share(own, sizeof(own));
	if (S_ISDIR(status.st_mode))
		return relabel_below(what, status.st_dev, own, 0, err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", what);
	return setxattr(path, ATTRIBUTE, own, strlen(own) + 1, 0) < 0 ? error_set(err, ERROR_CONTAINER, errno, "relabel a file")
								      : 0;
}
