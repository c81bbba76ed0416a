/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/device_scsi.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#define ID_MAX         255u
#define LUN_MAX        16383u
#define CONTROLLER_MAX 3u
#define HYPERV_LUN_MAX 255u

/* Names of the synthetic SCSI controllers of a Hyper-V VM, in the order of their numbers: what hcsshim gives them. */
static const char *const controllers[] = {
	"df6d0690-79e5-55b6-a5ec-c1e2f77f580a",
	"0110f83b-de10-5172-a266-78bca56bf50a",
	"b5d2d8d4-3a75-51bf-945b-3444dc6b8579",
	"305891a9-b251-5dfe-91a2-c25d9212275b",
};

/* Digits only, without a zero in front that is not all of it. */
static bool read_number(const char **text, unsigned most, unsigned *number)
{
	const char *digit = *text;
	unsigned value = 0;

	if (*digit < '0' || *digit > '9' || (*digit == '0' && digit[1] >= '0' && digit[1] <= '9'))
		return false;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		value = value * 10 + (unsigned)(*digit - '0');
		if (value > most)
			return false;
	}
	*text = digit;
	*number = value;
	return true;
}

static bool read_pair(const char *text, unsigned first_most, unsigned *first, unsigned second_most, unsigned *second)
{
	return read_number(&text, first_most, first) && *text++ == ':' && read_number(&text, second_most, second) && *text == '\0';
}

int device_scsi_check(const char *address, struct error *err)
{
	unsigned id, lun;

	if (!read_pair(address, ID_MAX, &id, LUN_MAX, &lun))
		return error_field(err, "", "a SCSI address is ID:LUN, 0..%u and 0..%u", ID_MAX, LUN_MAX);
	return 0;
}

int device_scsi_check_hyperv(const char *address, struct error *err)
{
	unsigned controller, lun;

	if (!read_pair(address, CONTROLLER_MAX, &controller, HYPERV_LUN_MAX, &lun))
		return error_field(err, "", "a Hyper-V address is CONTROLLER:LUN, 0..%u and 0..%u", CONTROLLER_MAX, HYPERV_LUN_MAX);
	return 0;
}

/* .../HOST:CHANNEL:ID:LUN/block/sda, where the kernel keeps a SCSI disk. */
static bool read_address(const char *folder, unsigned address[4])
{
	char copy[DEVICE_TREE_FOLDER_MAX], end;

	if (text_format(copy, sizeof(copy), "%s", folder) < 0)
		return false;
	char *disk = strrchr(copy, '/');
	if (!disk)
		return false;
	*disk = '\0';
	char *block = strrchr(copy, '/');
	if (!block || strcmp(block, "/block") != 0)
		return false;
	*block = '\0';
	return sscanf(device_tree_last(copy), "%u:%u:%u:%u%c", &address[0], &address[1], &address[2], &address[3], &end) == 4;
}

int device_scsi_matches(const struct device_tree *tree, const char *address, const struct device_disk *disk)
{
	unsigned id, lun, found[4];

	(void)tree;
	return read_pair(address, ID_MAX, &id, LUN_MAX, &lun) && read_address(disk->folder, found) && found[1] == 0 &&
	       found[2] == id && found[3] == lun;
}

/* The number of the SCSI host that a controller is; false while it is not there. */
static bool find_host(const struct device_tree *tree, unsigned controller, unsigned *host)
{
	char folder[DEVICE_TREE_FOLDER_MAX], name[32], end;

	return text_format(folder, sizeof(folder), "%s/bus/vmbus/devices/%s", tree->sys, controllers[controller]) == 0 &&
	       device_tree_only(folder, "host", name, sizeof(name)) && sscanf(name, "host%u%c", host, &end) == 1;
}

int device_scsi_matches_hyperv(const struct device_tree *tree, const char *address, const struct device_disk *disk)
{
	unsigned controller, lun, host, found[4];

	return read_pair(address, CONTROLLER_MAX, &controller, HYPERV_LUN_MAX, &lun) && find_host(tree, controller, &host) &&
	       read_address(disk->folder, found) && found[0] == host && found[1] == 0 && found[2] == 0 && found[3] == lun;
}

/* Documentation/scsi/scsi_mid_low_api.rst: "CHANNEL ID LUN" written to a host's `scan`. */
static void scan_host(const struct device_tree *tree, const char *host, unsigned id, unsigned lun)
{
	char path[DEVICE_TREE_FOLDER_MAX], text[48];

	if (text_format(path, sizeof(path), "%s/class/scsi_host/%s/scan", tree->sys, host) < 0)
		return;
	fd_auto fd = open(path, O_WRONLY | O_CLOEXEC);
	int length = snprintf(text, sizeof(text), "0 %u %u\n", id, lun);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		log_debug("%s cannot be asked to scan", host);
}

void device_scsi_rescan(const struct device_tree *tree, const char *address)
{
	char path[DEVICE_TREE_FOLDER_MAX];
	struct dirent *entry;
	unsigned id, lun;

	if (!read_pair(address, ID_MAX, &id, LUN_MAX, &lun) || text_format(path, sizeof(path), "%s/class/scsi_host", tree->sys) < 0)
		return;
	auto_dir hosts = opendir(path);
	while (hosts && (entry = readdir(hosts))) {
		if (strncmp(entry->d_name, "host", 4) == 0)
			scan_host(tree, entry->d_name, id, lun);
	}
}

void device_scsi_rescan_hyperv(const struct device_tree *tree, const char *address)
{
	unsigned controller, lun, host;
	char name[32];

	if (!read_pair(address, CONTROLLER_MAX, &controller, HYPERV_LUN_MAX, &lun) || !find_host(tree, controller, &host))
		return;
	if (text_format(name, sizeof(name), "host%u", host) == 0)
		scan_host(tree, name, 0, lun);
}
