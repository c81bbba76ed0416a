/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/erofs.c */
/* Superblocks and device tables of EROFS, made here byte by byte as fs/erofs/erofs_fs.h lays them out. */
#include "unit/test.h"

#include <endian.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/erofs.h"

#define SIZE 65536u

static unsigned char image[SIZE];
static struct erofs_layout layout;
static struct error err;

static void put16(size_t at, uint16_t value)
{
	value = htole16(value);
	memcpy(image + at, &value, sizeof(value));
}

static void put32(size_t at, uint32_t value)
{
	value = htole32(value);
	memcpy(image + at, &value, sizeof(value));
}

/* Blocks of 512 bytes, 8 of them, and two devices: tables in slot 11 (byte 1408), as nydus puts them. */
static int fresh(void **state)
{
	(void)state;
	memset(image, 0, sizeof(image));
	put32(1024, 0xE0F5E1E2);
	image[1024 + 12] = 9;
	put32(1024 + 36, 8);
	put32(1024 + 80, 8);
	put16(1024 + 86, 2);
	put16(1024 + 88, 11);
	memcpy(image + 1408, "blob-one", 8);
	put32(1408 + 64, 10);
	put32(1408 + 68, 8);
	put32(1536 + 64, 20);
	put32(1536 + 68, 18);
	return 0;
}

static int read_it(uint64_t size)
{
	fd_auto fd = memfd_create("image", MFD_CLOEXEC);

	memset(&err, 0, sizeof(err));
	if (fd < 0 || write(fd, image, SIZE) != (ssize_t)SIZE)
		return -1;
	return erofs_read(fd, size, &layout, &err);
}

static void what_is_read(void **state)
{
	(void)state;
	assert_worked(read_it(SIZE), &err);
	assert_int_equal(layout.block_size, 512);
	assert_int_equal(layout.bytes, 8 * 512);
	assert_int_equal(layout.device_count, 2);
	assert_string_equal(layout.devices[0].tag, "blob-one");
	assert_int_equal(layout.devices[0].bytes, 10 * 512);
	assert_int_equal(layout.devices[0].mapped, 8 * 512);
	assert_string_equal(layout.devices[1].tag, "");
	assert_int_equal(layout.devices[1].mapped, 18 * 512);
	/* Without the feature there is no table, whatever is there. */
	put32(1024 + 80, 0);
	assert_worked(read_it(SIZE), &err);
	assert_int_equal(layout.device_count, 0);
	/* A tag of all 64 bytes. */
	fresh(NULL);
	memset(image + 1408, 'f', 64);
	assert_worked(read_it(SIZE), &err);
	assert_int_equal(strlen(layout.devices[0].tag), 64);
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint32_t value;
		enum error_code code;
	} rows[] = {
		{ "no magic", 1024, 0, ERROR_MOUNT },
		{ "RAFS v5", 0, 0x52414653, ERROR_UNSUPPORTED_VOLUME },
		{ "blocks of 256 bytes", 1024 + 12, 8, ERROR_MOUNT },
		{ "blocks of 8 KiB", 1024 + 12, 13, ERROR_MOUNT },
		{ "blocks of 2^255 bytes", 1024 + 12, 255, ERROR_MOUNT },
		{ "more blocks than there are", 1024 + 36, SIZE / 512 + 1, ERROR_MOUNT },
		{ "all the blocks", 1024 + 36, UINT32_MAX, ERROR_MOUNT },
		{ "48-bit numbers", 1024 + 80, 0x88, ERROR_MOUNT },
		{ "too many devices", 1024 + 86, 513 | 11 << 16, ERROR_MOUNT },
		{ "a table outside", 1024 + 86, 2 | 0xFFFFu << 16, ERROR_MOUNT },
		{ "a table that ends outside", 1024 + 86, 500 | 500u << 16, ERROR_MOUNT },
		{ "an empty device", 1408 + 64, 0, ERROR_MOUNT },
		{ "a tag with a newline", 1408, 0x000a6261, ERROR_MOUNT },
		{ "a tag with a blank", 1408, 0x00206261, ERROR_MOUNT },
		{ "a tag of other bytes", 1408, 0x00ff6261, ERROR_MOUNT },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		fresh(NULL);
		put32(rows[i].at, rows[i].value);
		if (rows[i].at == 1408)
			memset(image + 1412, 0, 60);
		check_row(read_it(SIZE) < 0, "accepted: %s", rows[i].what);
		check_row(err.code == rows[i].code, "%s: %s", rows[i].what, err.message);
	}
	fresh(NULL);
	assert_true(read_it(1024 + 127) < 0);
	assert_true(read_it(0) < 0);
	/* The table must be within what is said to be readable, not within the file. */
	assert_true(read_it(1600) < 0);
}

static void one_flat_disk(void **state)
{
	static const struct {
		uint32_t first, first_blocks, second, second_blocks;
		bool fits;
	} rows[] = {
		{ 8, 10, 18, 20, true },
		{ 18, 20, 8, 10, true },  /* any order */
		{ 8, 10, 18, 110, true }, /* to the last block */
		{ 8, 10, 18, 111, false },
		{ 8, 10, 17, 20, false }, /* overlap */
		{ 8, 10, 8, 10, false },
		{ 20, 10, 8, 20, false },
		{ 0, 10, 18, 20, false }, /* nowhere */
		{ UINT32_MAX, UINT32_MAX, 18, 20, false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		fresh(NULL);
		put32(1408 + 68, rows[i].first);
		put32(1408 + 64, rows[i].first_blocks);
		put32(1536 + 68, rows[i].second);
		put32(1536 + 64, rows[i].second_blocks);
		assert_worked(read_it(SIZE), &err);
		check_row((erofs_check_flat(&layout, SIZE, &err) == 0) == rows[i].fits, "row %zu: %s", i, err.message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_read, fresh),
		cmocka_unit_test_setup(what_is_refused, fresh),
		cmocka_unit_test_setup(one_flat_disk, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
