/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/mounts.c, as far as paths go: remembers and mounts nothing. */
#include "fake/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys/mounts.h"

struct fake_mounts fake_mounts;

int mounts_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data,
		 enum error_code code, struct error *err)
{
	snprintf(fake_mounts.source, sizeof(fake_mounts.source), "%s", source ? source : "");
	snprintf(fake_mounts.target, sizeof(fake_mounts.target), "%s", target);
	snprintf(fake_mounts.type, sizeof(fake_mounts.type), "%s", type ? type : "");
	snprintf(fake_mounts.data, sizeof(fake_mounts.data), "%s", data ? data : "");
	if (!getcwd(fake_mounts.folder, sizeof(fake_mounts.folder)))
		fake_mounts.folder[0] = '\0';
	fake_mounts.flags = flags;
	fake_mounts.mounted_count++;
	if (fake_mounts.refuse && strcmp(target, fake_mounts.refuse) == 0)
		return error_set(err, code, EINVAL, "mount %s", target);
	return 0;
}

int mounts_new(const char *type, const char *source, unsigned long flags, const char *data, enum error_code code, struct error *err)
{
	snprintf(fake_mounts.new_type, sizeof(fake_mounts.new_type), "%s", type);
	snprintf(fake_mounts.new_source, sizeof(fake_mounts.new_source), "%s", source ? source : "");
	snprintf(fake_mounts.new_data, sizeof(fake_mounts.new_data), "%s", data ? data : "");
	fake_mounts.new_flags = flags;
	fake_mounts.new_count++;
	if (fake_mounts.new_fails)
		return error_set(err, code, fake_mounts.new_fails, "mount %s", type);
	return open("/", O_PATH | O_CLOEXEC);
}

int mounts_attach(int mount, int target, enum error_code code, struct error *err)
{
	(void)mount, (void)target, (void)code, (void)err;
	fake_mounts.attached_count++;
	return 0;
}

int mounts_unmount(const char *path, struct error *err)
{
	if (fake_mounts.unmounted_count < 8)
		snprintf(fake_mounts.unmounted[fake_mounts.unmounted_count++], 256, "%s", path);
	if (fake_mounts.refuse && strcmp(path, fake_mounts.refuse) == 0)
		return error_set(err, fake_mounts.refuse_code, EBUSY, "unmount %s", path);
	return 0;
}
