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

/* A command on one mapping. */
struct command {
	struct libraries lib;
	struct dm_task *task;
};

static int begin(struct command *command, int kind, const char *name, struct error *err)
{
	int result = open_library(&command->lib, err);

	if (result < 0)
		return result;
	command->task = command->lib.dm_task_create(kind);
	if (command->task && command->lib.dm_task_set_name(command->task, name))
		return 0;
	if (command->task)
		command->lib.dm_task_destroy(command->task);
	return error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task for %s", name);
}

static bool set_table(const struct command *command, const struct devmapper_target *target)
{
	return (!target->read_only || command->lib.dm_task_set_ro(command->task)) &&
	       command->lib.dm_task_add_target(command->task, 0, target->sectors, target->type, target->params);
}

static bool run(const struct command *command)
{
	return command->lib.dm_task_run(command->task);
}

/* Of the last run(). */
static int failure(const struct command *command)
{
	return command->lib.dm_task_get_errno(command->task);
}

static void end(struct command *command)
{
	command->lib.dm_task_destroy(command->task);
}

int devmapper_create(const char *name, const struct devmapper_target *target, enum error_code code, dev_t *number,
		     struct error *err)
{
	struct command command;
	struct dm_info info;
	int result = begin(&command, DM_DEVICE_CREATE, name, err);

	if (result < 0)
		return result;
	if (!set_table(&command, target))
		result = error_set(err, ERROR_INTERNAL, EINVAL, "device-mapper table for %s", name);
	else if (!run(&command))
		result = error_set(err, code, failure(&command), "load the %s table", target->type);
	else if (!command.lib.dm_task_get_info(command.task, &info) || !info.exists)
		result = error_set(err, code, ENXIO, "mapping %s", name);
	else
		*number = makedev(info.major, info.minor);
	end(&command);
	/* libdevmapper keeps what is to happen in /dev/mapper until it is asked. */
	command.lib.dm_task_update_nodes();
	return result;
}

int devmapper_load(const char *name, const struct devmapper_target *target, enum error_code code, struct error *err)
{
	struct command command;
	int result = begin(&command, DM_DEVICE_RELOAD, name, err);

	if (result < 0)
		return result;
	if (!set_table(&command, target))
		result = error_set(err, ERROR_INTERNAL, EINVAL, "device-mapper table for %s", name);
	else if (!run(&command))
		result = error_set(err, code, failure(&command), "load another %s table", target->type);
	end(&command);
	return result;
}

static int simple_task(int kind, const char *name, enum error_code code, const char *what, struct error *err)
{
	struct command command;
	int result = begin(&command, kind, name, err);

	if (result < 0)
		return result;
	if (!run(&command))
		result = error_set(err, code, failure(&command), "%s %s", what, name);
	end(&command);
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
	struct command command;
	int result = begin(&command, kind, name, err);

	if (result < 0)
		return result;
	if ((loaded && !command.lib.dm_task_query_inactive_table(command.task)) || !run(&command)) {
		result = error_set(err, ERROR_INTERNAL, failure(&command), "status of %s", name);
	} else {
		command.lib.dm_get_next_target(command.task, NULL, &start, &length, &type, &params);
		if (!params || text_format(text, size, "%s", params) < 0)
			result = error_set(err, ERROR_INTERNAL, EMSGSIZE, "status of %s", name);
	}
	end(&command);
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
	struct command command;
	int result = begin(&command, DM_DEVICE_INFO, name, err);

	if (result < 0)
		return result;
	if (!run(&command) || !command.lib.dm_task_get_info(command.task, &info) || !info.exists)
		result = error_set(err, ERROR_INTERNAL, ENXIO, "mapping %s", name);
	else
		*number = makedev(info.major, info.minor);
	end(&command);
	return result;
}

int devmapper_remove(const char *name, struct error *err)
{
	char node[160];
	struct command command;
	struct stat status;
	int result = begin(&command, DM_DEVICE_REMOVE, name, err);

	if (result < 0)
		return result;
	if (!command.lib.dm_task_retry_remove(command.task))
		result = error_set(err, ERROR_INTERNAL, ENOMEM, "device-mapper task for %s", name);
	else if (!run(&command) && failure(&command) != ENXIO)
		result = error_set(err, ERROR_TEARDOWN, failure(&command), "remove the mapping %s", name);
	end(&command);
	command.lib.dm_task_update_nodes();
	/* A worker that died between the kernel's answer and libdevmapper's mknod, or rm, leaves a stale node. */
	if (result == 0 && text_format(node, sizeof(node), "/dev/mapper/%s", name) == 0 && lstat(node, &status) == 0)
		unlink(node);
	return result;
}
