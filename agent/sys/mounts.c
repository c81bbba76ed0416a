/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

static const struct {
	unsigned long flag;
	uint64_t attribute;
} attributes[] = {
	{ MS_RDONLY, MOUNT_ATTR_RDONLY }, { MS_NOSUID, MOUNT_ATTR_NOSUID },         { MS_NODEV, MOUNT_ATTR_NODEV },
	{ MS_NOEXEC, MOUNT_ATTR_NOEXEC }, { MS_NODIRATIME, MOUNT_ATTR_NODIRATIME }, { MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW },
};

uint64_t mounts_attributes(unsigned long flags)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < array_count(attributes); i++) {
		if (flags & attributes[i].flag)
			bits |= attributes[i].attribute;
	}
	if (flags & MS_NOATIME)
		bits |= MOUNT_ATTR_NOATIME;
	else if (flags & MS_STRICTATIME)
		bits |= MOUNT_ATTR_STRICTATIME;
	return bits;
}

/* The kernel's own words for why (fs_context log): "e overlay: ..." lines read from the context's descriptor. */
static void read_reason(int context, char *reason, size_t size)
{
	ssize_t got = read(context, reason, size - 1);

	reason[got > 0 ? got : 0] = '\0';
	reason[strcspn(reason, "\n")] = '\0';
}

static int configure(int context, unsigned command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, context, command, key, value, 0);
}

/* Commas part them, but not between quotes, as SELinux' labels have some. */
static char *next_option(char **rest)
{
	char *word = *rest + strspn(*rest, ","), *end = word;
	bool quoted = false;

	for (; *end && (quoted || *end != ','); end++)
		quoted ^= *end == '"';
	*rest = *end ? end + 1 : end;
	*end = '\0';
	return *word ? word : NULL;
}

static int set_data(int context, const char *data, enum error_code code, struct error *err)
{
	auto_free char *copy = strdup(data);
	char *rest = copy;

	if (!copy)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "mount data");
	for (char *word = next_option(&rest); word; word = next_option(&rest)) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = '\0';
		if (value && *value == '"')
			value[strlen(value) - 1] = '\0', value++;
		if (configure(context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, word, value) < 0)
			return error_set(err, code, errno, "mount option %s", word);
	}
	return 0;
}

int mounts_new(const char *type, const char *source, unsigned long flags, const char *data, enum error_code code, struct error *err)
{
	char reason[128];
	int result;
	fd_auto context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);

	if (context < 0)
		return error_set(err, code, errno, "file system %s", type);
	if (configure(context, FSCONFIG_SET_STRING, "source", source ? source : type) < 0 ||
	    ((flags & MS_RDONLY) && configure(context, FSCONFIG_SET_FLAG, "ro", NULL) < 0) ||
	    ((flags & MS_SYNCHRONOUS) && configure(context, FSCONFIG_SET_FLAG, "sync", NULL) < 0) ||
	    ((flags & MS_DIRSYNC) && configure(context, FSCONFIG_SET_FLAG, "dirsync", NULL) < 0) ||
	    ((flags & MS_LAZYTIME) && configure(context, FSCONFIG_SET_FLAG, "lazytime", NULL) < 0))
		return error_set(err, code, errno, "source of %s", type);
	result = data ? set_data(context, data, code, err) : 0;
	if (result < 0)
		return result;
	if (configure(context, FSCONFIG_CMD_CREATE, NULL, NULL) < 0) {
		int errnum = errno;

		read_reason(context, reason, sizeof(reason));
		return error_set(err, code, errnum, "mount %s%s%s", type, reason[0] ? ": " : "", reason);
	}
	int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, (unsigned)mounts_attributes(flags));
	return mount >= 0 ? mount : error_set(err, code, errno, "mount %s", type);
}

int mounts_clone(int fd, bool recursive, enum error_code code, struct error *err)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
	int mount = (int)syscall(SYS_open_tree, fd, "", flags);

	return mount >= 0 ? mount : error_set(err, code, errno, "copy a mount");
}

int mounts_set_attributes(int mount, uint64_t set, uint64_t clear, uint64_t propagation, bool recursive, enum error_code code,
			  struct error *err)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };

	if (!set && !clear && !propagation)
		return 0;
	if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof(attr)) < 0)
		return error_set(err, code, errno, "set mount flags");
	return 0;
}

int mounts_set_flags(int mount, unsigned long flags, bool recursive, enum error_code code, struct error *err)
{
	uint64_t clear = flags & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME) ? MOUNT_ATTR__ATIME : 0;

	return mounts_set_attributes(mount, mounts_attributes(flags), clear, 0, recursive, code, err);
}

int mounts_attach(int mount, int target, enum error_code code, struct error *err)
{
	if (syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, code, errno, "attach a mount");
	return 0;
}

int mounts_place(int mount, const char *target, struct undo *undo, enum error_code code, struct error *err)
{
	int result = undo_push(undo, UNDO_RMDIR, target, err);

	if (result < 0)
		return result;
	if (mkdir(target, 0700) < 0)
		return error_set(err, code, errno, "make the directory %s", target);
	result = undo_push(undo, UNDO_UMOUNT, target, err);
	if (result < 0)
		return result;
	fd_auto place = open(target, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0)
		return error_set(err, code, errno, "open %s", target);
	return mounts_attach(mount, place, code, err);
}

int mounts_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data,
		 enum error_code code, struct error *err)
{
	if (mount(source, target, type, flags, data) < 0)
		return error_set(err, code, errno, "mount %s on %s", type ? type : source, target);
	return 0;
}

int mounts_unmount(const char *path, struct error *err)
{
	static const struct timespec pause = { .tv_nsec = 20 * 1000 * 1000 };

	for (int tries = 0; tries < 100; tries++) {
		if (umount2(path, UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	return error_set(err, ERROR_TEARDOWN, errno, "unmount %s", path);
}
