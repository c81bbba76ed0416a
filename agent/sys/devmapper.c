/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/devmapper.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "sys/libraries.h"

/* libdevmapper would print to the console; what matters comes back as errno. */
static void quiet(int level, const char *file, int line, int class_or_errno, const char *text, ...) printf_like(5, 6);
static void quiet(int level, const char *file, int line, int class_or_errno, const char *text, ...)
{
	char message[256];
	va_list args;

	(void)file, (void)line, (void)class_or_errno;
	if ((level & 7) > 4)
		return;
	va_start(args, text);
	vsnprintf(message, sizeof(message), text, args);
	va_end(args);
	log_debug("device-mapper: %s", message);
}

static int open_library(struct libraries *lib, struct error *err)
{
	int result = libraries_open(lib, LIBRARY_devmapper, err);

	if (result < 0)
		return result;
	lib->dm_log_with_errno_init(quiet);
	/* There is no udev in the guest to answer cookies. */
	lib->dm_udev_set_sync_support(0);
	return 0;
}

int devmapper_create(const char *name, const struct devmapper_target *target, enum error_code code, dev_t *number,
		     struct error *err)
{
	struct libraries lib;
	struct dm_info info;
	int result = open_library(&lib, err);

	if (result < 0)
		return result;
	struct dm_task *task = lib.dm_task_create(DM_DEVICE_CREATE);
	if (!task)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task");
	if (!lib.dm_task_set_name(task, name) || (target->read_only && !lib.dm_task_set_ro(task)) ||
	    !lib.dm_task_add_target(task, 0, target->sectors, target->type, target->params)) {
		result = error_set(err, ERROR_INTERNAL, EINVAL, "device-mapper table for %s", name);
	} else if (!lib.dm_task_run(task)) {
		result = error_set(err, code, lib.dm_task_get_errno(task), "load the %s table", target->type);
	} else if (!lib.dm_task_get_info(task, &info) || !info.exists) {
		result = error_set(err, code, ENXIO, "mapping %s", name);
	} else {
		*number = makedev(info.major, info.minor);
	}
	lib.dm_task_destroy(task);
	/* libdevmapper keeps what is to happen in /dev/mapper until it is asked. */
	lib.dm_task_update_nodes();
	return result;
}

int devmapper_load(const char *name, const struct devmapper_target *target, enum error_code code, struct error *err)
{
	struct libraries lib;
	int result = open_library(&lib, err);

	if (result < 0)
		return result;
	struct dm_task *task = lib.dm_task_create(DM_DEVICE_RELOAD);
	if (!task)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task");
	if (!lib.dm_task_set_name(task, name) || (target->read_only && !lib.dm_task_set_ro(task)) ||
	    !lib.dm_task_add_target(task, 0, target->sectors, target->type, target->params))
		result = error_set(err, ERROR_INTERNAL, EINVAL, "device-mapper table for %s", name);
	else if (!lib.dm_task_run(task))
		result = error_set(err, code, lib.dm_task_get_errno(task), "load another %s table", target->type);
	lib.dm_task_destroy(task);
	return result;
}

static int simple_task(int kind, const char *name, enum error_code code, const char *what, struct error *err)
{
	struct libraries lib;
	int result = open_library(&lib, err);

	if (result < 0)
		return result;
	struct dm_task *task = lib.dm_task_create(kind);
	if (!task)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task");
	if (!lib.dm_task_set_name(task, name) || !lib.dm_task_run(task))
		result = error_set(err, code, lib.dm_task_get_errno(task), "%s %s", what, name);
	lib.dm_task_destroy(task);
	return result;
}

int devmapper_swap(const char *name, enum error_code code, struct error *err)
{
	return simple_task(DM_DEVICE_RESUME, name, code, "change the table of", err);
}

void devmapper_drop_loaded(const char *name)
{
	struct error err;

	if (simple_task(DM_DEVICE_CLEAR, name, ERROR_INTERNAL, "drop the loaded table of", &err) < 0)
		log_warning("%s", err.message);
}

static int read_line(int kind, bool loaded, const char *name, char *text, size_t size, struct error *err)
{
	char *type = NULL, *params = NULL;
	uint64_t start, length;
	struct libraries lib;
	int result = open_library(&lib, err);

	if (result < 0)
		return result;
	struct dm_task *task = lib.dm_task_create(kind);
	if (!task)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task");
	if (!lib.dm_task_set_name(task, name) || (loaded && !lib.dm_task_query_inactive_table(task)) || !lib.dm_task_run(task)) {
		result = error_set(err, ERROR_INTERNAL, lib.dm_task_get_errno(task), "status of %s", name);
	} else {
		lib.dm_get_next_target(task, NULL, &start, &length, &type, &params);
		if (!params || text_format(text, size, "%s", params) < 0)
			result = error_set(err, ERROR_INTERNAL, EMSGSIZE, "status of %s", name);
	}
	lib.dm_task_destroy(task);
	return result;
}

int devmapper_status(const char *name, bool table, char *text, size_t size, struct error *err)
{
	return read_line(table ? DM_DEVICE_TABLE : DM_DEVICE_STATUS, false, name, text, size, err);
}

int devmapper_loaded_table(const char *name, char *text, size_t size, struct error *err)
{
	return read_line(DM_DEVICE_TABLE, true, name, text, size, err);
}

int devmapper_number(const char *name, dev_t *number, struct error *err)
{
	struct dm_info info;
	struct libraries lib;
	int result = open_library(&lib, err);

	if (result < 0)
		return result;
	struct dm_task *task = lib.dm_task_create(DM_DEVICE_INFO);
	if (!task)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task");
	if (!lib.dm_task_set_name(task, name) || !lib.dm_task_run(task) || !lib.dm_task_get_info(task, &info) || !info.exists)
		result = error_set(err, ERROR_INTERNAL, ENXIO, "mapping %s", name);
	else
		*number = makedev(info.major, info.minor);
	lib.dm_task_destroy(task);
	return result;
}

int devmapper_remove(const char *name, struct error *err)
{
	char node[160];
	struct libraries lib;
	struct stat status;
	int result = open_library(&lib, err);

	if (result < 0)
		return result;
	struct dm_task *task = lib.dm_task_create(DM_DEVICE_REMOVE);
	if (!task)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task");
	if (!lib.dm_task_set_name(task, name) || !lib.dm_task_retry_remove(task)) {
		result = error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task");
	} else if (!lib.dm_task_run(task)) {
		int errnum = lib.dm_task_get_errno(task);

		if (errnum != ENXIO)
			result = error_set(err, ERROR_TEARDOWN, errnum, "remove the mapping %s", name);
	}
	lib.dm_task_destroy(task);
	lib.dm_task_update_nodes();
	/* A worker that died between the kernel's answer and libdevmapper's mknod, or rm, leaves a stale node. */
	if (result == 0 && text_format(node, sizeof(node), "/dev/mapper/%s", name) == 0 && lstat(node, &status) == 0)
		unlink(node);
	return result;
}
