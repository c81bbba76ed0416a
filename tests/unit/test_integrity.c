/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/integrity.c tests/fake/devmapper.c tests/fake/secret.c */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fake/devmapper.h"
#include "fake/secret.h"
#include "storage/integrity.h"

/* ---- the capacity, against the kernel's own arithmetic ---- */

/*
 * dm-integrity's layout for our parameters, as drivers/md/dm-integrity.c works it out (calculate_journal_section_size,
 * calculate_device_limits, get_area_and_offset, get_data_sector), in sectors of 512 bytes.  4096-byte blocks, 48 bytes of tag,
 * 32768 sectors of interleave, fix_padding, a journal of "8 sectors", which the kernel rounds to one section.
 */
static uint64_t kernel_initial_sectors(void)
{
	const uint64_t entry = (8 + 8 * 8 + 48 + 7) / 8 * 8; /* a sector number, a commit id for each sector, the tag */
	const uint64_t per_sector = (512 - 8) / entry;
	const uint64_t section_entries = per_sector * 8;
	const uint64_t section_sectors = section_entries * 8 + 8;

	return 8 + section_sectors; /* the superblock's 4 KiB, one section */
}

/* The device's sector that the last of `provided` data sectors lies in. */
static uint64_t kernel_last_sector(uint64_t provided)
{
	const uint64_t run = (48 * (32768 / 8) + 4095) / 4096 * 8; /* tags of one area, padded to 4 KiB */
	uint64_t area = (provided - 1) / 32768, offset = (provided - 1) % 32768;

	return kernel_initial_sectors() + area * 32768 + (area + 1) * run + offset;
}

/* get_provided_data_sectors: the most that fits, bit by bit. */
static uint64_t kernel_provided(uint64_t device_sectors)
{
	uint64_t provided = 0;

	for (int bit = 63 - __builtin_clzll(device_sectors); bit >= 3; bit--) {
		uint64_t more = provided | (uint64_t)1 << bit;

		if (kernel_last_sector(more) < device_sectors)
			provided = more;
	}
	return provided;
}

static void check_capacity(uint64_t size)
{
	uint64_t capacity = integrity_capacity(size), most = kernel_provided(size / 512) * 512;

	check_row(capacity > 0 && capacity % 4096 == 0, "%llu: %llu", (unsigned long long)size, (unsigned long long)capacity);
	check_row(capacity <= most, "%llu: %llu, but the kernel has only %llu", (unsigned long long)size,
		  (unsigned long long)capacity, (unsigned long long)most);
	/* What is given away is the space for a larger smallest journal, and never more than 1 MiB. */
	check_row(most - capacity <= 1024 * 1024, "%llu: %llu of %llu", (unsigned long long)size, (unsigned long long)capacity,
		  (unsigned long long)most);
}

static void capacity_fits_the_kernel_s_layout(void **state)
{
	static const uint64_t areas = (uint64_t)(32768 + 384) * 512;

	(void)state;
	/* Around every edge of an area, sector by sector. */
	for (uint64_t area = 1; area < 5; area++) {
		for (uint64_t sector = 0; sector < 6000; sector++)
			check_capacity(area * areas + sector * 512);
	}
	for (uint64_t size = INTEGRITY_SMALLEST; size < (uint64_t)1 << 62; size += size / 97 + 512)
		check_capacity(size);
	for (int bit = 24; bit < 63; bit++) {
		check_capacity((uint64_t)1 << bit);
		check_capacity(((uint64_t)1 << bit) + 511);
		check_capacity(((uint64_t)1 << bit) - (bit > 24 ? 512 : 0));
	}
}

static void capacity_never_falls(void **state)
{
	uint64_t before = 0;

	(void)state;
	for (uint64_t size = INTEGRITY_SMALLEST; size < (uint64_t)200 << 20; size += 4096) {
		uint64_t capacity = integrity_capacity(size);

		check_row(capacity >= before, "%llu", (unsigned long long)size);
		before = capacity;
	}
}

static void a_disk_that_is_too_small(void **state)
{
	(void)state;
	assert_int_equal(integrity_capacity(0), 0);
	assert_int_equal(integrity_capacity(512), 0);
	assert_int_equal(integrity_capacity(INTEGRITY_SMALLEST - 1), 0);
	assert_true(integrity_capacity(INTEGRITY_SMALLEST) >= 14u * 1024 * 1024);
}

/* ---- opening ---- */

static struct {
	struct blockdev disk;
	struct undo undo;
	struct error err;
	uint64_t size;
	dev_t number;
} t;

static int fresh(void **state)
{
	static char block[8192];

	(void)state;
	memset(&fake_devmapper, 0, sizeof(fake_devmapper));
	memset(&fake_secret, 0, sizeof(fake_secret));
	memset(&t, 0, sizeof(t));
	memset(block, 'x', sizeof(block));
	t.disk = (struct blockdev){ .fd = -1, .number = makedev(254, 16), .size = 64u << 20 };
	/* A folder on a file system that takes O_DIRECT: a tmpfs on /tmp might not. */
	snprintf(t.disk.path, sizeof(t.disk.path), "/var/tmp/coffer-test-XXXXXX");
	fd_auto fd = mkstemp(t.disk.path);
	return fd >= 0 && write(fd, block, sizeof(block)) == sizeof(block) ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	undo_free(&t.undo);
	return unlink(t.disk.path);
}

static int open_it(const char *name)
{
	return integrity_open(name, &t.disk, &t.undo, &t.size, &t.number, &t.err);
}

#define FRONT_WORDS "254:16 0 48 D "
#define TABLE       FRONT_WORDS "5 block_size:4096 interleave_sectors:32768 journal_sectors:264 buffer_sectors:128 fix_padding"

static void two_mappings_and_no_key_left(void **state)
{
	(void)state;
	assert_worked(open_it("coffer-scratch-s"), &t.err);
	assert_int_equal(t.size, integrity_capacity(64u << 20));
	assert_int_equal(fake_devmapper.count, 2);
	assert_string_equal(fake_devmapper.made[0].type, "integrity");
	assert_string_equal(fake_devmapper.made[0].params, FRONT_WORDS
			    "5 block_size:4096 interleave_sectors:32768 journal_sectors:8 buffer_sectors:128 fix_padding");
	assert_int_equal(fake_devmapper.made[0].sectors, t.size / 512);
	assert_string_equal(fake_devmapper.made[1].name, "coffer-scratch-s");
	assert_string_equal(fake_devmapper.made[1].type, "crypt");
	assert_string_equal(
		fake_devmapper.made[1].params,
		"capi:authenc(hmac(sha256),xts(aes))-random :96:logon:coffer:coffer-scratch-s 0 253:0 0 2 integrity:48:aead "
		"sector_size:4096");
	assert_int_equal(fake_devmapper.made[1].sectors, t.size / 512);
	assert_false(fake_devmapper.made[1].read_only);
	assert_true(t.number == makedev(253, 1));
	/* The key: 64 bytes for the cipher, 32 for the HMAC; in the keyring under the very words of the table; gone afterwards. */
	assert_int_equal(fake_secret.size, 96);
	assert_string_equal(fake_secret.description, "coffer:coffer-scratch-s");
	assert_true(fake_secret.made == 1 && fake_secret.wiped == 1 && fake_secret.keys == 1 && fake_secret.forgotten == 1);
	/* Each mapping had its record, in order, before it was made. */
	assert_int_equal(t.undo.count, 2);
	assert_int_equal(t.undo.records[0].kind, UNDO_DM_REMOVE);
	assert_string_equal(t.undo.records[0].name, fake_devmapper.made[0].name);
	assert_string_equal(t.undo.records[1].name, fake_devmapper.made[1].name);
}

static void the_first_block_is_cleared_and_no_more(void **state)
{
	char block[8192], zeros[4096] = { 0 };

	(void)state;
	assert_worked(open_it("coffer-scratch-s"), &t.err);
	fd_auto fd = open(t.disk.path, O_RDONLY);
	assert_int_equal(read(fd, block, sizeof(block)), sizeof(block));
	assert_memory_equal(block, zeros, 4096);
	for (size_t i = 4096; i < sizeof(block); i++)
		assert_int_equal(block[i], 'x');
}

/* Between our zeros and the kernel's read the host may write a superblock of its own: what the kernel then runs with tells. */
static void a_table_that_is_not_ours_is_refused(void **state)
{
	static const struct {
		const char *table;
		bool accepted;
	} rows[] = {
		{ TABLE, true },
		{ FRONT_WORDS "5 fix_padding buffer_sectors:128 journal_sectors:8 interleave_sectors:32768 block_size:4096", true },
		{ FRONT_WORDS "3 block_size:4096 interleave_sectors:32768 fix_padding", true },
		{ "254:32 0 48 D 3 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ "254:16 8 48 D 3 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ "254:16 0 4 D 3 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ "254:16 0 48 J 3 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ "254:16 0 48 R 3 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ "254:16 0 48 B 3 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ FRONT_WORDS "3 block_size:512 interleave_sectors:32768 fix_padding", false },
		{ FRONT_WORDS "3 block_size:4096 interleave_sectors:65536 fix_padding", false },
		{ FRONT_WORDS "2 block_size:4096 interleave_sectors:32768", false },
		{ FRONT_WORDS "2 interleave_sectors:32768 fix_padding", false },
		{ FRONT_WORDS "4 block_size:4096 interleave_sectors:32768 fix_padding recalculate", false },
		{ FRONT_WORDS "4 block_size:4096 interleave_sectors:32768 fix_padding allow_discards", false },
		{ FRONT_WORDS "4 block_size:4096 interleave_sectors:32768 fix_padding internal_hash:crc32c", false },
		{ FRONT_WORDS "4 block_size:4096 interleave_sectors:32768 fix_padding meta_device:8:0", false },
		{ FRONT_WORDS "4 block_size:4096 interleave_sectors:32768 fix_padding fix_hmac", false },
		{ FRONT_WORDS "3 block_size:4096 block_size:4096 fix_padding", false }, /* one twice is not two */
		{ FRONT_WORDS "4 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ FRONT_WORDS "2 block_size:4096 interleave_sectors:32768 fix_padding", false },
		{ FRONT_WORDS "", false },
		{ FRONT_WORDS "0", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		clean(NULL);
		fresh(NULL);
		fake_devmapper.table = rows[i].table;
		int result = open_it("coffer-scratch-s");
		check_row((result == 0) == rows[i].accepted, "%s: %s", rows[i].table, result < 0 ? t.err.message : "accepted");
		if (result < 0) {
			check_row(t.err.code == ERROR_CRYPT, "%s: %s", rows[i].table, error_wire_name(t.err.code));
			/* Nothing is encrypted over it, and the key was not even made. */
			assert_int_equal(fake_devmapper.count, 1);
			assert_int_equal(fake_secret.made, 0);
			assert_int_equal(t.undo.count, 1);
		}
	}
}

static void a_failure_leaves_no_key(void **state)
{
	(void)state;
	fake_devmapper.fail_at = 2;
	assert_failed(open_it("coffer-scratch-s"), &t.err, ERROR_CRYPT, "");
	assert_true(fake_secret.wiped == 1 && fake_secret.forgotten == 1);
	assert_int_equal(t.undo.count, 2);
	clean(NULL);
	fresh(NULL);
	fake_secret.fail_keyring = 1;
	assert_failed(open_it("coffer-scratch-s"), &t.err, ERROR_CRYPT, "");
	assert_true(fake_secret.wiped == 1 && fake_devmapper.count == 1);
}

static void a_small_disk_is_refused_untouched(void **state)
{
	char byte = 0;

	(void)state;
	t.disk.size = INTEGRITY_SMALLEST - 512;
	assert_failed(open_it("coffer-scratch-s"), &t.err, ERROR_DEVICE, "");
	assert_int_equal(t.undo.count, 0);
	assert_int_equal(fake_devmapper.count, 0);
	fd_auto fd = open(t.disk.path, O_RDONLY);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
}

/* Ids may hold letters, digits, '_', '.' and '-', so no id makes the mapping's name of another. */
static void names_of_two_scratches_never_meet(void **state)
{
	char below[128];

	(void)state;
	assert_worked(open_it("coffer-scratch-a"), &t.err);
	snprintf(below, sizeof(below), "%s", fake_devmapper.made[0].name);
	assert_string_not_equal(below, "coffer-scratch-a");
	const char *id = strncmp(below, "coffer-scratch-", 15) == 0 ? below + 15 : NULL;
	if (id) {
		size_t allowed = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

		check_row(id[allowed] != '\0', "the scratch \"%s\" has a mapping of this name, too", id);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capacity_fits_the_kernel_s_layout),
		cmocka_unit_test(capacity_never_falls),
		cmocka_unit_test(a_disk_that_is_too_small),
		cmocka_unit_test_setup_teardown(two_mappings_and_no_key_left, fresh, clean),
		cmocka_unit_test_setup_teardown(the_first_block_is_cleared_and_no_more, fresh, clean),
		cmocka_unit_test_setup_teardown(a_table_that_is_not_ours_is_refused, fresh, clean),
		cmocka_unit_test_setup_teardown(a_failure_leaves_no_key, fresh, clean),
		cmocka_unit_test_setup_teardown(a_small_disk_is_refused_untouched, fresh, clean),
		cmocka_unit_test_setup_teardown(names_of_two_scratches_never_meet, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
