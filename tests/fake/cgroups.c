/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/cgroups.c and container/device_filter.c: writes go into a text that the test reads.  No cgroup is touched. */
#include "fake/cgroups.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "container/device_filter.h"
#include "sys/cgroups.h"

struct fake_cgroups fake_cgroups;

int cgroups_write(const char *path, const char *file, const char *value, struct error *err)
{
	size_t used = strlen(fake_cgroups.written);

	(void)path;
	if (fake_cgroups.refuse && strcmp(file, fake_cgroups.refuse) == 0)
		return error_set(err, ERROR_CONTAINER, EINVAL, "write %s to %s", value, file);
	snprintf(fake_cgroups.written + used, sizeof(fake_cgroups.written) - used, "%s=%s\n", file, value);
	return 0;
}

int cgroups_delegate(const char *path, struct error *err)
{
	(void)path, (void)err;
	return 0;
}

int cgroups_remove(const char *path, struct error *err)
{
	(void)err;
	snprintf(fake_cgroups.removed, sizeof(fake_cgroups.removed), "%s", path);
	return 0;
}

int device_filter_attach(int cgroup, struct error *err)
{
	if (fake_cgroups.filter_fails)
		return error_set(err, ERROR_CONTAINER, EPERM, "attach the device filter");
	fake_cgroups.filtered = cgroup;
	return 0;
}
