/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/verity.c tests/fake/cryptsetup.c tests/fake/devmapper.c tests/fake/blockdev.c */
/* links: -Wl,--wrap=open -Wl,--wrap=pread */
/* What libcryptsetup is told, and that nothing is believed before it has been read through the mapping, which is a file here. */
#include "unit/test.h"

#include <fcntl.h>
#include <libcryptsetup.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake/cryptsetup.h"
#include "fake/devmapper.h"
#include "storage/verity.h"

#define DATA_BLOCKS 16u
#define BLOCK       4096u

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_pread(int fd, void *bytes, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at);

static struct {
	struct blockdev disk;
	struct verity verity;
	struct undo undo;
	struct error err;
	dev_t number;
	int image; /* stands for the disk and for the mapping */
	off_t bad; /* reading this offset through the mapping fails; -1: none */
	unsigned reads;
	off_t read_at[8];
	int mapping, open_fails;
} t;

int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/mapper/coffer-volume-v") != 0)
		return __real_open(path, flags, 0);
	if (t.open_fails) {
		errno = t.open_fails;
		return -1;
	}
	/* Around the page cache, or what is read proves nothing about the next read. */
	assert_true(flags & O_DIRECT);
	assert_int_equal(flags & O_ACCMODE, O_RDONLY);
	t.mapping = dup(t.image);
	return t.mapping;
}

ssize_t __wrap_pread(int fd, void *bytes, size_t size, off_t at)
{
	if (fd != t.mapping)
		return __real_pread(fd, bytes, size, at);
	t.read_at[t.reads++] = at;
	if (t.bad >= 0 && at <= t.bad && t.bad < at + (off_t)size) {
		errno = EIO;
		return -1;
	}
	return __real_pread(fd, bytes, size, at);
}

static int fresh(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	memset(&fake_cryptsetup, 0, sizeof(fake_cryptsetup));
	memset(&fake_devmapper, 0, sizeof(fake_devmapper));
	t.bad = t.mapping = -1;
	t.image = memfd_create("image", MFD_CLOEXEC);
	if (ftruncate(t.image, 32 * BLOCK) < 0)
		return -1;
	t.disk = (struct blockdev){ .fd = dup(t.image), .size = 32 * BLOCK, .sector = 512, .path = "/dev/vdb" };
	t.verity = (struct verity){
		.algorithm = "sha256",
		.root_size = 32,
		.blocks = DATA_BLOCKS,
		.block_size = BLOCK,
		.hash_block_size = BLOCK,
		.hash_offset = DATA_BLOCKS * BLOCK,
		.hash_type = 1,
		.superblock = VERITY_SUPERBLOCK_NONE,
	};
	memset(t.verity.root, 0xab, sizeof(t.verity.root));
	/* The kernel's word on the mapping. */
	fake_devmapper.table = "V";
	snprintf(fake_devmapper.made[0].name, sizeof(fake_devmapper.made[0].name), "coffer-volume-v");
	fake_devmapper.count = 1;
	return 0;
}

static int clean(void **state)
{
	(void)state;
	undo_free(&t.undo);
	close_fd(&t.disk.fd);
	close_fd(&t.image);
	return 0;
}

static int open_it(void)
{
	return verity_open("coffer-volume-v", &t.disk, &t.verity, &t.undo, &t.number, &t.err);
}

static void what_libcryptsetup_is_told(void **state)
{
	(void)state;
	memset(t.verity.salt, 0x5a, 32);
	t.verity.salt_size = 32;
	assert_worked(open_it(), &t.err);
	assert_string_equal(fake_cryptsetup.device, "/dev/vdb");
	assert_string_equal(fake_cryptsetup.data_device, "/dev/vdb");
	assert_string_equal(fake_cryptsetup.name, "coffer-volume-v");
	assert_string_equal(fake_cryptsetup.hash_name, "sha256");
	assert_int_equal(fake_cryptsetup.salt_size, 32);
	assert_int_equal(fake_cryptsetup.salt[31], 0x5a);
	assert_int_equal(fake_cryptsetup.root_size, 32);
	assert_memory_equal(fake_cryptsetup.root, t.verity.root, 32);
	assert_int_equal(fake_cryptsetup.hash_type, 1);
	assert_int_equal(fake_cryptsetup.data_block_size, BLOCK);
	assert_int_equal(fake_cryptsetup.hash_block_size, BLOCK);
	assert_int_equal(fake_cryptsetup.data_size, DATA_BLOCKS);
	/* Nothing of a header is ever read by the library, and the mapping cannot be written. */
	assert_int_equal(fake_cryptsetup.flags, CRYPT_VERITY_NO_HEADER);
	assert_int_equal(fake_cryptsetup.activate_flags, CRYPT_ACTIVATE_READONLY);
	assert_int_equal(fake_cryptsetup.opened, fake_cryptsetup.freed);
	/* The disk was let go before the mapping took it. */
	assert_int_equal(t.disk.fd, -1);
	assert_int_equal(t.undo.count, 1);
	assert_int_equal(t.undo.records[0].kind, UNDO_DM_REMOVE);
	assert_string_equal(t.undo.records[0].name, "coffer-volume-v");
}

static void the_first_and_the_last_block_are_read(void **state)
{
	(void)state;
	assert_worked(open_it(), &t.err);
	assert_int_equal(t.reads, 2);
	assert_int_equal(t.read_at[0], 0);
	assert_int_equal(t.read_at[1], (DATA_BLOCKS - 1) * BLOCK);
}

static void a_block_that_does_not_verify(void **state)
{
	static const off_t bad[] = { 0, BLOCK - 1, (DATA_BLOCKS - 1) * BLOCK, DATA_BLOCKS * BLOCK - 1 };

	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		t.bad = bad[i];
		assert_failed(open_it(), &t.err, ERROR_VERITY, "");
		assert_int_equal(t.err.errnum, EIO);
		/* The mapping is there, and in the list of what is to be taken back. */
		assert_int_equal(t.undo.count, 1);
		clean(NULL);
		fresh(NULL);
	}
}

static void a_mapping_that_ends_early(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(t.image, DATA_BLOCKS * BLOCK - 1), 0);
	assert_failed(open_it(), &t.err, ERROR_VERITY, "");
}

static void a_mapping_that_the_kernel_calls_corrupted(void **state)
{
	static const char *const words[] = { "C", "", "V C", "v", "VV" };

	(void)state;
	for (size_t i = 0; i < array_count(words); i++) {
		fake_devmapper.table = words[i];
		check_row(open_it() < 0, "accepted: \"%s\"", words[i]);
		assert_int_equal(t.err.code, ERROR_VERITY);
		clean(NULL);
		fresh(NULL);
	}
}

static void put_superblock(const char *bytes)
{
	assert_int_equal(pwrite(t.image, bytes, 8, DATA_BLOCKS * BLOCK), 8);
}

/* Whether the tree begins behind a superblock: the request says so, or the magic does. */
static void where_the_tree_begins(void **state)
{
	static const struct {
		enum verity_superblock wanted;
		const char *bytes;
		uint32_t hash_block;
		uint64_t tree; /* from the start of the hash area */
	} rows[] = {
		{ VERITY_SUPERBLOCK_NONE, "verity\0\0", 4096, 0 },
		{ VERITY_SUPERBLOCK_NONE, "\0\0\0\0\0\0\0\0", 4096, 0 },
		{ VERITY_SUPERBLOCK_PRESENT, "verity\0\0", 4096, 4096 },
		{ VERITY_SUPERBLOCK_PRESENT, "\0\0\0\0\0\0\0\0", 4096, 4096 }, /* not even looked at */
		{ VERITY_SUPERBLOCK_PRESENT, "verity\0\0", 512, 512 },
		{ VERITY_SUPERBLOCK_PRESENT, "verity\0\0", 1024, 1024 },
		{ VERITY_SUPERBLOCK_LOOK, "verity\0\0", 4096, 4096 },
		{ VERITY_SUPERBLOCK_LOOK, "verity\0\0", 512, 512 },
		{ VERITY_SUPERBLOCK_LOOK, "verity\0x", 4096, 0 },
		{ VERITY_SUPERBLOCK_LOOK, "Verity\0\0", 4096, 0 },
		{ VERITY_SUPERBLOCK_LOOK, "\0\0\0\0\0\0\0\0", 4096, 0 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		put_superblock(rows[i].bytes);
		t.verity.superblock = rows[i].wanted;
		t.verity.hash_block_size = rows[i].hash_block;
		assert_worked(open_it(), &t.err);
		check_row(fake_cryptsetup.hash_area_offset == DATA_BLOCKS * BLOCK + rows[i].tree, "row %zu: %llu", i,
			  (unsigned long long)fake_cryptsetup.hash_area_offset);
		clean(NULL);
		fresh(NULL);
	}
}

static void a_disk_that_is_too_small(void **state)
{
	(void)state;
	for (int row = 0; row < 5; row++) {
		switch (row) {
		case 0:
			t.verity.blocks = 33;
			break;
		case 1:
			t.verity.hash_offset = 32 * BLOCK;
			break;
		case 2:
			t.verity.blocks = 0;
			break;
		case 3:
			t.verity.blocks = UINT64_MAX; /* blocks * block_size would wrap */
			break;
		case 4:
			t.disk.size = DATA_BLOCKS * BLOCK;
			break;
		}
		assert_failed(open_it(), &t.err, ERROR_DEVICE, "");
		assert_int_equal(fake_cryptsetup.activated, 0);
		assert_int_equal(t.undo.count, 0);
		clean(NULL);
		fresh(NULL);
	}
}

static void a_disk_of_larger_blocks_than_the_image(void **state)
{
	(void)state;
	t.disk.sector = 4096;
	t.verity.block_size = 512;
	assert_failed(open_it(), &t.err, ERROR_DEVICE, "");
	clean(NULL);
	fresh(NULL);
	t.disk.sector = 4096;
	t.verity.hash_block_size = 512;
	assert_failed(open_it(), &t.err, ERROR_DEVICE, "");
	clean(NULL);
	fresh(NULL);
	t.disk.sector = 4096;
	assert_worked(open_it(), &t.err);
}

static void what_the_library_refuses(void **state)
{
	(void)state;
	for (int row = 0; row < 3; row++) {
		fake_cryptsetup.fail_init = row == 0 ? -ENODEV : 0;
		fake_cryptsetup.fail_format = row == 1 ? -EINVAL : 0;
		fake_cryptsetup.fail_activate = row == 2 ? -EPERM : 0;
		assert_failed(open_it(), &t.err, ERROR_VERITY, "");
		assert_int_equal(t.err.errnum, row == 0 ? ENODEV : row == 1 ? EINVAL : EPERM);
		assert_int_equal(t.reads, 0);
		assert_int_equal(fake_cryptsetup.opened, fake_cryptsetup.freed);
		clean(NULL);
		fresh(NULL);
	}
	fake_cryptsetup.no_library = true;
	assert_failed(open_it(), &t.err, ERROR_INTERNAL, "");
	assert_int_equal(t.undo.count, 0);
}

static void a_mapping_that_cannot_be_opened(void **state)
{
	(void)state;
	t.open_fails = ENOENT;
	assert_failed(open_it(), &t.err, ERROR_VERITY, "");
	assert_int_equal(t.undo.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_libcryptsetup_is_told, fresh, clean),
		cmocka_unit_test_setup_teardown(the_first_and_the_last_block_are_read, fresh, clean),
		cmocka_unit_test_setup_teardown(a_block_that_does_not_verify, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mapping_that_ends_early, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mapping_that_the_kernel_calls_corrupted, fresh, clean),
		cmocka_unit_test_setup_teardown(where_the_tree_begins, fresh, clean),
		cmocka_unit_test_setup_teardown(a_disk_that_is_too_small, fresh, clean),
		cmocka_unit_test_setup_teardown(a_disk_of_larger_blocks_than_the_image, fresh, clean),
		cmocka_unit_test_setup_teardown(what_the_library_refuses, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mapping_that_cannot_be_opened, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
