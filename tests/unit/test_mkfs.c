/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/mkfs.c agent/sys/libraries.c */
/* The ext4 that is made in memory: e2fsck finds it clean, and its data are few. */
#include "unit/program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/mkfs.h"

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

static void make_kind(uint64_t size, enum mkfs_use use, int *image)
{
	struct error err = { 0 };
	struct stat status;

	assert_worked(mkfs_ext4(size, use, image, &err), &err);
	assert_int_equal(fstat(*image, &status), 0);
	assert_int_equal(status.st_size, size);
}

static void make(uint64_t size, int *image)
{
	make_kind(size, MKFS_SCRATCH, image);
}

/* Bytes in data extents: what sparse_copy would write. */
static uint64_t data_bytes(int image, unsigned *extents)
{
	uint64_t sum = 0;
	off_t at = 0, data;

	*extents = 0;
	while ((data = lseek(image, at, SEEK_DATA)) >= 0) {
		at = lseek(image, data, SEEK_HOLE);
		assert_true(at > data);
		sum += (uint64_t)(at - data);
		++*extents;
	}
	return sum;
}

/* Exit code of `e2fsck -fn`: 0 is clean. */
static int check_clean(int image)
{
	char path[64];
	const char *const arguments[] = { "e2fsck", "-fn", path, NULL };

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), image);
	return run_program(arguments);
}

static void e2fsck_finds_every_size_clean(void **state)
{
	static const uint64_t sizes[] = {
		MKFS_SMALLEST, 8 * MIB + 4 * KIB, 15 * MIB,           16 * MIB,
		100 * MIB,     127 * MIB,         128 * MIB,          128 * MIB + 4 * KIB,
		129 * MIB,     130 * MIB,         512 * MIB,          513 * MIB,
		GIB,           4 * GIB - 4 * KIB, 5 * GIB + 12 * KIB, 63 * GIB + 900 * MIB,
		64 * GIB,
	};

	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		fd_auto image = -1;

		make(sizes[i], &image);
		int code = check_clean(image);
		check_row(code == 0, "%llu bytes: e2fsck -fn: %d", (unsigned long long)sizes[i], code);
	}
}

static void lasting_ones_are_clean_and_small(void **state)
{
	static const struct {
		uint64_t size, most;
	} rows[] = {
		{ 22 * MIB, 5 * MIB },  { 100 * MIB, 5 * MIB },           { 128 * MIB + 4 * KIB, 5 * MIB },
		{ 513 * MIB, 5 * MIB }, { 5 * GIB + 12 * KIB, 17 * MIB }, { 63 * GIB + 900 * MIB, 18 * MIB },
		{ 64 * GIB, 18 * MIB },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		fd_auto image = -1;
		unsigned extents;

		make_kind(rows[i].size, MKFS_LASTING, &image);
		uint64_t data = data_bytes(image, &extents), journal = rows[i].size < GIB ? 4 * MIB : 16 * MIB;
		/* Every block of the journal is there, and little else. */
		check_row(data > journal && data <= rows[i].most, "%llu bytes: %llu of data", (unsigned long long)rows[i].size,
			  (unsigned long long)data);
		int code = check_clean(image);
		check_row(code == 0, "%llu bytes: e2fsck -fn: %d", (unsigned long long)rows[i].size, code);
	}
}

/* The second needs 64-bit block numbers.  e2fsck takes 10 s for it: one compiler is enough. */
static void terabytes_are_clean(void **state)
{
	static const uint64_t sizes[] = { TIB, 16 * TIB + 4 * KIB };

	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		fd_auto image = -1;

#ifdef __clang__
		if (sizes[i] > TIB)
			continue;
#endif
		make(sizes[i], &image);
		int code = check_clean(image);
		check_row(code == 0, "%llu bytes: e2fsck -fn: %d", (unsigned long long)sizes[i], code);
	}
}

static void data_are_few(void **state)
{
	static const struct {
		uint64_t size, most;
	} bounds[] = {
		{ 16 * MIB, 72 * KIB }, /* 40 of them are the inodes that are reserved, a block each */
		{ GIB, 96 * KIB },
		{ 64 * GIB, 256 * KIB },
		{ TIB, 1536 * KIB },
	};

	(void)state;
	for (size_t i = 0; i < array_count(bounds); i++) {
		fd_auto image = -1;
		unsigned extents;

		make(bounds[i].size, &image);
		uint64_t data = data_bytes(image, &extents);
		check_row(data > 0 && data <= bounds[i].most, "%llu bytes: %llu of data, at most %llu are wanted",
			  (unsigned long long)bounds[i].size, (unsigned long long)data, (unsigned long long)bounds[i].most);
		/* Each lonely extent costs a block of integrity tags. */
		check_row(extents <= 40, "%llu bytes: %u extents", (unsigned long long)bounds[i].size, extents);
	}
}

static void sixteen_terabytes(void **state)
{
	fd_auto image = -1;
	unsigned extents;

	(void)state;
	make(16 * TIB, &image);
	assert_true(data_bytes(image, &extents) <= 24 * MIB);
	/* More blocks than 32 bits count: the superblock has the upper half. */
	unsigned char super[1024];
	assert_int_equal(pread(image, super, sizeof(super), 1024), sizeof(super));
	assert_int_equal(super[0x38] | super[0x39] << 8, 0xef53);
	uint64_t blocks =
		super[0x4] | super[0x5] << 8 | super[0x6] << 16 | (uint64_t)super[0x7] << 24 | (uint64_t)super[0x150] << 32;
	assert_int_equal(blocks, 16 * TIB / MKFS_BLOCK);
}

/* Documentation/filesystems/ext4/group_descr.rst: the first descriptor is behind the superblock's block. */
static uint64_t inode_table(int image)
{
	unsigned char group[64];

	assert_int_equal(pread(image, group, sizeof(group), MKFS_BLOCK), sizeof(group));
	return group[0x8] | group[0x9] << 8 | group[0xa] << 16 | (uint64_t)group[0xb] << 24 | (uint64_t)group[0x28] << 32;
}

/* One inode a block, so that ext4 never reads a block of the table to make an inode; and what e2fsck reads of it is written. */
static void inodes_fill_blocks(void **state)
{
	(void)state;
	for (int lasting = 0; lasting <= 1; lasting++) {
		fd_auto image = -1;
		unsigned char super[1024];

		make_kind(64 * MIB, lasting, &image);
		assert_int_equal(pread(image, super, sizeof(super), 1024), sizeof(super));
		assert_int_equal(super[0x58] | super[0x59] << 8, MKFS_BLOCK);
		for (unsigned inode = 1; inode <= 11; inode++) { /* 11 is lost+found's */
			off_t at = (off_t)((inode_table(image) + inode - 1) * MKFS_BLOCK);

			check_row(lseek(image, at, SEEK_DATA) == at, "inode %u is not written", inode);
		}
	}
}

/* As many as the table in mkfs.c says, but for what makes groups even. */
static void inodes_are_many_enough(void **state)
{
	static const struct {
		uint64_t size, scratch, lasting;
	} rows[] = {
		{ 64 * MIB, 2048, 1024 },
		{ 4 * GIB, 128 * 1024, 64 * 1024 },
		{ 6 * GIB, 128 * 1024, 96 * 1024 },
		{ 16 * GIB, 256 * 1024, 256 * 1024 },
		{ 64 * GIB, 1024 * 1024, 1024 * 1024 },
		{ 100 * GIB, 1024 * 1024, 1024 * 1024 },
		{ TIB, 4 * 1024 * 1024, 4 * 1024 * 1024 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * array_count(rows); i++) {
		uint64_t size = rows[i / 2].size, want = i % 2 ? rows[i / 2].lasting : rows[i / 2].scratch;
		fd_auto image = -1;
		unsigned char s[1024];

		make_kind(size, i % 2, &image);
		assert_int_equal(pread(image, s, sizeof(s), 1024), sizeof(s));
		uint64_t have = s[0] | s[1] << 8 | s[2] << 16 | (uint64_t)s[3] << 24;
		check_row(have * 100 > want * 99 && have * 100 < want * 101, "%llu bytes: %llu inodes", (unsigned long long)size,
			  (unsigned long long)have);
	}
}

/* Bytes [from, to) are data of the image, all of them. */
static bool all_written(int image, off_t from, off_t to)
{
	return lseek(image, from, SEEK_DATA) == from && lseek(image, from, SEEK_HOLE) >= to;
}

/* Small inodes may share a block, since each block of their tables is written and can be read. */
static void of_a_layer_the_tables_are_written(void **state)
{
	static const struct {
		uint64_t size, inodes, inode, data;
	} rows[] = {
		{ 20 * MIB, 2560, 256, 6 * MIB },
		{ 128 * MIB, 16384, 256, 9 * MIB },
		{ 700 * MIB + 12 * KIB, 89600, 256, 27 * MIB },
		{ 3 * GIB, 128 * 1024, 256, 49 * MIB },
		{ 8 * GIB, 128 * 1024, 256, 49 * MIB },
		{ 9 * GIB, 144 * 1024, MKFS_BLOCK, 17 * MIB },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		unsigned char s[1024], groups[64 * 64];
		fd_auto image = -1;
		unsigned extents;

		make_kind(rows[i].size, MKFS_LAYER, &image);
		assert_int_equal(pread(image, s, sizeof(s), 1024), sizeof(s));
		assert_int_equal(pread(image, groups, sizeof(groups), MKFS_BLOCK), sizeof(groups));
		uint64_t have = s[0] | s[1] << 8 | s[2] << 16 | (uint64_t)s[3] << 24;
		uint64_t per_group = s[0x28] | s[0x29] << 8 | s[0x2a] << 16 | (uint64_t)s[0x2b] << 24;
		check_row(have * 100 > rows[i].inodes * 98 && have * 100 < rows[i].inodes * 104, "%llu bytes: %llu inodes",
			  (unsigned long long)rows[i].size, (unsigned long long)have);
		assert_int_equal(s[0x58] | s[0x59] << 8, rows[i].inode);
		for (size_t group = 0; rows[i].inode == 256 && group < have / per_group && group < 64; group++) {
			const unsigned char *g = groups + group * 64;
			off_t at = (off_t)(g[0x8] | g[0x9] << 8 | g[0xa] << 16 | (uint64_t)g[0xb] << 24) * MKFS_BLOCK;

			check_row(all_written(image, at, at + (off_t)(per_group * 256)), "%llu bytes: the table of group %zu",
				  (unsigned long long)rows[i].size, group);
		}
		uint64_t data = data_bytes(image, &extents);
		check_row(data <= rows[i].data, "%llu bytes: %llu of data", (unsigned long long)rows[i].size,
			  (unsigned long long)data);
		int code = check_clean(image);
		check_row(code == 0, "%llu bytes: e2fsck -fn: %d", (unsigned long long)rows[i].size, code);
	}
}

static void two_are_never_alike(void **state)
{
	unsigned char a[1024], b[1024];
	fd_auto one = -1;
	fd_auto two = -1;

	(void)state;
	make(64 * MIB, &one);
	make(64 * MIB, &two);
	assert_int_equal(pread(one, a, sizeof(a), 1024), sizeof(a));
	assert_int_equal(pread(two, b, sizeof(b), 1024), sizeof(b));
	assert_memory_not_equal(a + 0x68, b + 0x68, 16); /* s_uuid */
	assert_memory_not_equal(a + 0xec, b + 0xec, 16); /* s_hash_seed */
	assert_int_equal(a[0x68 + 6] >> 4, 4);
	assert_int_equal(a[0x68 + 8] >> 6, 2);
}

static void sizes_that_are_refused(void **state)
{
	static const uint64_t sizes[] = {
		0, 4096, MKFS_SMALLEST - 4096, MKFS_SMALLEST + 1, MKFS_SMALLEST + 512, 64 * GIB - 1, UINT64_MAX, UINT64_MAX - 4095
	};

	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		struct error err = { 0 };
		int image = 5;

		assert_failed(mkfs_ext4(sizes[i], MKFS_SCRATCH, &image, &err), &err, ERROR_FORMAT, "");
		assert_int_equal(image, -1);
	}
}

/* Nothing is left open, on success and on failure. */
static void descriptors_are_not_lost(void **state)
{
	int before = dup(0), after;

	(void)state;
	close(before);
	for (int i = 0; i < 3; i++) {
		struct error err;
		fd_auto image = -1;

		make(16 * MIB, &image);
		(void)!mkfs_ext4(5, MKFS_SCRATCH, &after, &err);
	}
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(e2fsck_finds_every_size_clean),
		cmocka_unit_test(lasting_ones_are_clean_and_small),
		cmocka_unit_test(terabytes_are_clean),
		cmocka_unit_test(data_are_few),
		cmocka_unit_test(sixteen_terabytes),
		cmocka_unit_test(inodes_fill_blocks),
		cmocka_unit_test(inodes_are_many_enough),
		cmocka_unit_test(of_a_layer_the_tables_are_written),
		cmocka_unit_test(two_are_never_alike),
		cmocka_unit_test(sizes_that_are_refused),
		cmocka_unit_test(descriptors_are_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
