/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/integrity.c agent/storage/integrity_layout.c tests/fake/devmapper.c tests/fake/secret.c */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fake/devmapper.h"
#include "fake/secret.h"
#include "storage/integrity.h"

/* ---- the capacity, against the kernel's own arithmetic ---- */

/*
 * dm-integrity's layout for our parameters, as drivers/md/dm-integrity.c works it out (calculate_journal_section_size,
 * calculate_device_limits, get_area_and_offset, get_data_sector), in sectors of 512 bytes.  4096-byte blocks, `tag` bytes of tag,
 * 32768 sectors of interleave, fix_padding, a journal of "8 sectors", which the kernel rounds to one section.
 */
static uint64_t kernel_initial_sectors(uint64_t tag)
{
	const uint64_t entry = (8 + 8 * 8 + tag + 7) / 8 * 8; /* a sector number, a commit id for each sector, the tag */
	const uint64_t per_sector = (512 - 8) / entry;
	const uint64_t section_entries = per_sector * 8;
	const uint64_t section_sectors = section_entries * 8 + 8;

	return 8 + section_sectors; /* the superblock's 4 KiB, one section */
}

/* The device's sector that the last of `provided` data sectors lies in. */
static uint64_t kernel_last_sector(uint64_t provided, uint64_t tag)
{
	const uint64_t run = (tag * (32768 / 8) + 4095) / 4096 * 8; /* tags of one area, padded to 4 KiB */
	uint64_t area = (provided - 1) / 32768, offset = (provided - 1) % 32768;

	return kernel_initial_sectors(tag) + area * 32768 + (area + 1) * run + offset;
}

/* get_provided_data_sectors: the most that fits, bit by bit. */
static uint64_t kernel_provided(uint64_t device_sectors, uint64_t tag)
{
	uint64_t provided = 0;

	for (int bit = 63 - __builtin_clzll(device_sectors); bit >= 3; bit--) {
		uint64_t more = provided | (uint64_t)1 << bit;

		if (kernel_last_sector(more, tag) < device_sectors)
			provided = more;
	}
	return provided;
}

static void check_layout(const struct integrity_layout *layout, uint64_t size)
{
	uint64_t capacity = integrity_capacity(layout, size), most = kernel_provided(size / 512, layout->tag_size) * 512;

	check_row(capacity > 0 && capacity % 4096 == 0, "%llu: %llu", (unsigned long long)size, (unsigned long long)capacity);
	check_row(capacity <= most, "%llu: %llu, but the kernel has only %llu", (unsigned long long)size,
		  (unsigned long long)capacity, (unsigned long long)most);
	/* What is given away is the space for a larger smallest journal, and never more than 1 MiB. */
	check_row(most - capacity <= 1024 * 1024, "%llu: %llu of %llu", (unsigned long long)size, (unsigned long long)capacity,
		  (unsigned long long)most);
}

static void check_capacity(uint64_t size)
{
	for (const struct integrity_layout *row = integrity_scratch; row->name; row++)
		check_layout(row, size);
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
		uint64_t capacity = integrity_capacity(integrity_scratch, size);

		check_row(capacity >= before, "%llu", (unsigned long long)size);
		before = capacity;
	}
}

static void a_disk_that_is_too_small(void **state)
{
	(void)state;
	assert_int_equal(integrity_capacity(integrity_scratch, 0), 0);
	assert_int_equal(integrity_capacity(integrity_scratch, 512), 0);
	assert_int_equal(integrity_capacity(integrity_scratch, INTEGRITY_SMALLEST - 1), 0);
	assert_true(integrity_capacity(integrity_scratch, INTEGRITY_SMALLEST) >= 14u * 1024 * 1024);
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
	return integrity_make(name, integrity_scratch, &t.disk, NULL, &t.undo, &t.size, &t.number, &t.err);
}

#define FRONT_WORDS "254:16 0 48 D "
#define TABLE       FRONT_WORDS "5 block_size:4096 interleave_sectors:32768 journal_sectors:264 buffer_sectors:128 fix_padding"

static void two_mappings_and_no_key_left(void **state)
{
	(void)state;
	assert_worked(open_it("coffer-scratch-s"), &t.err);
	assert_int_equal(t.size, integrity_capacity(integrity_scratch, 64u << 20));
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

static void each_cipher_has_its_table(void **state)
{
	static const struct {
		const char *name, *integrity, *crypt;
		size_t key;
	} rows[] = {
		{ "aes-xts-hmac-sha256", "254:16 0 48 D ",
		  "capi:authenc(hmac(sha256),xts(aes))-random :96:logon:coffer:s 0 253:0 0 2 "
		  "integrity:48:aead sector_size:4096",
		  96 },
		{ "aes-gcm", "254:16 0 28 D ",
		  "capi:gcm(aes)-random :32:logon:coffer:s 0 253:0 0 2 integrity:28:aead sector_size:4096", 32 },
		{ "aegis128", "254:16 0 32 D ",
		  "capi:aegis128-random :16:logon:coffer:s 0 253:0 0 2 integrity:32:aead sector_size:4096", 16 },
	};
	size_t count = 0;

	(void)state;
	while (integrity_scratch[count].name)
		count++;
	assert_int_equal(count, array_count(rows));
	for (size_t i = 0; i < count; i++) {
		clean(NULL);
		fresh(NULL);
		const struct integrity_layout *row = integrity_layout_find(rows[i].name);
		assert_ptr_equal(row, &integrity_scratch[i]);
		assert_worked(integrity_make("s", row, &t.disk, NULL, &t.undo, &t.size, &t.number, &t.err), &t.err);
		assert_int_equal(strncmp(fake_devmapper.made[0].params, rows[i].integrity, strlen(rows[i].integrity)), 0);
		assert_string_equal(fake_devmapper.made[1].params, rows[i].crypt);
		assert_int_equal(fake_secret.size, rows[i].key);
		assert_string_equal(row->modules[0], "dm_mod");
	}
	assert_null(integrity_layout_find("none"));
	assert_null(integrity_layout_find(""));
}

/* The kernel answers ENOENT for an algorithm that it does not have. */
static void a_cipher_that_is_not_there_is_named(void **state)
{
	(void)state;
	fake_devmapper.fail_at = 2;
	fake_devmapper.fail_errno = ENOENT;
	assert_failed(open_it("coffer-scratch-s"), &t.err, ERROR_KERNEL, "");
	assert_non_null(strstr(t.err.message, "authenc(hmac(sha256),xts(aes))"));
	assert_true(fake_secret.wiped == 1 && fake_secret.forgotten == 1);
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

/* ---- a disk that lasts ---- */

/* The same arithmetic for tags of 32 bytes, 62 sections of journal, and 1 MiB in front: here not a block is given away. */
static void lasting_capacity_is_the_kernel_s(void **state)
{
	const uint64_t section = 32 * 8 + 8, run = 32 * (32768 / 8) / 512, front = 8 + 62 * section;

	(void)state;
	for (uint64_t size = 32u << 20; size < (uint64_t)1 << 60; size += size / 51 + 512 * 3) {
		uint64_t left = size / 512 - 2048, provided = 0;

		for (int bit = 63 - __builtin_clzll(left); bit >= 3; bit--) {
			uint64_t more = provided | (uint64_t)1 << bit;

			if (front + (more - 1) / 32768 * 32768 + ((more - 1) / 32768 + 1) * run + (more - 1) % 32768 < left)
				provided = more;
		}
		check_row(integrity_capacity(&integrity_lasting, size) == provided * 512, "%llu: %llu, and not %llu",
			  (unsigned long long)size, (unsigned long long)integrity_capacity(&integrity_lasting, size),
			  (unsigned long long)provided * 512);
	}
	assert_int_equal(integrity_capacity(&integrity_lasting, (32u << 20) - 1), 0);
}

#define LASTING                                                                                                                    \
	"254:16 2048 32 J 7 block_size:4096 journal_sectors:16368 interleave_sectors:32768 buffer_sectors:128 "                    \
	"journal_watermark:50 "                                                                                                    \
	"commit_time:10000 fix_padding"

static struct secret a_key(void)
{
	static uint8_t bytes[4096];

	return (struct secret){ .bytes = bytes, .size = integrity_lasting.key_size };
}

static int make_lasting(const struct secret *key)
{
	return integrity_make("v", &integrity_lasting, &t.disk, key, &t.undo, &t.size, &t.number, &t.err);
}

static void a_lasting_one_is_made_and_grown(void **state)
{
	const struct secret key = a_key();

	(void)state;
	fake_devmapper.table = LASTING;
	assert_int_equal(truncate(t.disk.path, 64 << 20), 0);
	assert_worked(make_lasting(&key), &t.err);
	assert_string_equal(
		fake_devmapper.made[0].params,
		"254:16 2048 32 J 5 block_size:4096 interleave_sectors:32768 journal_sectors:16368 buffer_sectors:128 fix_padding");
	assert_string_equal(
		fake_devmapper.made[1].params,
		"capi:authenc(hmac(sha256),xts(aes))-plain64 :96:logon:coffer:v 0 253:0 0 2 integrity:32:aead sector_size:4096");
	assert_true(fake_secret.made == 0 && fake_secret.keys == 1 && fake_secret.forgotten == 1);
	/* The same size again, and a larger one; both tables are loaded and swapped, and the key goes again. */
	uint64_t before = t.size, size = t.size;
	t.disk.size = 128u << 20;
	assert_worked(integrity_grow("v", &integrity_lasting, &t.disk, &key, &size, &t.err), &t.err);
	assert_true(size > before && fake_devmapper.loads == 2 && fake_devmapper.swaps == 2 && fake_devmapper.drops == 0);
	assert_int_equal(fake_devmapper.loaded.sectors, size / 512);
	assert_true(fake_secret.keys == 2 && fake_secret.forgotten == 2);
	/* Smaller than what is in use, and a table that is not ours. */
	t.disk.size = 64u << 20;
	assert_failed(integrity_grow("v", &integrity_lasting, &t.disk, &key, &size, &t.err), &t.err, ERROR_DEVICE, "");
	t.disk.size = 256u << 20;
	fake_devmapper.table = "254:16 2048 32 D 4 block_size:4096 journal_sectors:16368 interleave_sectors:32768 fix_padding";
	assert_failed(integrity_grow("v", &integrity_lasting, &t.disk, &key, &before, &t.err), &t.err, ERROR_CRYPT, "");
	assert_true(fake_devmapper.loads == 3 && fake_devmapper.swaps == 2 && fake_devmapper.drops == 1);
}

static void another_journal_is_refused(void **state)
{
	static const char *const tables[] = {
		"254:16 2048 32 J 6 block_size:4096 journal_sectors:16104 interleave_sectors:32768 buffer_sectors:128 "
		"commit_time:1 fix_padding",
		"254:16 2048 32 B 5 block_size:4096 journal_sectors:16368 interleave_sectors:32768 buffer_sectors:128 fix_padding",
		"254:16 2048 32 J 6 block_size:4096 recalculate journal_sectors:16368 interleave_sectors:32768 buffer_sectors:128 "
		"fix_padding",
		"254:16 2048 32 J 4 block_size:4096 journal_sectors:16368 interleave_sectors:32768 buffer_sectors:128",
		"254:16 0 32 J 5 block_size:4096 journal_sectors:16368 interleave_sectors:32768 buffer_sectors:128 fix_padding",
	};
	const struct secret key = a_key();

	(void)state;
	for (size_t i = 0; i < array_count(tables); i++) {
		clean(NULL);
		fresh(NULL);
		fake_devmapper.table = tables[i];
		assert_int_equal(truncate(t.disk.path, 64 << 20), 0);
		check_row(make_lasting(&key) < 0 && t.err.code == ERROR_CRYPT, "%s", tables[i]);
		assert_true(fake_secret.keys == 0 && fake_devmapper.count == 1);
	}
}

static void superblocks(void **state)
{
	/* As the kernel wrote it for a disk of 256 MiB. */
	uint8_t block[512] = "integrt\0\4\17\40\0\76\0\0\0\10\250\7\0\0\0\0\0\10\0\0\0\3\14";
	const uint64_t capacity = (uint64_t)0x7a808 * 512;
	struct error err;

	(void)state;
	assert_worked(integrity_check_superblock(&integrity_lasting, block, capacity, &err), &err);
	assert_failed(integrity_check_superblock(&integrity_lasting, block, capacity - 4096, &err), &err, ERROR_DEVICE, "");
	assert_failed(integrity_check_superblock(integrity_scratch, block, capacity, &err), &err, ERROR_CRYPT, "");
	for (unsigned byte = 0; byte < 64; byte++) {
		/* The number of sectors may be smaller, and one byte is for another mode. */
		bool free_byte = (byte >= 16 && byte < 24) || byte == 29;

		block[byte] ^= 0x40;
		int result = integrity_check_superblock(&integrity_lasting, block, UINT64_MAX, &err);
		check_row(free_byte || (result < 0 && err.code == ERROR_CRYPT), "byte %u is not looked at", byte);
		block[byte] ^= 0x40;
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
		cmocka_unit_test_setup_teardown(each_cipher_has_its_table, fresh, clean),
		cmocka_unit_test_setup_teardown(a_cipher_that_is_not_there_is_named, fresh, clean),
		cmocka_unit_test_setup_teardown(a_table_that_is_not_ours_is_refused, fresh, clean),
		cmocka_unit_test_setup_teardown(a_failure_leaves_no_key, fresh, clean),
		cmocka_unit_test_setup_teardown(a_small_disk_is_refused_untouched, fresh, clean),
		cmocka_unit_test_setup_teardown(names_of_two_scratches_never_meet, fresh, clean),
		cmocka_unit_test(lasting_capacity_is_the_kernel_s),
		cmocka_unit_test_setup_teardown(a_lasting_one_is_made_and_grown, fresh, clean),
		cmocka_unit_test_setup_teardown(another_journal_is_refused, fresh, clean),
		cmocka_unit_test(superblocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
