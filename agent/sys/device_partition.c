/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/device_partition.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/libraries.h"

#define SECTOR_MAX   4096u
#define ENTRY_SIZE   128u /* larger ones are allowed by the specification, and made by nobody */
#define LINUX_SECTOR 512u /* the unit of libblkid and of sysfs, whatever the disk's is */

/* UEFI 2.10, table 5-5. */
struct header {
	char signature[8];
	uint32_t revision, size, header_crc, reserved;
	uint64_t own_block, other_block, first_usable, last_usable;
	uint8_t disk_guid[16];
	uint64_t entries_block;
	uint32_t entry_count, entry_size, entries_crc;
} __attribute__((packed));

/* ---- the copy ---- */

static int copy_area(int disk, int copy, uint64_t offset, size_t size, struct error *err)
{
	auto_free char *bytes = malloc(size);

	if (!bytes)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "partition table");
	ssize_t got = pread(disk, bytes, size, (off_t)offset);
	if (got != (ssize_t)size)
		return error_set(err, ERROR_DEVICE, got < 0 ? errno : EIO, "read the partition table");
	if (pwrite(copy, bytes, size, (off_t)offset) != (ssize_t)size)
		return error_set(err, ERROR_INTERNAL, errno, "copy the partition table");
	return 0;
}

/* libblkid would make memory for as many entries as the table says. */
static int copy_entries(int disk, int copy, uint64_t disk_size, unsigned sector, struct error *err)
{
	struct header header;
	uint64_t blocks = disk_size / sector;

	if (pread(copy, &header, sizeof(header), sector) != sizeof(header))
		return error_set(err, ERROR_INTERNAL, errno, "partition table");
	if (memcmp(header.signature, "EFI PART", sizeof(header.signature)) != 0)
		return error_set(err, ERROR_DEVICE, EINVAL, "the disk has no GPT");
	uint64_t first = le64toh(header.entries_block);
	uint32_t count = le32toh(header.entry_count);
	if (le32toh(header.entry_size) != ENTRY_SIZE || count == 0 || count > DEVICE_WAYS_PARTITION_MAX)
		return error_set(err, ERROR_DEVICE, EINVAL, "the GPT has %u entries of %u bytes; up to %d of %u are read", count,
				 le32toh(header.entry_size), DEVICE_WAYS_PARTITION_MAX, ENTRY_SIZE);
	size_t size = ((size_t)count * ENTRY_SIZE + sector - 1) / sector * sector;
	if (first < 2 || first >= blocks || size / sector > blocks - first)
		return error_set(err, ERROR_DEVICE, EINVAL, "the entries of the GPT lie outside the disk");
	return copy_area(disk, copy, first * sector, size, err);
}

/* What is not copied reads as zero: a second table at the disk's end has no say. */
static int copy_table(int disk, uint64_t disk_size, unsigned sector, int *made, struct error *err)
{
	fd_auto copy = memfd_create("coffer-gpt", MFD_CLOEXEC);

	if (copy < 0 || ftruncate(copy, (off_t)disk_size) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "copy the partition table");
	int result = copy_area(disk, copy, 0, (size_t)2 * sector, err);
	if (result == 0)
		result = copy_entries(disk, copy, disk_size, sector, err);
	*made = result == 0 ? take_fd(&copy) : -1;
	return result;
}

/* ---- the table ---- */

/* In units of LINUX_SECTOR. */
struct extent {
	uint64_t start, size;
	const char *uuid;
};

static int check_extents(const struct extent *extents, size_t count, uint64_t sectors, struct error *err)
{
	for (size_t a = 0; a < count; a++) {
		if (extents[a].size == 0 || extents[a].start >= sectors || extents[a].size > sectors - extents[a].start)
			return error_set(err, ERROR_DEVICE, EINVAL, "the GPT has a partition outside the disk");
		for (size_t b = 0; b < a; b++) {
			if (extents[a].start < extents[b].start + extents[b].size &&
			    extents[b].start < extents[a].start + extents[a].size)
				return error_set(err, ERROR_DEVICE, EINVAL, "the GPT has partitions that overlap");
			if (strcmp(extents[a].uuid, extents[b].uuid) == 0)
				return error_set(err, ERROR_DEVICE, ENOTUNIQ, "the GPT has the partition %s twice",
						 extents[a].uuid);
		}
	}
	return 0;
}

static int pick(struct libraries *lib, blkid_partlist list, uint64_t disk_size, const struct device_wanted *wanted,
		struct device_partition *partition, struct error *err)
{
	struct extent extents[DEVICE_WAYS_PARTITION_MAX];
	int count = lib->blkid_partlist_numof_partitions(list);
	bool found = false;

	if (count < 0 || count > DEVICE_WAYS_PARTITION_MAX)
		return error_set(err, ERROR_DEVICE, EINVAL, "the GPT has %d partitions", count);
	for (int i = 0; i < count; i++) {
		blkid_partition entry = lib->blkid_partlist_get_partition(list, i);
		int number = lib->blkid_partition_get_partno(entry);
		const char *uuid = lib->blkid_partition_get_uuid(entry);

		extents[i] = (struct extent){ .start = (uint64_t)lib->blkid_partition_get_start(entry),
					      .size = (uint64_t)lib->blkid_partition_get_size(entry),
					      .uuid = uuid ? uuid : "" };
		if (wanted->partition ? number == (int)wanted->partition : strcmp(extents[i].uuid, wanted->partuuid) == 0) {
			found = true;
			*partition = (struct device_partition){ .number = (unsigned)number,
								.start = extents[i].start * LINUX_SECTOR,
								.size = extents[i].size * LINUX_SECTOR };
		}
	}
	int result = check_extents(extents, (size_t)count, disk_size / LINUX_SECTOR, err);
	if (result == 0 && !found && wanted->partition)
		result = error_set(err, ERROR_DEVICE, ENOENT, "the disk has no partition %u", wanted->partition);
	else if (result == 0 && !found)
		result = error_set(err, ERROR_DEVICE, ENOENT, "the disk has no partition %s", wanted->partuuid);
	return result;
}

int device_partition_read(int disk, uint64_t disk_size, unsigned sector, const struct device_wanted *wanted,
			  struct device_partition *partition, struct error *err)
{
	char *types[] = { (char *)"gpt", NULL }; /* libblkid does not change them, but says char * */
	fd_auto copy = -1;
	struct libraries lib;
	blkid_partlist list = NULL;

	if (sector < LINUX_SECTOR || sector > SECTOR_MAX || disk_size < (uint64_t)sector * 8 || disk_size > INT64_MAX)
		return error_set(err, ERROR_DEVICE, EINVAL, "the disk cannot have a GPT");
	int result = copy_table(disk, disk_size, sector, &copy, err);
	if (result == 0)
		result = libraries_open(&lib, LIBRARY_blkid, err);
	if (result < 0)
		return result;
	blkid_probe probe = lib.blkid_new_probe();
	if (!probe)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "libblkid");
	lib.blkid_probe_enable_superblocks(probe, 0);
	lib.blkid_probe_enable_partitions(probe, 1);
	lib.blkid_probe_filter_partitions_type(probe, BLKID_FLTR_ONLYIN, types);
	if (lib.blkid_probe_set_device(probe, copy, 0, 0) == 0 && lib.blkid_probe_set_sectorsize(probe, sector) == 0)
		list = lib.blkid_probe_get_partitions(probe);
	if (list)
		result = pick(&lib, list, disk_size, wanted, partition, err);
	else
		result = error_set(err, ERROR_DEVICE, EINVAL, "the GPT is not sound");
	lib.blkid_free_probe(probe);
	return result;
}

/* ---- the kernel's view ---- */

static int read_number(const char *folder, const char *entry, const char *file, unsigned long long *value)
{
	char path[DEVICE_TREE_FOLDER_MAX + 320];

	return text_format(path, sizeof(path), "%s/%s/%s", folder, entry, file) < 0 ? -ENAMETOOLONG
										    : device_tree_count(path, value);
}

int device_partition_look(const struct device_disk *disk, const struct device_partition *partition, char *name, size_t size,
			  dev_t *number, struct error *err)
{
	auto_dir entries = opendir(disk->folder);
	struct dirent *entry;

	while (entries && (entry = readdir(entries))) {
		char path[DEVICE_TREE_FOLDER_MAX + 320];
		unsigned long long value, start, length;

		if (strncmp(entry->d_name, disk->name, strlen(disk->name)) != 0 ||
		    read_number(disk->folder, entry->d_name, "partition", &value) < 0 || value != partition->number)
			continue;
		if (read_number(disk->folder, entry->d_name, "start", &start) < 0 ||
		    read_number(disk->folder, entry->d_name, "size", &length) < 0 ||
		    text_format(path, sizeof(path), "%s/%s/dev", disk->folder, entry->d_name) < 0 ||
		    device_tree_number(path, number) < 0 || text_format(name, size, "%s", entry->d_name) < 0)
			return 0;
		if (start != partition->start / LINUX_SECTOR || length != partition->size / LINUX_SECTOR)
			return error_set(err, ERROR_DEVICE, EINVAL,
					 "the kernel has %s at %llu with %llu sectors, the GPT at %llu with %llu", name, start,
					 length, (unsigned long long)(partition->start / LINUX_SECTOR),
					 (unsigned long long)(partition->size / LINUX_SECTOR));
		return 1;
	}
	return 0;
}
