/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/modules.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "sys/libraries.h"
#include "sys/paths.h"

/* What has been asked for once, with success, has an empty file here: libkmod need not be opened to find it built in, or absent. */
#define SETTLED "/run/coffer/modules"

static void settle(const char *name)
{
	char path[128];
	struct error ignored;

	if (paths_mkdirs(SETTLED, 0700, &ignored) < 0 || text_format(path, sizeof(path), SETTLED "/%s", name) < 0)
		return;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

/* /sys/module has a folder for what is loaded and for some of what is built in, with '-' written as '_'. */
static bool is_present(const char *name)
{
	char path[128];

	if (text_format(path, sizeof(path), SETTLED "/%s", name) == 0 && access(path, F_OK) == 0)
		return true;
	if (text_format(path, sizeof(path), "/sys/module/%s", name) < 0)
		return false;
	for (char *c = path + strlen("/sys/module/"); *c; c++) {
		if (*c == '-')
			*c = '_';
	}
	return access(path, F_OK) == 0;
}

static int load(struct libraries *lib, struct kmod_ctx *context, const char *name, bool optional, struct error *err)
{
	struct kmod_list *found = NULL, *entry;
	int result = lib->kmod_module_new_from_lookup(context, name, &found);

	if (result < 0 || !found) {
		lib->kmod_module_unref_list(found);
		return optional ? 0 : error_set(err, ERROR_KERNEL, ENOENT, "module %s", name);
	}
	for (entry = found; entry && result >= 0; entry = lib->kmod_list_next(found, entry)) {
		struct kmod_module *module = lib->kmod_module_get_module(entry);

		result = lib->kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);
		lib->kmod_module_unref(module);
	}
	lib->kmod_module_unref_list(found);
	if (result >= 0 || result == -EEXIST)
		return 0;
	if (optional) {
		log_debug("module %s: %s", name, strerror(-result));
		return 0;
	}
	return error_set(err, ERROR_KERNEL, -result, "load module %s", name);
}

int modules_load(const char *const *names, struct error *err)
{
	struct kmod_ctx *context = NULL;
	struct libraries lib;
	int result = 0;

	for (; *names && result == 0; names++) {
		bool optional = **names == '?';
		const char *name = *names + (optional ? 1 : 0);

		if (is_present(name))
			continue;
		if (!context) {
			result = libraries_open(&lib, LIBRARY_kmod, err);
			if (result < 0)
				return result;
			context = lib.kmod_new(NULL, NULL);
			if (!context)
				return error_set(err, ERROR_INTERNAL, ENOMEM, "libkmod");
		}
		result = load(&lib, context, name, optional, err);
		if (result == 0)
			settle(name);
	}
	if (context)
		lib.kmod_unref(context);
	return result;
}

/* Every bus that a disk, a vsock or a power button of our hosts can be on. */
static const char *const buses[] = { "acpi", "pci", "virtio", "vmbus", "scsi", "nd" };

/* Each round finds the devices that the drivers of the round before have made: ACPI or PCI, virtio or vmbus, SCSI host, SCSI
 * disk; ACPI, NVDIMM region, its name space.
 */
#define DRIVER_ROUNDS 4

static void load_for_bus(struct libraries *lib, struct kmod_ctx *context, const char *bus)
{
	char path[384], alias[1024];
	struct dirent *entry;
	struct error ignored;

	if (text_format(path, sizeof(path), "/sys/bus/%s/devices", bus) < 0)
		return;
	auto_dir devices = opendir(path);
	while (devices && (entry = readdir(devices))) {
		if (entry->d_name[0] == '.' ||
		    text_format(path, sizeof(path), "/sys/bus/%s/devices/%s/driver", bus, entry->d_name) < 0 ||
		    access(path, F_OK) == 0)
			continue;
		if (text_format(path, sizeof(path), "/sys/bus/%s/devices/%s/modalias", bus, entry->d_name) < 0 ||
		    text_read_file(path, alias, sizeof(alias)) <= 0)
			continue;
		if (load(lib, context, alias, true, &ignored) < 0)
			log_debug("driver for %s: %s", alias, ignored.message);
	}
}

int modules_load_drivers(struct error *err)
{
	struct libraries lib;
	int result = libraries_open(&lib, LIBRARY_kmod, err);

	if (result < 0)
		return result;
	struct kmod_ctx *context = lib.kmod_new(NULL, NULL);
	if (!context)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "libkmod");
	for (int round = 0; round < DRIVER_ROUNDS; round++) {
		for (size_t i = 0; i < array_count(buses); i++)
			load_for_bus(&lib, context, buses[i]);
	}
	lib.kmod_unref(context);
	return 0;
}
