/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/scratch.h"

#include <errno.h>
#include <sys/sysinfo.h>

#include "base/text.h"
#include "storage/format.h"
#include "storage/integrity.h"
#include "storage/mkswap.h"
#include "sys/modules.h"
#include "sys/swaps.h"

/* The kernel keeps a byte of memory for each page of a swap, used or not: at most 1/128 of the memory goes to that. */
#define SWAP_MOST 32u /* times the memory */

static int check_swap_size(const struct blockdev *disk, struct error *err)
{
	struct sysinfo info;

	if (sysinfo(&info) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "sysinfo");
	uint64_t most = (uint64_t)info.totalram * info.mem_unit * SWAP_MOST;
	if (disk->size > most)
		return error_set(err, ERROR_DEVICE, EFBIG,
				 "%llu bytes of swap are more than %u times the memory, %llu: `size` makes it smaller",
				 (unsigned long long)disk->size, SWAP_MOST, (unsigned long long)most);
	return 0;
}

/* dm-integrity lays its areas one behind the other, so a mapping of what fits into the first bytes touches no others. */
static int check_size(struct blockdev *disk, const struct scratch_plan *plan, struct error *err)
{
	if (plan->disk_size > disk->size)
		return error_set(err, ERROR_DEVICE, ENOSPC, "%s has %llu bytes, %llu are asked for", disk->path,
				 (unsigned long long)disk->size, (unsigned long long)plan->disk_size);
	if (plan->disk_size)
		disk->size = plan->disk_size;
	return plan->use == SCRATCH_SWAP ? check_swap_size(disk, err) : 0;
}

static int use_as_filesystem(const char *node, const char *target, uint64_t size, struct undo *undo, struct steps *steps,
			     struct error *err)
{
	int result = format_ext4(node, size, MKFS_SCRATCH, steps, err);

	if (result < 0)
		return error_step(err, "format the scratch disk");
	result = format_mount(node, target, false, false, undo, err);
	if (result < 0)
		return error_step(err, "mount the scratch disk");
	steps_done(steps, "mount");
	return 0;
}

static int use_as_swap(const char *node, uint64_t size, struct undo *undo, struct steps *steps, struct error *err)
{
	int result = mkswap_write(node, size, err);

	if (result < 0)
		return error_step(err, "write the swap's header");
	steps_done(steps, "write the swap's header");
	result = undo_push(undo, UNDO_SWAPOFF, node, err);
	if (result == 0)
		result = swaps_on(node, err);
	if (result < 0)
		return error_step(err, "swap to the scratch disk");
	steps_done(steps, "swap to it");
	return 0;
}

int scratch_open(const char *name, struct blockdev *disk, const struct scratch_plan *plan, const char *target, struct undo *undo,
		 struct steps *steps, uint64_t *size, struct error *err)
{
	char node[160];
	dev_t number;
	int result = check_size(disk, plan, err);

	if (result < 0)
		return error_step(err, "look at the scratch disk");
	result = modules_load(plan->layout->modules, err);
	if (result < 0)
		return error_wrap(err, "cipher %s", plan->layout->name);
	if (text_format(node, sizeof(node), "/dev/mapper/%s", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	steps_done(steps, "load modules");
	blockdev_close(disk);
	result = integrity_make(name, plan->layout, disk, NULL, undo, size, &number, err);
	if (result < 0)
		return error_step(err, "encrypt the scratch disk");
	steps_done(steps, "map with a new key");
	return plan->use == SCRATCH_SWAP ? use_as_swap(node, *size, undo, steps, err)
					 : use_as_filesystem(node, target, *size, undo, steps, err);
}
