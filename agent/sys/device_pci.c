/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/device_pci.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define LEVELS_MAX    8
#define SLOT_MAX      0x1f
#define FUNCTION_MAX  7
#define ROOT_BUS_MIN  0x20 /* no slot has this number */
#define ROOT_ELEMENTS 3

struct element {
	unsigned slot, function;
	bool has_function;
};

struct path {
	unsigned root;
	struct element elements[LEVELS_MAX];
	size_t count;
};

/* One "SS[.F]" at *text; moves behind it. */
static bool read_element(const char **text, struct element *element)
{
	int high = text_hex_digit((*text)[0]), low = high < 0 ? -1 : text_hex_digit((*text)[1]);

	if (low < 0)
		return false;
	*element = (struct element){ .slot = (unsigned)(high << 4 | low) };
	*text += 2;
	if (**text != '.')
		return true;
	if ((*text)[1] < '0' || (*text)[1] > '0' + FUNCTION_MAX)
		return false;
	element->function = (unsigned)((*text)[1] - '0');
	element->has_function = true;
	*text += 2;
	return true;
}

static bool read_path(const char *text, struct path *path)
{
	*path = (struct path){ 0 };
	for (;;) {
		if (path->count == LEVELS_MAX || !read_element(&text, &path->elements[path->count++]))
			return false;
		if (*text == '\0')
			break;
		if (*text++ != '/')
			return false;
	}
	if (path->count >= ROOT_ELEMENTS && path->elements[0].slot >= ROOT_BUS_MIN && !path->elements[0].has_function) {
		path->root = path->elements[0].slot;
		path->count--;
		memmove(path->elements, path->elements + 1, path->count * sizeof(path->elements[0]));
	}
	for (size_t i = 0; i < path->count; i++) {
		if (path->elements[i].slot > SLOT_MAX)
			return false;
	}
	return true;
}

int device_pci_check(const char *text, struct error *err)
{
	struct path path;

	if (!read_path(text, &path))
		return error_field(err, "",
				   "a PCI path is 1 to %d slots SS or SS.F with a slash between two (hex 00..1f, function 0..7), "
				   "and may begin with a root bus 20..ff",
				   LEVELS_MAX);
	return 0;
}

/* The number of the bus behind a bridge: the entry of pci_bus/ says it, and where that is missing, whatever devices there are. */
static bool bus_behind(const char *bridge, unsigned *bus)
{
	char folder[DEVICE_TREE_FOLDER_MAX + 16], name[32];
	unsigned domain, first, slot, function;
	auto_dir entries = NULL;
	struct dirent *entry;
	bool found = false;

	if (text_format(folder, sizeof(folder), "%s/pci_bus", bridge) == 0 && device_tree_only(folder, "", name, sizeof(name)))
		return sscanf(name, "%4x:%2x", &domain, bus) == 2 && domain == 0;
	entries = opendir(bridge);
	while (entries && (entry = readdir(entries))) {
		if (fnmatch("[0-9a-f][0-9a-f][0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f].[0-7]", entry->d_name, 0) != 0 ||
		    sscanf(entry->d_name, "%4x:%2x:%2x.%1x", &domain, &first, &slot, &function) != 4 || domain != 0)
			continue;
		if (found && first != *bus)
			return false;
		*bus = first;
		found = true;
	}
	return found;
}

/* The folder of the PCI function, its bridges among its parents. */
static bool find_function(const struct device_tree *tree, const struct path *path, char *folder, size_t size)
{
	unsigned bus = path->root;

	if (text_format(folder, size, "%s/devices/pci0000:%02x", tree->sys, path->root) < 0)
		return false;
	for (size_t i = 0; i < path->count; i++) {
		const struct element *element = &path->elements[i];
		size_t length = strlen(folder);

		if (i > 0 && !bus_behind(folder, &bus))
			return false;
		if (text_format(folder + length, size - length, "/0000:%02x:%02x.%x", bus, element->slot, element->function) < 0 ||
		    access(folder, F_OK) < 0)
			return false;
	}
	return true;
}

int device_pci_matches(const struct device_tree *tree, const char *text, const struct device_disk *disk)
{
	/* What lies between the function and its disk. */
	static const char *const shapes[] = { "virtio[0-9]*/block/*", "nvme/nvme[0-9]*/*" };
	char folder[DEVICE_TREE_FOLDER_MAX];
	struct path path;

	if (!read_path(text, &path) || !find_function(tree, &path, folder, sizeof(folder)))
		return 0;
	size_t length = strlen(folder);
	if (strncmp(disk->folder, folder, length) != 0 || disk->folder[length] != '/')
		return 0;
	for (size_t i = 0; i < array_count(shapes); i++) {
		if (fnmatch(shapes[i], disk->folder + length + 1, FNM_PATHNAME) == 0)
			return 1;
	}
	return 0;
}
