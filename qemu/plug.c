/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "qemu/commands.h"
#include "qemu/disk.h"
#include "qemu/fail.h"

int plug_add(const struct options *options, struct error *err)
{
	struct vm_disk disk;
	int result = disk_parse(options->words[1], &disk, err);

	if (result < 0)
		return result;
	if (!disk.serial[0])
		return fail_set(err, EINVAL, "the disk needs a serial, by which the guest finds it: %s,serial=NAME",
				options->words[1]);
	return disk_plug(options->words[0], &disk, err);
}

int plug_resize(const struct options *options, struct error *err)
{
	uint64_t bytes = 0;
	int result = disk_check_serial(options->words[1], err);

	if (result == 0)
		result = options_size(options->words[2], &bytes, err);
	return result < 0 ? result : disk_resize(options->words[0], options->words[1], bytes, err);
}

int plug_remove(const struct options *options, struct error *err)
{
	int result = disk_check_serial(options->words[1], err);

	return result < 0 ? result : disk_unplug(options->words[0], options->words[1], err);
}
