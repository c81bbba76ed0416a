/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/device_ways.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/device_pci.h"
#include "sys/device_scsi.h"

/* ---- serial ---- */

static int check_serial(const char *serial, struct error *err)
{
	if (serial[0] == '\0' || strlen(serial) > COFFER_SERIAL_MAX)
		return error_field(err, "", "a serial has 1 to %d characters", COFFER_SERIAL_MAX);
	return 0;
}

/* Where a driver shows a disk's serial, below its folder. */
static const struct {
	const char *file;
	long skip;
} serial_files[] = {
	{ "serial", 0 },         /* virtio-blk */
	{ "device/serial", 0 },  /* NVMe */
	{ "device/vpd_pg80", 4 } /* SCSI: a binary page, the text begins at byte 4 */
};

static int matches_serial(const struct device_tree *tree, const char *serial, const struct device_disk *disk)
{
	char path[DEVICE_TREE_FOLDER_MAX + 32], text[COFFER_SERIAL_MAX + 8];

	(void)tree;
	for (size_t i = 0; i < array_count(serial_files); i++) {
		if (text_format(path, sizeof(path), "%s/%s", disk->folder, serial_files[i].file) < 0)
			continue;
		long skip = serial_files[i].skip, length = text_read_file(path, text, sizeof(text));
		if (length <= skip)
			continue;
		while (length > skip && text[length - 1] == ' ')
			text[--length] = '\0';
		if (strcmp(text + skip, serial) == 0)
			return 1;
	}
	return 0;
}

/* ---- path ---- */

static int check_path(const char *path, struct error *err)
{
	if (strncmp(path, "/dev/", 5) != 0 || path[5] == '\0' || strlen(path) >= sizeof(((struct blockdev *)0)->path))
		return error_field(err, "", "a device is a short path below /dev");
	/* One spelling for each device, or the next line would be passed by with another. */
	if (strstr(path, "//") || strstr(path, "/."))
		return error_field(err, "", "no component may be empty or begin with a dot");
	if (strncmp(path, "/dev/mapper/", 12) == 0 || strncmp(path, "/dev/dm-", 8) == 0)
		return error_field(err, "", "the agent's own mappings are not to be named");
	return 0;
}

/* The tree's own /dev in place of the one in the request. */
static bool stat_node(const struct device_tree *tree, const char *path, struct stat *status)
{
	char node[DEVICE_TREE_FOLDER_MAX];

	return text_format(node, sizeof(node), "%s/%s", tree->dev, path + strlen("/dev/")) == 0 && lstat(node, status) == 0;
}

static int refuse_path(const struct device_tree *tree, const char *path, struct error *err)
{
	char file[DEVICE_TREE_FOLDER_MAX];
	struct stat status;

	if (!stat_node(tree, path, &status))
		return 0;
	if (!S_ISBLK(status.st_mode))
		return error_set(err, ERROR_DEVICE, ENOTBLK, "%s", path);
	if (text_format(file, sizeof(file), "%s/dev/block/%u:%u/partition", tree->sys, major(status.st_rdev),
			minor(status.st_rdev)) == 0 &&
	    access(file, F_OK) == 0)
		return error_set(err, ERROR_DEVICE, EINVAL, "%s is a partition: name the disk, and the partition beside it", path);
	return 0;
}

static int matches_path(const struct device_tree *tree, const char *path, const struct device_disk *disk)
{
	struct stat status;

	return stat_node(tree, path, &status) && S_ISBLK(status.st_mode) && status.st_rdev == disk->number;
}

/* ---- the table ---- */

#define WAY(member) .name = #member, .offset = offsetof(struct blockdev_name, member)

const struct device_way device_ways[] = {
	{ WAY(serial), .check = check_serial, .matches = matches_serial },
	{ WAY(path), .check = check_path, .matches = matches_path, .refuse = refuse_path },
	{ WAY(pci), .check = device_pci_check, .matches = device_pci_matches },
	{ WAY(scsi), .check = device_scsi_check, .matches = device_scsi_matches, .rescan = device_scsi_rescan },
	{ WAY(hyperv), .check = device_scsi_check_hyperv, .matches = device_scsi_matches_hyperv,
	  .rescan = device_scsi_rescan_hyperv },
};
const size_t device_ways_count = array_count(device_ways);

#define PATH_WAY (&device_ways[1])

/* ---- reading ---- */

static const char *text_of(const struct blockdev_name *name, const struct device_way *way)
{
	return *(const char *const *)((const char *)name + way->offset);
}

static int take_text(struct device_wanted *wanted, const struct device_way *way, const char *text, struct error *err)
{
	int result = way->check(text, err);

	if (result == 0 && text_format(wanted->text, sizeof(wanted->text), "%s", text) < 0)
		result = error_field(err, "", "is too long");
	wanted->way = way;
	return result;
}

static int take_partition(struct device_wanted *wanted, uint64_t number, struct error *err)
{
	if (number < 1 || number > DEVICE_WAYS_PARTITION_MAX)
		return error_field(err, "", "a partition's number is 1 to %d", DEVICE_WAYS_PARTITION_MAX);
	wanted->partition = (unsigned)number;
	return 0;
}

static int take_partuuid(struct device_wanted *wanted, const char *text, struct error *err)
{
	size_t length = strlen(text);

	for (size_t i = 0; length == DEVICE_WAYS_PARTUUID && i < length; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (is_dash ? text[i] != '-' : text_hex_digit(text[i]) < 0)
			length = 0;
		else
			wanted->partuuid[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
	}
	if (length != DEVICE_WAYS_PARTUUID)
		return error_field(err, "", "a partition's UUID is 8-4-4-4-12 hex digits");
	return 0;
}

/* What stands behind the '#' of a source: digits alone are a number. */
static int take_suffix(struct device_wanted *wanted, const char *suffix, struct error *err)
{
	size_t digits = strspn(suffix, "0123456789");
	unsigned number = 0;

	if (digits == 0 || digits > 3 || suffix[digits] != '\0' || suffix[0] == '0')
		return take_partuuid(wanted, suffix, err);
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (unsigned)(suffix[i] - '0');
	return take_partition(wanted, number, err);
}

static int read_source(const char *source, struct device_wanted *wanted, struct error *err)
{
	char text[COFFER_SERIAL_MAX + DEVICE_WAYS_PARTUUID + 32];
	int result = 0;

	if (text_format(text, sizeof(text), "%s", source) < 0)
		return error_field(err, "source", "is too long for the name of a device");
	char *suffix = strchr(text, '#');
	if (suffix) {
		*suffix++ = '\0';
		result = take_suffix(wanted, suffix, err);
	}
	if (result == 0 && text[0] == '/') {
		result = take_text(wanted, PATH_WAY, text, err);
	} else if (result == 0) {
		const char *colon = strchr(text, ':');

		result = error_field(err, "", "is none of /dev/..., serial:S, pci:SS/SS, scsi:ID:LUN and hyperv:CONTROLLER:LUN");
		for (size_t i = 0; colon && i < device_ways_count; i++) {
			const struct device_way *way = &device_ways[i];
			size_t length = strlen(way->name);

			if (way != PATH_WAY && (size_t)(colon - text) == length && strncmp(text, way->name, length) == 0)
				result = take_text(wanted, way, colon + 1, err);
		}
	}
	return result < 0 ? error_within(err, "source") : 0;
}

int device_ways_read(const struct blockdev_name *name, struct device_wanted *wanted, struct error *err)
{
	const struct device_way *way = NULL;
	int result;

	*wanted = (struct device_wanted){ 0 };
	if (name->source)
		return read_source(name->source, wanted, err);
	for (size_t i = 0; i < device_ways_count; i++) {
		if (!text_of(name, &device_ways[i]))
			continue;
		if (way)
			return error_field(err, "", "a device is named in one way, not by %s and %s", way->name,
					   device_ways[i].name);
		way = &device_ways[i];
	}
	if (!way)
		return error_field(err, "", "exactly one of serial, path, pci, scsi and hyperv is needed");
	if (name->partition && name->partuuid)
		return error_field(err, "partuuid", "a partition is named by its number or by its UUID, not by both");
	result = take_text(wanted, way, text_of(name, way), err);
	if (result < 0)
		return error_within(err, way->name);
	if (name->partition && take_partition(wanted, name->partition, err) < 0)
		return error_within(err, "partition");
	if (name->partuuid && take_partuuid(wanted, name->partuuid, err) < 0)
		return error_within(err, "partuuid");
	return 0;
}

/* ---- looking ---- */

struct search {
	const struct device_tree *tree;
	const struct device_wanted *wanted;
	struct device_disk *disk;
	unsigned count;
};

static int visit(const struct device_disk *disk, void *context)
{
	struct search *search = context;

	if (!search->wanted->way->matches(search->tree, search->wanted->text, disk))
		return 0;
	*search->disk = *disk;
	return ++search->count > 1;
}

int device_ways_look(const struct device_tree *tree, const struct device_wanted *wanted, struct device_disk *disk, char *node,
		     size_t size, struct error *err)
{
	struct search search = { .tree = tree, .wanted = wanted, .disk = disk };
	int result = wanted->way->refuse ? wanted->way->refuse(tree, wanted->text, err) : 0;

	if (result == 0)
		result = device_tree_each(tree, visit, &search, err);
	if (result < 0)
		return result;
	if (search.count > 1)
		return error_set(err, ERROR_DEVICE, ENOTUNIQ, "two devices have the %s %s", wanted->way->name, wanted->text);
	return search.count == 0 ? 0 : device_tree_node(tree, disk->name, disk->number, node, size, err);
}
