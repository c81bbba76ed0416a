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
		return error_set(err, code, fake_devmapper.fail_errno ? fake_devmapper.fail_errno : EINVAL, "create %s", name);
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

int devmapper_load(const char *name, const struct devmapper_target *target, enum error_code code, struct error *err)
{
	(void)code, (void)err;
	snprintf(fake_devmapper.loaded.name, sizeof(fake_devmapper.loaded.name), "%s", name);
	snprintf(fake_devmapper.loaded.params, sizeof(fake_devmapper.loaded.params), "%s", target->params);
	fake_devmapper.loaded.sectors = target->sectors;
	fake_devmapper.loads++;
	return 0;
}

int devmapper_loaded_table(const char *name, char *text, size_t size, struct error *err)
{
	(void)name, (void)err;
	snprintf(text, size, "%s", fake_devmapper.table ? fake_devmapper.table : fake_devmapper.loaded.params);
	return 0;
}

int devmapper_swap(const char *name, enum error_code code, struct error *err)
{
	(void)name, (void)code, (void)err;
	fake_devmapper.swaps++;
	return 0;
}

void devmapper_drop_loaded(const char *name)
{
	(void)name;
	fake_devmapper.drops++;
}

int devmapper_number(const char *name, dev_t *number, struct error *err)
{
	for (unsigned i = 0; i < fake_devmapper.count; i++) {
		if (strcmp(fake_devmapper.made[i].name, name) == 0) {
			*number = makedev(253, i);
			return 0;
		}
	}
	return error_set(err, ERROR_INTERNAL, ENXIO, "mapping %s", name);
}

int devmapper_remove(const char *name, struct error *err)
{
	(void)err;
	if (fake_devmapper.removed_count < 8)
		snprintf(fake_devmapper.removed[fake_devmapper.removed_count++], 128, "%s", name);
	return 0;
}
