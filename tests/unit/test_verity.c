/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/verity.c tests/fake/secret.c tests/fake/devmapper.c tests/fake/blockdev.c */
/* links: -Wl,--wrap=open -Wl,--wrap=pread */
/* What the kernel is told, and that nothing is believed before it has been read through the mapping, which is a file here. */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fake/devmapper.h"
#include "fake/secret.h"
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
	memset(&fake_secret, 0, sizeof(fake_secret));
	memset(&fake_devmapper, 0, sizeof(fake_devmapper));
	t.bad = t.mapping = -1;
	t.image = memfd_create("image", MFD_CLOEXEC);
	if (ftruncate(t.image, 32 * BLOCK) < 0)
		return -1;
	t.disk = (struct blockdev){
		.fd = dup(t.image), .size = 32 * BLOCK, .sector = 512, .path = "/dev/vdb", .number = makedev(254, 16)
	};
	t.verity = (struct verity){
		.algorithm = "sha256",
		.root_size = 32,
		.blocks = DATA_BLOCKS,
		.block_size = BLOCK,
		.hash_block_size = BLOCK,
		.hash_offset = DATA_BLOCKS * BLOCK,
		.hash_type = 1,
		.superblock = false,
	};
	memset(t.verity.root, 0xab, sizeof(t.verity.root));
	/* The kernel's word on the mapping. */
	fake_devmapper.table = "V";
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

#define ROOT "abababababababababababababababababababababababababababababababab"

static void what_the_kernel_is_told(void **state)
{
	(void)state;
	memset(t.verity.salt, 0x5a, 4);
	t.verity.salt_size = 4;
	assert_worked(open_it(), &t.err);
	assert_string_equal(fake_devmapper.made[0].name, "coffer-volume-v");
	assert_string_equal(fake_devmapper.made[0].type, "verity");
	assert_string_equal(fake_devmapper.made[0].params, "1 254:16 254:16 4096 4096 16 16 sha256 " ROOT " 5a5a5a5a");
	assert_int_equal(fake_devmapper.made[0].sectors, DATA_BLOCKS * 8);
	assert_true(fake_devmapper.made[0].read_only);
	/* The disk was let go before the mapping took it. */
	assert_int_equal(t.disk.fd, -1);
	assert_int_equal(t.undo.count, 1);
	assert_int_equal(t.undo.records[0].kind, UNDO_DM_REMOVE);
	assert_string_equal(t.undo.records[0].name, "coffer-volume-v");
	assert_true(t.number == makedev(253, 0));
}

/* What tarfs asks for, and the longest that a request can: everything in one table. */
static void other_tables(void **state)
{
	char *hex = malloc(2 * VERITY_SALT_MAX + 1);
	char wanted[2048];

	(void)state;
	t.verity.block_size = 512;
	t.verity.blocks = 8 * DATA_BLOCKS;
	assert_worked(open_it(), &t.err);
	assert_string_equal(fake_devmapper.made[0].params, "1 254:16 254:16 512 4096 128 16 sha256 " ROOT " -");
	assert_int_equal(fake_devmapper.made[0].sectors, DATA_BLOCKS * 8);
	clean(NULL);
	fresh(NULL);
	t.verity.algorithm = "sha512";
	t.verity.root_size = 64;
	t.verity.hash_type = 0;
	memset(t.verity.salt, 0xff, VERITY_SALT_MAX);
	t.verity.salt_size = VERITY_SALT_MAX;
	t.verity.fec_roots = 24;
	t.verity.fec_offset = 31 * BLOCK;
	t.verity.signature_size = 3;
	t.verity.on_corruption = VERITY_CORRUPTION_RESTART;
	assert_worked(open_it(), &t.err);
	memset(hex, 'f', 2 * VERITY_SALT_MAX);
	hex[2 * VERITY_SALT_MAX] = '\0';
	snprintf(wanted, sizeof(wanted),
		 "0 254:16 254:16 4096 4096 16 16 sha512 " ROOT ROOT " %s 11 restart_on_corruption root_hash_sig_key_desc "
		 "coffer:coffer-volume-v use_fec_from_device 254:16 fec_start 31 fec_blocks 31 fec_roots 24",
		 hex);
	assert_string_equal(fake_devmapper.loaded.params, wanted);
	free(hex);
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

/* Whether the tree begins behind a superblock: the request says so, and the disk is not asked. */
static void where_the_tree_begins(void **state)
{
	static const struct {
		bool superblock;
		uint32_t hash_block;
		unsigned tree; /* in hash blocks */
	} rows[] = { { false, 4096, 16 }, { true, 4096, 17 }, { true, 512, 129 }, { true, 1024, 65 }, { false, 512, 128 } };

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		unsigned found = 0;

		assert_int_equal(pwrite(t.image, "verity\0\0", 8, DATA_BLOCKS * BLOCK), 8);
		t.verity.superblock = rows[i].superblock;
		t.verity.hash_block_size = rows[i].hash_block;
		assert_worked(open_it(), &t.err);
		assert_int_equal(sscanf(fake_devmapper.made[0].params, "1 254:16 254:16 4096 %*u 16 %u", &found), 1);
		check_row(found == rows[i].tree, "row %zu: %u", i, found);
		clean(NULL);
		fresh(NULL);
	}
}

static void a_signature_goes_to_the_kernel(void **state)
{
	(void)state;
	t.verity.signature_size = 3;
	memcpy(t.verity.signature, "sig", 3);
	assert_worked(open_it(), &t.err);
	assert_string_equal(fake_devmapper.made[0].params,
			    "1 254:16 254:16 4096 4096 16 16 sha256 " ROOT " - 2 root_hash_sig_key_desc coffer:coffer-volume-v");
	assert_string_equal(fake_secret.offered_as, "coffer:coffer-volume-v");
	assert_int_equal(fake_secret.offered_size, 3);
	assert_memory_equal(fake_secret.offered, "sig", 3);
	clean(NULL);
	fresh(NULL);
	t.verity.signature_size = 3;
	fake_devmapper.fail_at = 1;
	assert_failed(open_it(), &t.err, ERROR_VERITY, "");
	assert_non_null(strstr(t.err.message, "signature"));
}

/* All blocks in front of the parity are covered: a superblock's too. */
static void parity_is_on_the_same_disk(void **state)
{
	(void)state;
	t.verity.fec_roots = 2;
	t.verity.fec_offset = 24 * BLOCK;
	assert_worked(open_it(), &t.err);
	assert_non_null(
		strstr(fake_devmapper.made[0].params, " - 8 use_fec_from_device 254:16 fec_start 24 fec_blocks 24 fec_roots 2"));
	clean(NULL);
	fresh(NULL);
	t.verity.fec_roots = 2;
	t.verity.fec_offset = 32 * BLOCK;
	assert_failed(open_it(), &t.err, ERROR_DEVICE, "");
}

/* The proof is made while a bad block is an error: a wrong request never ends the VM. */
static void a_vm_that_shall_end_is_asked_so_after_the_proof(void **state)
{
	static const char *const words[] = { NULL, " 1 panic_on_corruption", " 1 restart_on_corruption" };

	(void)state;
	for (int what = VERITY_CORRUPTION_ERROR; what <= VERITY_CORRUPTION_RESTART; what++) {
		t.verity.on_corruption = (enum verity_corruption)what;
		assert_worked(open_it(), &t.err);
		assert_null(strstr(fake_devmapper.made[0].params, "corruption"));
		assert_int_equal(fake_devmapper.swaps, what == VERITY_CORRUPTION_ERROR ? 0 : 1);
		if (words[what])
			assert_non_null(strstr(fake_devmapper.loaded.params, words[what]));
		clean(NULL);
		fresh(NULL);
		t.verity.on_corruption = (enum verity_corruption)what;
		t.bad = 0;
		assert_failed(open_it(), &t.err, ERROR_VERITY, "");
		assert_int_equal(fake_devmapper.swaps + fake_devmapper.loads, 0);
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
			t.verity.hash_offset = 33 * BLOCK;
			break;
		case 2:
			t.verity.blocks = 0;
			break;
		case 3:
			t.verity.blocks = UINT64_MAX; /* blocks * block_size would wrap */
			break;
		case 4:
			t.disk.size = DATA_BLOCKS * BLOCK - 512;
			break;
		}
		assert_failed(open_it(), &t.err, ERROR_DEVICE, "");
		assert_int_equal(fake_devmapper.count, 0);
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

static void what_the_kernel_refuses(void **state)
{
	(void)state;
	fake_devmapper.fail_at = 1;
	assert_failed(open_it(), &t.err, ERROR_VERITY, "");
	assert_int_equal(t.reads, 0);
	assert_int_equal(t.undo.count, 1);
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
		cmocka_unit_test_setup_teardown(what_the_kernel_is_told, fresh, clean),
		cmocka_unit_test_setup_teardown(other_tables, fresh, clean),
		cmocka_unit_test_setup_teardown(the_first_and_the_last_block_are_read, fresh, clean),
		cmocka_unit_test_setup_teardown(a_block_that_does_not_verify, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mapping_that_ends_early, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mapping_that_the_kernel_calls_corrupted, fresh, clean),
		cmocka_unit_test_setup_teardown(where_the_tree_begins, fresh, clean),
		cmocka_unit_test_setup_teardown(a_signature_goes_to_the_kernel, fresh, clean),
		cmocka_unit_test_setup_teardown(parity_is_on_the_same_disk, fresh, clean),
		cmocka_unit_test_setup_teardown(a_vm_that_shall_end_is_asked_so_after_the_proof, fresh, clean),
		cmocka_unit_test_setup_teardown(a_disk_that_is_too_small, fresh, clean),
		cmocka_unit_test_setup_teardown(a_disk_of_larger_blocks_than_the_image, fresh, clean),
		cmocka_unit_test_setup_teardown(what_the_kernel_refuses, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mapping_that_cannot_be_opened, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
