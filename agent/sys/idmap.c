/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "sys/mounts.h"

/* One write: the kernel takes the whole map at once. */
static int write_map(pid_t pid, const char *name, const char *field, const struct id_range *ranges, size_t count, struct error *err)
{
	struct buf text = { 0 };
	char path[64];
	int result = text_format(path, sizeof(path), "/proc/%d/%s", pid, name);

	for (size_t i = 0; i < count && result == 0; i++)
		result = buf_printf(&text, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", ranges[i].from, ranges[i].to, ranges[i].count);
	fd_auto fd = result < 0 ? -1 : open(path, O_WRONLY | O_CLOEXEC);
	if (result < 0)
		error_set(err, ERROR_INTERNAL, -result, "ranges of ids");
	else if (fd < 0)
		result = error_set(err, ERROR_INTERNAL, errno, "open %s", path);
	else if (write(fd, buf_bytes(&text), buf_length(&text)) != (ssize_t)buf_length(&text))
		result = error_field(err, field, "the kernel does not take these ranges: %s", strerror(errno));
	buf_free(&text);
	return result;
}

static int describe(pid_t pid, const struct idmap *map, struct error *err)
{
	char path[64];
	int result = write_map(pid, "gid_map", "gids", map->gids, map->gid_count, err);

	if (result == 0)
		result = write_map(pid, "uid_map", "uids", map->uids, map->uid_count, err);
	if (result < 0)
		return result;
	if (text_format(path, sizeof(path), "/proc/%d/ns/user", pid) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "user namespace");
	int namespace = open(path, O_RDONLY | O_CLOEXEC);
	return namespace < 0 ? error_set(err, ERROR_INTERNAL, errno, "open %s", path) : namespace;
}

int idmap_open(const struct idmap *map, struct error *err)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return error_set(err, ERROR_KERNEL, errno, "make a user namespace");
	if (pid == 0) {
		for (;;)
			pause();
	}
	int result = describe(pid, map, err);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return result;
}

int idmap_clone(int directory, int namespace, struct error *err)
{
	fd_auto copy = mounts_clone(directory, false, ERROR_MOUNT, err);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) namespace };

	if (copy < 0)
		return copy;
	if (syscall(SYS_mount_setattr, copy, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return error_set(err, ERROR_KERNEL, errno, "map the ids of a mount");
	return take_fd(&copy);
}
