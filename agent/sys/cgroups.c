/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

int cgroups_write(const char *path, const char *file, const char *value, struct error *err)
{
	char name[4096];

	if (text_format(name, sizeof(name), "%s/%s", path, file) < 0)
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "cgroup file");
	fd_auto fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "write %s to %s", value, file);
	return 0;
}

int cgroups_delegate(const char *path, struct error *err)
{
	static const char *const wanted[] = { "memory", "pids", "cpu", "io", "cpuset" };
	char name[4096], available[256], value[32];

	if (text_format(name, sizeof(name), "%s/cgroup.controllers", path) < 0)
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "cgroup file");
	long length = text_read_file(name, available, sizeof(available));
	if (length < 0)
		return error_set(err, ERROR_KERNEL, (int)-length, "read %s", name);
	for (size_t i = 0; i < array_count(wanted); i++) {
		char *save = NULL, copy[256];
		bool have = false;

		memcpy(copy, available, sizeof(copy));
		for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
			have = have || strcmp(word, wanted[i]) == 0;
		if (!have)
			continue;
		if (text_format(value, sizeof(value), "+%s", wanted[i]) < 0)
			continue;
		int result = cgroups_write(path, "cgroup.subtree_control", value, err);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Depth-first rmdir; a container may have made cgroups of its own in its subtree, but not deeper than the kernel's own limits
 * allow. */
static int remove_tree(int parent, const char *name, int depth)
{
	fd_auto fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int copy = dup(fd);
	auto_dir stream = copy >= 0 ? fdopendir(copy) : NULL;
	while (stream && depth < 64 && (entry = readdir(stream))) {
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)!remove_tree(fd, entry->d_name, depth + 1);
	}
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* 1 when a process is in the cgroup or below it, 0 when not or when it is gone. */
static int is_populated(int events)
{
	char text[256];
	ssize_t got = pread(events, text, sizeof(text) - 1, 0);

	if (got <= 0)
		return 0;
	text[got] = '\0';
	return strstr(text, "populated 1") != NULL;
}

int cgroups_remove(const char *path, struct error *err)
{
	static const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	char name[4096];
	struct error ignored;
	int result = -EBUSY;

	if (access(path, F_OK) < 0)
		return 0;
	if (text_format(name, sizeof(name), "%s/cgroup.events", path) < 0)
		return error_set(err, ERROR_TEARDOWN, ENAMETOOLONG, "cgroup");
	fd_auto events = open(name, O_RDONLY | O_CLOEXEC);
	for (int tries = 0; tries < 1000; tries++) {
		/* Again each turn: cgroup.kill takes what is there now, and a zombie's rmdir is EBUSY until it is reaped. */
		if (events >= 0 && is_populated(events)) {
			if (cgroups_write(path, "cgroup.kill", "1", &ignored) == 0)
				(void)!cgroups_write(path, "cgroup.freeze", "0", &ignored);
			struct pollfd change = { .fd = events, .events = POLLPRI };

			poll(&change, 1, 10);
			continue;
		}
		result = remove_tree(AT_FDCWD, path, 0);
		if (result == 0)
			return 0;
		nanosleep(&pause, NULL);
	}
	return error_set(err, ERROR_TEARDOWN, -result, "remove the cgroup %s", path);
}
