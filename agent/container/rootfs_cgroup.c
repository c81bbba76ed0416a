/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/rootfs_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/cgroups.h"
#include "sys/mounts.h"

int rootfs_cgroup_bind(const char *folder, unsigned long flags, int target, struct error *err)
{
	fd_auto source = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (source < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open the cgroup %s", folder);
	fd_auto copy = mounts_clone(source, false, ERROR_CONTAINER, err);
	if (copy < 0)
		return copy;
	int result = mounts_set_flags(copy, flags, false, ERROR_CONTAINER, err);
	return result < 0 ? result : mounts_attach(copy, target, ERROR_CONTAINER, err);
}

/* "cpu,cpuacct" is where programs look for "cpu" and for "cpuacct". */
static int link_words(int directory, const char *hierarchy, struct error *err)
{
	char copy[64], *save = NULL;

	if (!strchr(hierarchy, ','))
		return 0;
	snprintf(copy, sizeof(copy), "%s", hierarchy);
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (symlinkat(hierarchy, directory, word) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "make the link %s", word);
	}
	return 0;
}

static int show_hierarchy(int directory, const char *group, const char *hierarchy, unsigned long flags, struct error *err)
{
	char folder[512], controller[64];

	snprintf(controller, sizeof(controller), "%.*s", (int)strcspn(hierarchy, ","), hierarchy);
	int result = cgroups_path(group, controller, folder, sizeof(folder), err);
	if (result < 0)
		return result;
	if (mkdirat(directory, hierarchy, 0755) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "make %s", hierarchy);
	fd_auto place = openat(directory, hierarchy, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open %s", hierarchy);
	result = rootfs_cgroup_bind(folder, flags, place, err);
	return result < 0 ? result : link_words(directory, hierarchy, err);
}

int rootfs_cgroup_v1(const char *group, unsigned long flags, int target, struct error *err)
{
	struct dirent *entry;
	fd_auto mount = mounts_new("tmpfs", "cgroup", flags & ~(unsigned long)MS_RDONLY, "mode=0755", ERROR_CONTAINER, err);

	if (mount < 0)
		return mount;
	int result = mounts_attach(mount, target, ERROR_CONTAINER, err);
	if (result < 0)
		return result;
	fd_auto directory = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir hierarchies = opendir(CGROUPS_MOUNT);
	if (directory < 0 || !hierarchies)
		return error_set(err, ERROR_CONTAINER, errno, "open the hierarchies");
	while (result == 0 && (entry = readdir(hierarchies))) {
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			result = show_hierarchy(directory, group, entry->d_name, flags, err);
	}
	return result < 0 ? result : mounts_set_flags(mount, MS_RDONLY, false, ERROR_CONTAINER, err);
}
