/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/rollback.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "sys/cgroups.h"
#include "sys/devmapper.h"
#include "sys/links.h"
#include "sys/mounts.h"
#include "sys/paths.h"
#include "sys/swaps.h"

static int undo_nothing(const char *name, struct error *err)
{
	(void)name, (void)err;
	return 0;
}

static int undo_directory(const char *name, struct error *err)
{
	if (rmdir(name) < 0 && errno != ENOENT)
		return error_set(err, ERROR_TEARDOWN, errno, "remove the directory %s", name);
	return 0;
}

static int undo_tree(const char *name, struct error *err)
{
	return paths_remove_tree(AT_FDCWD, name, true, err);
}

static int (*const actions[UNDO_COUNT])(const char *name, struct error *err) = {
	[UNDO_CLAIM] = undo_nothing,
	[UNDO_UMOUNT] = mounts_unmount,
	[UNDO_DM_REMOVE] = devmapper_remove,
	[UNDO_RMDIR] = undo_directory,
	[UNDO_TREE] = undo_tree,
	[UNDO_CGROUP] = cgroups_remove,
	[UNDO_LINK] = links_remove,
	[UNDO_BRIDGE] = links_remove_bridge,
	[UNDO_SWAPOFF] = swaps_off,
	[UNDO_LIMIT] = cgroups_restore,
};

int rollback_run(const struct undo *undo, struct error *err)
{
	struct error failure;
	int result = 0;

	for (size_t i = undo->count; i-- > 0;) {
		const struct undo_record *record = &undo->records[i];

		log_debug("undo: %s %s", undo_kind_name(record->kind), record->name);
		if (actions[record->kind](record->name, &failure) < 0) {
			log_warning("undo %s %s: %s", undo_kind_name(record->kind), record->name, failure.message);
			if (result == 0) {
				*err = failure;
				err->code = ERROR_TEARDOWN;
				result = failure.errnum > 0 ? -failure.errnum : -EINVAL;
			}
		}
	}
	return result;
}

int rollback_since(const struct undo *undo, size_t records, struct error *err)
{
	const struct undo since = { .records = undo->records + records, .count = undo->count - records };

	return since.count > 0 ? rollback_run(&since, err) : 0;
}
