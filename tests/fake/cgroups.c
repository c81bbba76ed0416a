/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/cgroups.c and container/device_filter.c: writes go into a text that the test reads.  No cgroup is touched. */
#include "fake/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "container/device_filter.h"
#include "sys/cgroups.h"

struct fake_cgroups fake_cgroups;

enum cgroups_version cgroups_version(void)
{
	return fake_cgroups.v1 ? CGROUPS_V1 : CGROUPS_V2;
}

int cgroups_path(const char *group, const char *controller, char *path, size_t size, struct error *err)
{
	(void)controller, (void)err;
	snprintf(path, size, "%s", group);
	return 0;
}

int cgroups_write(const char *path, const char *file, const char *value, struct error *err)
{
	size_t used = strlen(fake_cgroups.written);

	(void)path;
	if (fake_cgroups.refuse && strcmp(file, fake_cgroups.refuse) == 0) {
		if (fake_cgroups.refuse_once)
			fake_cgroups.refuse = NULL;
		return error_set(err, ERROR_CONTAINER, fake_cgroups.refuse_errno ? fake_cgroups.refuse_errno : EIO,
				 "write %s to %s", value, file);
	}
	snprintf(fake_cgroups.written + used, sizeof(fake_cgroups.written) - used, "%s=%s\n", file, value);
	return 0;
}

long cgroups_read(const char *folder, const char *file, char *text, size_t size)
{
	(void)folder;
	for (size_t i = 0; i < sizeof(fake_cgroups.files) / sizeof(fake_cgroups.files[0]) && fake_cgroups.files[i].name; i++) {
		if (strcmp(fake_cgroups.files[i].name, file) == 0)
			return snprintf(text, size, "%s", fake_cgroups.files[i].content);
	}
	return -ENOENT;
}

int cgroups_make(const char *group, struct error *err)
{
	return mkdir(group, 0755) < 0 ? error_set(err, ERROR_CONTAINER, errno, "make the cgroup") : 0;
}

int cgroups_enter(int mount, const char *group, struct error *err)
{
	(void)mount, (void)err;
	snprintf(fake_cgroups.entered, sizeof(fake_cgroups.entered), "%s", group);
	return 0;
}

int cgroups_remove(const char *path, struct error *err)
{
	(void)err;
	snprintf(fake_cgroups.removed, sizeof(fake_cgroups.removed), "%s", path);
	return 0;
}

int cgroups_restore(const char *record, struct error *err)
{
	(void)err;
	snprintf(fake_cgroups.restored, sizeof(fake_cgroups.restored), "%s", record);
	return 0;
}

int device_filter_make(const struct resources *resources, struct device_filter *filter, struct error *err)
{
	(void)resources, (void)err;
	memset(filter, 0, sizeof(*filter));
	return 0;
}

void device_filter_free(struct device_filter *filter)
{
	(void)filter;
}

int device_filter_load(const struct device_filter *filter, struct error *err)
{
	(void)filter, (void)err;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int device_filter_attach(int cgroup, int program, struct error *err)
{
	(void)program;
	if (fake_cgroups.filter_fails)
		return error_set(err, ERROR_CONTAINER, EPERM, "attach the device filter");
	fake_cgroups.filtered = cgroup;
	return 0;
}

int device_filter_exceptions(const struct device_filter *filter, bool *allow, struct device_filter *exceptions, struct error *err)
{
	(void)filter, (void)err;
	*allow = false;
	memset(exceptions, 0, sizeof(*exceptions));
	return 0;
}

void device_filter_text(const struct device_filter_rule *rule, char *text, size_t size)
{
	(void)rule;
	snprintf(text, size, "rule");
}
