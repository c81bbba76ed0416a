/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/tree_attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/tree_times.h"
#include "layer/whiteout.h"

static int refused(const char *what, const char *name, struct error *err)
{
	return error_set(err, ERROR_INTERNAL, errno, "%s \"%.120s\"", what, name);
}

static int map(const struct id_range *ranges, size_t count, uint32_t id, const char *kind, uint32_t *mapped, struct error *err)
{
	if (id_range_map(ranges, count, id, mapped))
		return 0;
	return error_set(err, ERROR_LAYER, 0, "the %s %u is in none of the ranges that are mapped", kind, id);
}

int tree_attributes_owner(const struct tree *tree, uint32_t uid, uint32_t gid, struct tree_attributes *attributes,
			  struct error *err)
{
	int result = map(tree->request->uids, tree->request->uid_count, uid, "uid", &attributes->uid, err);

	return result < 0 ? result : map(tree->request->gids, tree->request->gid_count, gid, "gid", &attributes->gid, err);
}

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The working directory is the place, so the name is one component, which is not followed. */
static int set_one(const char *file, const char *name, const void *value, size_t size, struct error *err)
{
	if (lsetxattr(file, name, value, size, 0) == 0)
		return 0;
	/* Without it a program has other rights than its layer says; without the others, only a remark is lost. */
	bool needed = strcmp(name, "security.capability") == 0;
	if (!needed && (errno == ENOTSUP || errno == EPERM))
		return 0;
	if (errno == EINVAL && begins(name, "system.posix_acl_"))
		return 0;
	if (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == ENOMEM)
		return error_set(err, ERROR_INTERNAL, errno, "the extended attribute %.60s", name);
	return error_set(err, ERROR_LAYER, errno, "the extended attribute %.60s (%zu bytes)", name, size);
}

/*
 * trusted.* is the VM's own, and user.overlay.* is what overlayfs would believe in a mount with "userxattr": an archive that could
 * set them would redirect names and show contents of other layers.
 */
static int set_from_archive(const char *file, struct tar_reader *reader, struct error *err)
{
	const char *name;
	const void *value;
	size_t size;
	int result = 0;

	while (result == 0 && tar_reader_attribute(reader, &name, &value, &size)) {
		if (name && !begins(name, "trusted.") && !begins(name, "user.overlay."))
			result = set_one(file, name, value, size, err);
	}
	return result;
}

static int set_from_lower(const char *file, int upper, int lower, struct error *err)
{
	auto_free char *names = malloc(XATTR_LIST_MAX + XATTR_SIZE_MAX);
	int result = 0;

	if (!names)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "extended attributes");
	char *value = names + XATTR_LIST_MAX;
	if (fchdir(lower) < 0)
		return refused("enter what is below", file, err);
	ssize_t length = llistxattr(file, names, XATTR_LIST_MAX);
	if (length < 0 && errno != ENOTSUP)
		return refused("list the extended attributes of", file, err);
	for (ssize_t at = 0; at < length && result == 0; at += (ssize_t)strlen(names + at) + 1) {
		if (begins(names + at, "trusted.overlay.") || begins(names + at, "user.overlay."))
			continue;
		if (fchdir(lower) < 0)
			return refused("enter what is below", file, err);
		ssize_t size = lgetxattr(file, names + at, value, XATTR_SIZE_MAX);
		if (size < 0)
			return refused("read an extended attribute of", file, err);
		if (fchdir(upper) < 0)
			return refused("enter the directory of", file, err);
		result = set_one(file, names + at, value, (size_t)size, err);
	}
	return result;
}

int tree_attributes_set(struct tree *tree, const struct tree_place *place, const char *name,
			const struct tree_attributes *attributes, struct error *err)
{
	int result = 0;

	if (fchownat(place->upper, name, attributes->uid, attributes->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return refused("change the owner of", name, err);
	if (fchdir(place->upper) < 0)
		return refused("enter the directory of", name, err);
	if (attributes->reader)
		result = set_from_archive(name, attributes->reader, err);
	else if (attributes->lower >= 0)
		result = set_from_lower(name, place->upper, attributes->lower, err);
	if (result < 0)
		return result;
	/* What is here has just been made or looked at, is no link, and nobody else writes here: this call cannot be told not to
	 * follow one before Linux 6.6. */
	if (!S_ISLNK(attributes->mode) && fchmodat(place->upper, name, attributes->mode & 07777, 0) < 0)
		return refused("change the mode of", name, err);
	if (S_ISDIR(attributes->mode))
		return tree_times_record(tree, place->path, name, attributes->times, err);
	if (utimensat(place->upper, name, attributes->times, AT_SYMLINK_NOFOLLOW) < 0)
		return refused("change the times of", name, err);
	return 0;
}

int tree_attributes_clear(struct tree *tree, const struct tree_place *place, const char *name, struct error *err)
{
	if (fchdir(place->upper) < 0)
		return refused("enter the directory of", name, err);
	ssize_t length = llistxattr(name, tree->buffer, sizeof(tree->buffer));
	if (length < 0 && errno != ENOTSUP)
		return refused("list the extended attributes of", name, err);
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(tree->buffer + at) + 1) {
		/* A label is the system's, and cannot be taken away. */
		if (begins(tree->buffer + at, "trusted.overlay.") || begins(tree->buffer + at, "security.selinux"))
			continue;
		if (lremovexattr(name, tree->buffer + at) < 0 && errno != ENOTSUP && errno != EPERM && errno != ENODATA)
			return refused("remove an extended attribute of", name, err);
	}
	return 0;
}

int tree_attributes_make_opaque(const struct tree_place *place, const char *name, struct error *err)
{
	if (fchdir(place->upper) < 0 || lsetxattr(name, WHITEOUT_OPAQUE_XATTR, WHITEOUT_OPAQUE_VALUE, 1, 0) < 0)
		return refused("make opaque", name, err);
	return 0;
}

bool tree_attributes_is_opaque(int directory)
{
	char value = 0;

	return fgetxattr(directory, WHITEOUT_OPAQUE_XATTR, &value, 1) == 1 && value == WHITEOUT_OPAQUE_VALUE[0];
}
