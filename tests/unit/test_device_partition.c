/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/sys/device_partition.c agent/sys/device_ways.c agent/sys/device_tree.c agent/sys/device_pci.c */
/* links: agent/sys/device_scsi.c agent/sys/libraries.c */
/* Partition tables, sound ones and those of a hostile host, in a file in place of a disk; the real libblkid reads them. */
#include "unit/test.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/device_partition.h"

#define DISK_SIZE (64ull << 20)

struct header {
	char signature[8];
	uint32_t revision, size, header_crc, reserved;
	uint64_t own_block, other_block, first_usable, last_usable;
	uint8_t disk_guid[16];
	uint64_t entries_block;
	uint32_t entry_count, entry_size, entries_crc;
} __attribute__((packed));

struct entry {
	uint8_t type[16], uuid[16];
	uint64_t first, last, flags;
	uint16_t name[36];
} __attribute__((packed));

static struct {
	int disk;
	unsigned sector;
	struct header header;
	struct entry entries[256];
} t = { .disk = -1 };
static struct error err;

static uint32_t crc32(const void *bytes, size_t size)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < size; i++) {
		crc ^= ((const uint8_t *)bytes)[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void put(const void *bytes, size_t size, uint64_t offset)
{
	assert_int_equal(pwrite(t.disk, bytes, size, (off_t)offset), size);
}

static void write_header(void)
{
	t.header.header_crc = 0;
	t.header.header_crc = crc32(&t.header, sizeof(t.header));
	put(&t.header, sizeof(t.header), t.sector);
}

/* With the checksums that it should have. */
static void write_table(void)
{
	t.header.entries_crc = crc32(t.entries, (size_t)t.header.entry_count * sizeof(t.entries[0]));
	put(t.entries, sizeof(t.entries), t.header.entries_block * t.sector);
	write_header();
}

static void set_entry(unsigned number, uint64_t first, uint64_t last)
{
	struct entry *entry = &t.entries[number - 1];

	memset(entry->type, 0x11, sizeof(entry->type));
	memset(entry->uuid, (int)number, sizeof(entry->uuid));
	entry->first = first;
	entry->last = last;
}

static void make_disk(unsigned sector)
{
	/* A protective MBR: one partition of type 0xee from block 1 on. */
	static const uint8_t record[] = { 0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff };

	close_fd(&t.disk);
	memset(&t.header, 0, sizeof(t.header));
	memset(t.entries, 0, sizeof(t.entries));
	t.sector = sector;
	t.disk = memfd_create("disk", MFD_CLOEXEC);
	assert_true(t.disk >= 0);
	assert_int_equal(ftruncate(t.disk, DISK_SIZE), 0);
	put(record, sizeof(record), 446);
	put("\x55\xaa", 2, 510);
	uint64_t blocks = DISK_SIZE / sector;
	t.header = (struct header){
		.signature = { 'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T' },
		.revision = 0x10000,
		.size = sizeof(t.header),
		.own_block = 1,
		.other_block = blocks - 1,
		.first_usable = 256,
		.last_usable = blocks - 64,
		.entries_block = 2,
		.entry_count = 128,
		.entry_size = sizeof(struct entry),
	};
	set_entry(1, 256, 511);
	set_entry(2, 512, 1023);
	set_entry(128, 2048, 2048);
	write_table();
}

static int fresh(void **state)
{
	(void)state;
	make_disk(512);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	close_fd(&t.disk);
	return 0;
}

#define UUID_OF_2 "02020202-0202-0202-0202-020202020202"

static int read_number(unsigned number, struct device_partition *partition)
{
	struct device_wanted wanted = { .partition = number };

	memset(&err, 0, sizeof(err));
	return device_partition_read(t.disk, DISK_SIZE, t.sector, &wanted, partition, &err);
}

static void assert_refused(const char *why)
{
	struct device_partition partition;
	int result = read_number(1, &partition);

	check_row(result < 0, "%s: accepted", why);
	check_row(err.code == ERROR_DEVICE, "%s: %s", why, err.message);
}

static void by_number_and_by_uuid(void **state)
{
	static const unsigned sectors[] = { 512, 4096 };
	struct device_partition partition;
	struct device_wanted wanted = { .partuuid = UUID_OF_2 };

	(void)state;
	for (size_t i = 0; i < array_count(sectors); i++) {
		make_disk(sectors[i]);
		assert_worked(read_number(1, &partition), &err);
		assert_int_equal(partition.number, 1);
		assert_int_equal(partition.start, 256 * sectors[i]);
		assert_int_equal(partition.size, 256 * sectors[i]);
		assert_worked(read_number(128, &partition), &err);
		assert_int_equal(partition.start, 2048 * sectors[i]);
		assert_int_equal(partition.size, sectors[i]);
		assert_worked(device_partition_read(t.disk, DISK_SIZE, sectors[i], &wanted, &partition, &err), &err);
		assert_int_equal(partition.number, 2);
	}
}

static void one_that_is_not_there(void **state)
{
	struct device_partition partition;
	struct device_wanted wanted = { .partuuid = "12020202-0202-0202-0202-020202020202" };

	(void)state;
	assert_failed(read_number(3, &partition), &err, ERROR_DEVICE, "");
	assert_int_equal(err.errnum, ENOENT);
	assert_failed(device_partition_read(t.disk, DISK_SIZE, 512, &wanted, &partition, &err), &err, ERROR_DEVICE, "");
	assert_non_null(strstr(err.message, wanted.partuuid));
}

static void tables_elsewhere_and_shorter_ones(void **state)
{
	struct device_partition partition;

	(void)state;
	t.header.entries_block = 100;
	t.header.entry_count = 2;
	write_table();
	assert_worked(read_number(2, &partition), &err);
	assert_failed(read_number(128, &partition), &err, ERROR_DEVICE, "");
}

/* Each has sums that fit: it is not noise that is to be seen through, but a host that means it. */
static void hostile_headers(void **state)
{
	uint64_t blocks = DISK_SIZE / 512;
	static const struct {
		const char *why;
		size_t offset, size;
		uint64_t value;
	} rows[] = {
		{ "no entries", offsetof(struct header, entry_count), 4, 0 },
		{ "one entry too many", offsetof(struct header, entry_count), 4, 129 },
		{ "entries of 4 GiB", offsetof(struct header, entry_count), 4, 0x01ffffff },
		{ "as many as can be said", offsetof(struct header, entry_count), 4, 0xffffffff },
		{ "entries of no size", offsetof(struct header, entry_size), 4, 0 },
		{ "small entries", offsetof(struct header, entry_size), 4, 64 },
		{ "large entries", offsetof(struct header, entry_size), 4, 256 },
		{ "huge entries", offsetof(struct header, entry_size), 4, 0xffffff80 },
		{ "entries at the header", offsetof(struct header, entries_block), 8, 1 },
		{ "entries at the start", offsetof(struct header, entries_block), 8, 0 },
		{ "entries behind the end", offsetof(struct header, entries_block), 8, DISK_SIZE / 512 },
		{ "entries over the end", offsetof(struct header, entries_block), 8, DISK_SIZE / 512 - 31 },
		{ "entries at 2^64", offsetof(struct header, entries_block), 8, UINT64_MAX },
		{ "entries at 2^55", offsetof(struct header, entries_block), 8, 1ull << 55 },
		{ "another own block", offsetof(struct header, own_block), 8, 2 },
		{ "a short header", offsetof(struct header, size), 4, 8 },
		{ "a long header", offsetof(struct header, size), 4, 0xffffffff },
		{ "usable space from the end", offsetof(struct header, first_usable), 8, UINT64_MAX },
		{ "usable space beyond the end", offsetof(struct header, last_usable), 8, UINT64_MAX },
		{ "another signature", offsetof(struct header, signature), 1, 'e' },
	};

	(void)state;
	assert_true(blocks > 4096);
	for (size_t i = 0; i < array_count(rows); i++) {
		fresh(NULL);
		memcpy((char *)&t.header + rows[i].offset, &rows[i].value, rows[i].size);
		if (t.header.entry_count <= array_count(t.entries))
			t.header.entries_crc = crc32(t.entries, (size_t)t.header.entry_count * sizeof(t.entries[0]));
		write_header();
		assert_refused(rows[i].why);
	}
}

static void wrong_sums(void **state)
{
	(void)state;
	t.header.header_crc ^= 1;
	put(&t.header, sizeof(t.header), t.sector);
	assert_refused("the header's");
	fresh(NULL);
	t.header.entries_crc ^= 1;
	write_header();
	assert_refused("the entries'");
}

static void hostile_entries(void **state)
{
	static const struct {
		const char *why;
		unsigned number;
		uint64_t first, last;
	} rows[] = {
		{ "backwards", 1, 511, 256 },
		{ "behind the end", 1, DISK_SIZE / 512, DISK_SIZE / 512 + 7 },
		{ "over the end", 1, 4096, DISK_SIZE / 512 },
		{ "to 2^64", 1, 4096, UINT64_MAX },
		{ "from 2^63", 1, 1ull << 63, (1ull << 63) + 8 },
		{ "its size wraps around", 1, 256, (1ull << 55) + 255 },
		/* One that is not asked for counts too: who made that table? */
		{ "over the one before", 3, 500, 600 },
		{ "within another", 3, 600, 700 },
		{ "around another", 3, 300, 1200 },
		{ "the same", 3, 256, 511 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		fresh(NULL);
		set_entry(rows[i].number, rows[i].first, rows[i].last);
		write_table();
		assert_refused(rows[i].why);
	}
	fresh(NULL);
	set_entry(3, 4096, 5000);
	memcpy(t.entries[2].uuid, t.entries[1].uuid, sizeof(t.entries[1].uuid));
	write_table();
	assert_refused("two of one UUID");
	/* libblkid passes over what lies outside, as the kernel does: that is no partition, and the others are. */
	struct device_partition partition;
	fresh(NULL);
	set_entry(3, 4096, DISK_SIZE / 512);
	write_table();
	assert_worked(read_number(1, &partition), &err);
	assert_failed(read_number(3, &partition), &err, ERROR_DEVICE, "");
}

/* The second table, at the disk's end, is sound; the kernel would not take it either. */
static void the_backup_does_not_count(void **state)
{
	struct header backup = t.header;
	uint64_t blocks = DISK_SIZE / 512;

	(void)state;
	backup.own_block = blocks - 1;
	backup.other_block = 1;
	backup.entries_block = blocks - 33;
	backup.header_crc = 0;
	backup.header_crc = crc32(&backup, sizeof(backup));
	put(t.entries, 128 * sizeof(t.entries[0]), backup.entries_block * 512);
	put(&backup, sizeof(backup), backup.own_block * 512);
	struct device_partition partition;
	assert_worked(read_number(1, &partition), &err);
	t.header.entries_crc ^= 1;
	write_header();
	assert_refused("the primary table is broken");
	memset(&t.header, 0, sizeof(t.header));
	put(&t.header, sizeof(t.header), 512);
	assert_refused("there is no primary table");
}

static void disks_without_a_gpt(void **state)
{
	static const uint8_t dos[] = { 0, 0, 2, 0, 0x83, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0 };
	static const char zeros[4096];
	struct device_wanted wanted = { .partition = 1 };
	struct device_partition partition;

	(void)state;
	put(dos, sizeof(dos), 446);
	assert_refused("a DOS table before a GPT");
	put(zeros, 512, 512);
	assert_refused("a DOS table");
	put(zeros, 512, 0);
	assert_refused("nothing");
	assert_failed(device_partition_read(t.disk, 4095, 512, &wanted, &partition, &err), &err, ERROR_DEVICE, "");
	assert_failed(device_partition_read(t.disk, UINT64_MAX, 512, &wanted, &partition, &err), &err, ERROR_DEVICE, "");
	assert_failed(device_partition_read(t.disk, DISK_SIZE, 0, &wanted, &partition, &err), &err, ERROR_DEVICE, "");
	assert_failed(device_partition_read(t.disk, DISK_SIZE, 65536, &wanted, &partition, &err), &err, ERROR_DEVICE, "");
	/* It ends before its size says. */
	assert_int_equal(ftruncate(t.disk, 700), 0);
	assert_refused("a short answer");
}

/* ---- the kernel's view ---- */

static char top[] = "/tmp/coffer-test-XXXXXX";

static void set(const char *folder, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", top, folder, file);
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void add_partition(const char *name, const char *number, const char *start, const char *size, const char *dev)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	assert_int_equal(mkdir(path, 0755), 0);
	set(name, "partition", number);
	set(name, "start", start);
	set(name, "size", size);
	set(name, "dev", dev);
}

static void what_the_kernel_has_made_of_it(void **state)
{
	struct device_disk disk = { .name = "vda" };
	struct device_partition partition = { .number = 2, .start = 512 * 512, .size = 512 * 512 };
	char name[48], command[64];
	dev_t number = 0;

	(void)state;
	assert_non_null(mkdtemp(top));
	snprintf(disk.folder, sizeof(disk.folder), "%s", top);
	assert_int_equal(device_partition_look(&disk, &partition, name, sizeof(name), &number, &err), 0);
	add_partition("vda1", "1\n", "256\n", "256\n", "254:1\n");
	add_partition("vda2", "2\n", "512\n", "512\n", "254:2\n");
	add_partition("queue", "2\n", "0\n", "0\n", "254:3\n"); /* no partition of this disk's */
	assert_int_equal(device_partition_look(&disk, &partition, name, sizeof(name), &number, &err), 1);
	assert_string_equal(name, "vda2");
	assert_true(number == makedev(254, 2));
	set("vda2", "start", "513\n");
	assert_failed(device_partition_look(&disk, &partition, name, sizeof(name), &number, &err), &err, ERROR_DEVICE, "");
	set("vda2", "start", "512\n");
	set("vda2", "size", "511\n");
	assert_failed(device_partition_look(&disk, &partition, name, sizeof(name), &number, &err), &err, ERROR_DEVICE, "");
	set("vda2", "size", "");
	assert_int_equal(device_partition_look(&disk, &partition, name, sizeof(name), &number, &err), 0); /* half made */
	partition.number = 3;
	assert_int_equal(device_partition_look(&disk, &partition, name, sizeof(name), &number, &err), 0);
	snprintf(command, sizeof(command), "rm -r %s", top);
	assert_int_equal(system(command), 0);
	assert_int_equal(device_partition_look(&disk, &partition, name, sizeof(name), &number, &err), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, clean)
	const struct CMUnitTest tests[] = {
		CASE(by_number_and_by_uuid),
		CASE(one_that_is_not_there),
		CASE(tables_elsewhere_and_shorter_ones),
		CASE(hostile_headers),
		CASE(wrong_sums),
		CASE(hostile_entries),
		CASE(the_backup_does_not_count),
		CASE(disks_without_a_gpt),
		cmocka_unit_test(what_the_kernel_has_made_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
