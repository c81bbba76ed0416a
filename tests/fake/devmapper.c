/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/devmapper.c: remembers the mappings that were asked for and answers status with a text of the test's.  Nothing is
 * mapped. */
#include "fake/devmapper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "sys/devmapper.h"

struct fake_devmapper fake_devmapper;

int devmapper_create(const char *name, const struct devmapper_target *target, enum error_code code, dev_t *number,
		     struct error *err)
{
	unsigned i = fake_devmapper.count++;

	snprintf(fake_devmapper.made[i].name, sizeof(fake_devmapper.made[i].name), "%s", name);
	snprintf(fake_devmapper.made[i].type, sizeof(fake_devmapper.made[i].type), "%s", target->type);
	snprintf(fake_devmapper.made[i].params, sizeof(fake_devmapper.made[i].params), "%s", target->params);
	fake_devmapper.made[i].sectors = target->sectors;
	fake_devmapper.made[i].read_only = target->read_only;
	*number = makedev(253, i);
	if (fake_devmapper.fail_at == (int)i + 1)
		return error_set(err, code, EINVAL, "create %s", name);
	return 0;
}

int devmapper_status(const char *name, bool table, char *text, size_t size, struct error *err)
{
	(void)table, (void)err;
	for (unsigned i = 0; i < fake_devmapper.count; i++) {
		if (strcmp(fake_devmapper.made[i].name, name) == 0)
			snprintf(text, size, "%s", fake_devmapper.table ? fake_devmapper.table : fake_devmapper.made[i].params);
	}
	return 0;
}

int devmapper_remove(const char *name, struct error *err)
{
	(void)err;
	if (fake_devmapper.removed_count < 8)
		snprintf(fake_devmapper.removed[fake_devmapper.removed_count++], 128, "%s", name);
	return 0;
}
