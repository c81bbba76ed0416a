/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define PATH_SIZE 512
#define DEPTH_MAX 64 /* a container may make groups of its own below its own */

/* v1: folders below CGROUPS_MOUNT; several controllers in one are told by commas. */
static const char *const hierarchies[] = { "cpuset", "cpu,cpuacct",      "memory",     "devices", "freezer", "pids",
					   "blkio",  "net_cls,net_prio", "perf_event", "hugetlb", "rdma" };
#define DEVICES 3
#define FREEZER 4

/* How long a group may take to become empty: less than a teardown may take (job.c), so that the error has words. */
#define REMOVE_MS 50000u

enum cgroups_version cgroups_version(void)
{
	struct statfs status;

	/* A tmpfs with folders is v1. */
	return statfs(CGROUPS_MOUNT, &status) == 0 && status.f_type == TMPFS_MAGIC ? CGROUPS_V1 : CGROUPS_V2;
}

/* ---- names and files ---- */

static bool names(const char *hierarchy, const char *controller)
{
	size_t length = strlen(controller);

	for (const char *word = hierarchy; word; word = strchr(word, ',')) {
		word += *word == ',';
		if (strncmp(word, controller, length) == 0 && (word[length] == ',' || word[length] == '\0'))
			return true;
	}
	return false;
}

/* What a group's name on v2 has behind the mount: that follows on the hierarchy's folder on v1. */
static const char *below_mount(const char *group)
{
	const char *mount = CGROUPS_MOUNT;

	while (*mount && *group == *mount)
		mount++, group++;
	return group;
}

static int hierarchy_path(const char *hierarchy, const char *group, char *path, size_t size, struct error *err)
{
	if (text_format(path, size, CGROUPS_MOUNT "/%s%s", hierarchy, below_mount(group)) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "cgroup");
	return 0;
}

int cgroups_path(const char *group, const char *controller, char *path, size_t size, struct error *err)
{
	if (cgroups_version() == CGROUPS_V2)
		return text_format(path, size, "%s", group) < 0 ? error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "cgroup") : 0;
	for (size_t i = 0; i < array_count(hierarchies); i++) {
		if (names(hierarchies[i], controller))
			return hierarchy_path(hierarchies[i], group, path, size, err);
	}
	return error_set(err, ERROR_KERNEL, ENOENT, "cgroup controller %s", controller);
}

int cgroups_write(const char *folder, const char *file, const char *value, struct error *err)
{
	char name[4096];

	if (text_format(name, sizeof(name), "%s/%s", folder, file) < 0)
		return error_set(err, ERROR_CONTAINER, ENAMETOOLONG, "cgroup file");
	fd_auto fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "write %.100s to %.100s", value, file);
	return 0;
}

long cgroups_read(const char *folder, const char *file, char *text, size_t size)
{
	char name[4096];

	if (text_format(name, sizeof(name), "%s/%s", folder, file) < 0)
		return -ENAMETOOLONG;
	return text_read_file(name, text, size);
}

int cgroups_restore(const char *record, struct error *err)
{
	char path[PATH_SIZE];
	const char *value = strchr(record, '=');

	if (!value || text_format(path, sizeof(path), "%.*s", (int)(value - record), record) < 0)
		return error_set(err, ERROR_TEARDOWN, EINVAL, "a record of no cgroup file");
	fd_auto fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || write(fd, value + 1, strlen(value + 1)) < 0)
		return error_set(err, ERROR_TEARDOWN, errno, "write %.100s back", record);
	return 0;
}

/* ---- at boot ---- */

/* Hands down every controller that the kernel has and that a config can name. */
static int delegate(const char *path, struct error *err)
{
	static const char *const wanted[] = { "memory", "pids", "cpu", "io", "cpuset", "hugetlb", "rdma", "misc" };
	char available[256], value[32];

	long length = cgroups_read(path, "cgroup.controllers", available, sizeof(available));
	if (length < 0)
		return error_set(err, ERROR_KERNEL, (int)-length, "read %s/cgroup.controllers", path);
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

static int mount_v2(struct error *err)
{
	int result;

	if (mount("cgroup2", CGROUPS_MOUNT, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate") < 0 && errno != EBUSY)
		return error_set(err, ERROR_INTERNAL, errno, "mount cgroup2 on " CGROUPS_MOUNT);
	result = delegate(CGROUPS_MOUNT, err);
	if (result == 0 && mkdir(CGROUPS_ROOT, 0755) < 0 && errno != EEXIST)
		result = error_set(err, ERROR_INTERNAL, errno, "make " CGROUPS_ROOT);
	return result < 0 ? result : delegate(CGROUPS_ROOT, err);
}

/* The kernel's controllers, as words between blanks. */
static int read_controllers(char *list, size_t size, struct error *err)
{
	auto_file file = fopen("/proc/cgroups", "re");
	char line[256], name[64];
	unsigned enabled;
	size_t used = 0;

	if (!file)
		return error_set(err, ERROR_KERNEL, errno, "read /proc/cgroups");
	list[0] = '\0';
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %*u %*u %u", name, &enabled) != 2 || !enabled || name[0] == '#')
			continue;
		int put = snprintf(list + used, size - used, " %s ", name);
		if (put < 0 || (size_t)put >= size - used)
			return error_set(err, ERROR_KERNEL, E2BIG, "read /proc/cgroups");
		used += (size_t)put;
	}
	return 0;
}

/* Those of the hierarchy's controllers that the kernel has, as a mount option; "": none. */
static void available(const char *hierarchy, const char *list, char *options, size_t size)
{
	char copy[64], word[66], *save = NULL;
	size_t used = 0;

	options[0] = '\0';
	snprintf(copy, sizeof(copy), "%s", hierarchy);
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		snprintf(word, sizeof(word), " %s ", name);
		if (strstr(list, word))
			used += (size_t)snprintf(options + used, size - used, "%s%s", used ? "," : "", name);
	}
}

/* The same CPUs and nodes as the parent has: without any, nothing may enter. */
static int fill_cpuset(const char *path, struct error *err)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char parent[PATH_SIZE], value[1024];

	if (text_format(parent, sizeof(parent), "%s/..", path) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "cgroup");
	for (size_t i = 0; i < array_count(files); i++) {
		long length = cgroups_read(parent, files[i], value, sizeof(value));

		if (length < 0)
			return error_set(err, ERROR_CONTAINER, (int)-length, "read %s", files[i]);
		int result = cgroups_write(path, files[i], value, err);
		if (result < 0)
			return result;
	}
	return 0;
}

static int make_in_hierarchy(size_t i, const char *group, struct error *err)
{
	char path[PATH_SIZE];
	int result = hierarchy_path(hierarchies[i], CGROUPS_MOUNT, path, sizeof(path), err);

	if (result < 0)
		return result;
	if (access(path, F_OK) < 0)
		return 0; /* the kernel has no such controller */
	result = hierarchy_path(hierarchies[i], group, path, sizeof(path), err);
	if (result == 0 && mkdir(path, 0755) < 0)
		result = error_set(err, ERROR_CONTAINER, errno, "make the cgroup %s", path);
	if (result == 0 && strcmp(hierarchies[i], "cpuset") == 0)
		result = fill_cpuset(path, err);
	return result;
}

static int mount_v1(struct error *err)
{
	char list[512], options[64], path[PATH_SIZE];
	int result = read_controllers(list, sizeof(list), err);

	if (result < 0)
		return result;
	/* Without these a container could reach the disks, or could not be ended. */
	if (!strstr(list, " devices ") || !strstr(list, " freezer "))
		return error_set(err, ERROR_KERNEL, ENOSYS, "cgroup v1 needs the controllers devices and freezer");
	if (mount("tmpfs", CGROUPS_MOUNT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount a tmpfs on " CGROUPS_MOUNT);
	for (size_t i = 0; i < array_count(hierarchies); i++) {
		available(hierarchies[i], list, options, sizeof(options));
		if (!options[0])
			continue;
		result = hierarchy_path(hierarchies[i], CGROUPS_MOUNT, path, sizeof(path), err);
		if (result < 0)
			return result;
		if (mkdir(path, 0755) < 0 || mount("cgroup", path, "cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "mount the cgroup hierarchy %s", options);
		result = make_in_hierarchy(i, CGROUPS_ROOT, err);
		if (result < 0)
			return result;
	}
	return 0;
}

int cgroups_mount(enum cgroups_version version, struct error *err)
{
	if (mkdir(CGROUPS_MOUNT, 0755) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make " CGROUPS_MOUNT);
	return version == CGROUPS_V1 ? mount_v1(err) : mount_v2(err);
}

/* ---- groups ---- */

int cgroups_make(const char *group, struct error *err)
{
	int result = 0;

	if (cgroups_version() == CGROUPS_V2)
		return mkdir(group, 0755) < 0 ? error_set(err, ERROR_CONTAINER, errno, "make the cgroup %s", group) : 0;
	for (size_t i = 0; i < array_count(hierarchies) && result == 0; i++)
		result = make_in_hierarchy(i, group, err);
	return result;
}

int cgroups_enter(int mount, const char *group, struct error *err)
{
	char file[PATH_SIZE];

	for (size_t i = 0; i < array_count(hierarchies); i++) {
		if (faccessat(mount, hierarchies[i], F_OK, 0) < 0 && errno == ENOENT && i != DEVICES && i != FREEZER)
			continue; /* the kernel has no such controller */
		if (text_format(file, sizeof(file), "%s%s/cgroup.procs", hierarchies[i], below_mount(group)) < 0)
			return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "cgroup");
		fd_auto fd = openat(mount, file, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "enter the cgroup %s", file);
	}
	return 0;
}

/* The hierarchy that says who is in a group. */
static int process_path(const char *group, char *path, size_t size, struct error *err)
{
	return cgroups_path(group, hierarchies[FREEZER], path, size, err);
}

/* Calls `visit` for the folder and all below it, the deepest first.  Adds up what it returns; its own error counts, not those
 * below. */
static int walk(int parent, const char *name, int depth, int (*visit)(int parent, const char *name, int number), int number)
{
	fd_auto fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	int sum = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	int copy = dup(fd);
	auto_dir stream = copy >= 0 ? fdopendir(copy) : NULL;
	while (stream && depth < DEPTH_MAX && (entry = readdir(stream))) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int below = walk(fd, entry->d_name, depth + 1, visit, number);
		sum += below > 0 ? below : 0;
	}
	int here = visit(parent, name, number);
	return here < 0 ? here : here + sum;
}

static int remove_folder(int parent, const char *name, int number)
{
	(void)number;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int signal_folder(int parent, const char *name, int number)
{
	char path[300];
	unsigned long pid;

	if (text_format(path, sizeof(path), "%s/cgroup.procs", name) < 0)
		return -ENAMETOOLONG;
	int fd = openat(parent, path, O_RDONLY | O_CLOEXEC);
	auto_file list = fd >= 0 ? fdopen(fd, "r") : NULL;
	while (list && fscanf(list, "%lu", &pid) == 1) {
		if (pid > 1)
			kill((pid_t)pid, number);
	}
	return 0;
}

static int count_folder(int parent, const char *name, int number)
{
	char path[300], text[2];

	(void)number;
	if (text_format(path, sizeof(path), "%s/cgroup.procs", name) < 0)
		return -ENAMETOOLONG;
	fd_auto fd = openat(parent, path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, text, sizeof(text)) > 0;
}

int cgroups_signal(const char *group, int signal, struct error *err)
{
	bool kill_v1 = signal == SIGKILL && cgroups_version() == CGROUPS_V1;
	char path[PATH_SIZE];
	int result = process_path(group, path, sizeof(path), err);

	if (result < 0)
		return result;
	if (signal == SIGKILL && !kill_v1)
		return cgroups_write(path, "cgroup.kill", "1", err);
	/* Nobody is to be born while the list is read; and who is frozen dies when thawed. */
	if (kill_v1)
		result = cgroups_freeze(group, true, err);
	if (result < 0)
		return result;
	int walked = walk(AT_FDCWD, path, 0, signal_folder, signal);
	if (kill_v1)
		result = cgroups_freeze(group, false, err);
	if (walked < 0)
		return error_set(err, ERROR_CONTAINER, -walked, "read who is in the cgroup");
	return result;
}

int cgroups_freeze(const char *group, bool freeze, struct error *err)
{
	bool v1 = cgroups_version() == CGROUPS_V1;
	char path[PATH_SIZE];
	int result = process_path(group, path, sizeof(path), err);

	if (result < 0)
		return result;
	if (v1)
		return cgroups_write(path, "freezer.state", freeze ? "FROZEN" : "THAWED", err);
	return cgroups_write(path, "cgroup.freeze", freeze ? "1" : "0", err);
}

int cgroups_frozen(const char *group)
{
	bool v1 = cgroups_version() == CGROUPS_V1;
	char path[PATH_SIZE], text[256];
	struct error ignored;

	if (process_path(group, path, sizeof(path), &ignored) < 0)
		return -EINVAL;
	long length = cgroups_read(path, v1 ? "freezer.state" : "cgroup.events", text, sizeof(text));
	if (length < 0)
		return (int)length;
	return v1 ? strcmp(text, "FROZEN") == 0 : strstr(text, "frozen 1") != NULL;
}

/* 1 when a process is in the group or below it, 0 when not or when it is gone. */
static bool is_populated(const char *path, bool v1)
{
	char text[256];

	if (v1)
		return walk(AT_FDCWD, path, 0, count_folder, 0) > 0;
	return cgroups_read(path, "cgroup.events", text, sizeof(text)) > 0 && strstr(text, "populated 1");
}

static int remove_everywhere(const char *group, bool v1)
{
	char path[PATH_SIZE];
	struct error ignored;
	int result = 0;

	if (!v1)
		return walk(AT_FDCWD, group, 0, remove_folder, 0);
	for (size_t i = 0; i < array_count(hierarchies); i++) {
		int here = hierarchy_path(hierarchies[i], group, path, sizeof(path), &ignored);

		if (here == 0)
			here = walk(AT_FDCWD, path, 0, remove_folder, 0);
		if (here < 0)
			result = here;
	}
	return result;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int cgroups_remove(const char *group, struct error *err)
{
	static const struct timespec pause = { .tv_nsec = 2 * 1000 * 1000 };
	bool v1 = cgroups_version() == CGROUPS_V1;
	uint64_t began = now_ms(), kill_at = began, patience = 10;
	char path[PATH_SIZE];
	struct error ignored;
	int result = process_path(group, path, sizeof(path), err);

	if (result < 0)
		return result;
	result = -EBUSY;
	while (now_ms() - began < REMOVE_MS) {
		if (!is_populated(path, v1)) {
			/* A zombie's rmdir is EBUSY until it is reaped. */
			result = remove_everywhere(group, v1);
			if (result == 0)
				return 0;
		} else if (now_ms() >= kill_at) {
			/* A group that was frozen when it was killed would not be let go of by the kernel. */
			if (cgroups_signal(group, SIGKILL, &ignored) == 0 && !v1)
				(void)!cgroups_freeze(group, false, &ignored);
			/*
			 * Again, as a kill takes what is there at that moment; but ever more rarely: on v1 it freezes the group,
			 * and on a busy machine who is to die must get a processor between two of them.
			 */
			patience *= 2;
			kill_at = now_ms() + patience;
		}
		nanosleep(&pause, NULL);
	}
	return error_set(err, ERROR_TEARDOWN, -result, "remove the cgroup %s", group);
}

unsigned cgroups_count(void)
{
	char path[PATH_SIZE];
	struct error ignored;
	struct dirent *entry;
	unsigned count = 0;

	if (process_path(CGROUPS_ROOT, path, sizeof(path), &ignored) < 0)
		return 0;
	auto_dir directory = opendir(path);
	while (directory && (entry = readdir(directory)))
		count += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	return count;
}
