/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/sparse_copy.c -Wl,--wrap=pread -Wl,--wrap=pwrite -Wl,--wrap=lseek */
/* Real files with holes; pread, pwrite and lseek go through this file, which counts, shortens and fails them as a test wishes. */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "storage/sparse_copy.h"

#define BLOCK SPARSE_COPY_BLOCK
#define MIB   (1024u * 1024u)

ssize_t __real_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t __real_pwrite(int fd, const void *buffer, size_t size, off_t offset);
off_t __real_lseek(int fd, off_t offset, int whence);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buffer, size_t size, off_t offset);
off_t __wrap_lseek(int fd, off_t offset, int whence);

static struct {
	bool on;
	unsigned reads, writes;
	size_t largest;                 /* of any read or write */
	size_t read_most, write_most;   /* a call does no more than that; 0: all */
	unsigned fail_read, fail_write; /* the call, counted from 1, that fails with `failure` */
	int failure;                    /* 0: the call returns 0 */
	bool interrupts;                /* every other call is EINTR */
	uint64_t low, high;             /* of what was written */
	const off_t (*extents)[2];      /* what lseek says instead of the kernel: data, hole */
	size_t extent_count;
	int data_errno, hole_errno;
} calls;

ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset)
{
	if (!calls.on)
		return __real_pread(fd, buffer, size, offset);
	calls.reads++;
	if (size > calls.largest)
		calls.largest = size;
	if (calls.interrupts && calls.reads % 2 == 1) {
		errno = EINTR;
		return -1;
	}
	if (calls.fail_read == calls.reads) {
		errno = calls.failure;
		return calls.failure ? -1 : 0;
	}
	return __real_pread(fd, buffer, calls.read_most && size > calls.read_most ? calls.read_most : size, offset);
}

ssize_t __wrap_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
	if (!calls.on)
		return __real_pwrite(fd, buffer, size, offset);
	calls.writes++;
	if (size > calls.largest)
		calls.largest = size;
	if (calls.interrupts && calls.writes % 2 == 1) {
		errno = EINTR;
		return -1;
	}
	if (calls.fail_write == calls.writes) {
		errno = calls.failure;
		return calls.failure ? -1 : 0;
	}
	/* As O_DIRECT wants it. */
	check_row(offset % BLOCK == 0 && size % BLOCK == 0 && (uintptr_t)buffer % BLOCK == 0, "%zu bytes at %lld", size,
		  (long long)offset);
	if ((uint64_t)offset < calls.low)
		calls.low = (uint64_t)offset;
	if ((uint64_t)offset + size > calls.high)
		calls.high = (uint64_t)offset + size;
	return __real_pwrite(fd, buffer, calls.write_most && size > calls.write_most ? calls.write_most : size, offset);
}

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
	if (!calls.on)
		return __real_lseek(fd, offset, whence);
	int failure = whence == SEEK_DATA ? calls.data_errno : calls.hole_errno;

	if (failure) {
		errno = failure;
		return -1;
	}
	if (!calls.extents)
		return __real_lseek(fd, offset, whence);
	for (size_t i = 0; i < calls.extent_count; i++) {
		if (offset >= calls.extents[i][1])
			continue;
		if (whence == SEEK_HOLE)
			return offset < calls.extents[i][0] ? offset : calls.extents[i][1];
		return offset > calls.extents[i][0] ? offset : calls.extents[i][0];
	}
	errno = ENXIO;
	return -1;
}

static struct {
	int from, to;
	uint64_t size;
} files;

static char pattern(uint64_t at)
{
	return (char)(at * 2654435761u >> 13 | 1);
}

/* Bytes [start, end) of the source become data. */
static void put(uint64_t start, uint64_t end)
{
	auto_free char *bytes = malloc(end - start);

	for (uint64_t at = start; at < end; at++)
		bytes[at - start] = pattern(at);
	assert_int_equal(__real_pwrite(files.from, bytes, end - start, (off_t)start), end - start);
}

static int fresh(void **state)
{
	(void)state;
	memset(&calls, 0, sizeof(calls));
	calls.low = UINT64_MAX;
	files.from = memfd_create("from", MFD_CLOEXEC);
	files.to = memfd_create("to", MFD_CLOEXEC);
	return files.from >= 0 && files.to >= 0 ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	calls.on = false;
	close_fd(&files.from);
	close_fd(&files.to);
	return 0;
}

/* A disk full of old bytes. */
static void sizes(uint64_t size)
{
	auto_free char *old = malloc(MIB);

	files.size = size;
	assert_int_equal(ftruncate(files.from, (off_t)size), 0);
	memset(old, 0xee, MIB);
	for (uint64_t at = 0; at < size + MIB; at += MIB)
		assert_int_equal(__real_pwrite(files.to, old, MIB, (off_t)at), MIB);
}

static int copy(uint64_t *copied, struct error *err)
{
	calls.on = true;
	int result = sparse_copy(files.from, files.to, files.size, copied, err);

	calls.on = false;
	return result;
}

static char byte_of(int fd, uint64_t at)
{
	char byte = 0x55;

	assert_int_equal(__real_pread(fd, &byte, 1, (off_t)at), 1);
	return byte;
}

/* Every block of the target: data of the source where that has data, old bytes elsewhere. */
static void check_target(const uint64_t (*ranges)[2], size_t count)
{
	for (uint64_t block = 0; block * BLOCK < files.size + MIB; block++) {
		bool data = false;

		for (size_t i = 0; i < count; i++)
			data = data || (block * BLOCK >= ranges[i][0] && block * BLOCK < ranges[i][1]);
		for (uint64_t at = block * BLOCK; at < (block + 1) * BLOCK; at += 511)
			check_row(byte_of(files.to, at) == (data ? byte_of(files.from, at) : (char)0xee), "byte %llu is wrong",
				  (unsigned long long)at);
	}
}

static void only_data_is_copied(void **state)
{
	static const uint64_t ranges[][2] = {
		{ 0, BLOCK },
		{ 10 * BLOCK, 12 * BLOCK },
		{ 3 * MIB, 5 * MIB + BLOCK },
		{ 8 * MIB - BLOCK, 8 * MIB },
	};
	uint64_t copied, wanted = 0;
	struct error err;

	(void)state;
	sizes(8 * MIB);
	for (size_t i = 0; i < array_count(ranges); i++) {
		put(ranges[i][0], ranges[i][1]);
		wanted += ranges[i][1] - ranges[i][0];
	}
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(copied, wanted);
	check_target(ranges, array_count(ranges));
	assert_true(calls.high <= 8 * MIB);
	/* A buffer of 1 MiB, whatever the extent. */
	assert_true(calls.largest <= MIB);
}

static void a_source_without_data(void **state)
{
	uint64_t copied = 99;
	struct error err;

	(void)state;
	sizes(4 * MIB);
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(copied, 0);
	assert_int_equal(calls.writes, 0);
	files.size = 0;
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(calls.writes, 0);
}

static void a_source_that_is_all_data(void **state)
{
	static const uint64_t ranges[][2] = { { 0, 5 * MIB } };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(5 * MIB);
	put(0, 5 * MIB);
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(copied, 5 * MIB);
	check_target(ranges, 1);
	assert_int_equal(calls.writes, 5);
}

/* A file system of small blocks has extents that end within one of ours: each block is written once, whole. */
static void extents_that_end_within_a_block(void **state)
{
	static const off_t extents[][2] = {
		{ 512, 1024 },                    /* within block 0 */
		{ 1536, 2048 },                   /* in the same block */
		{ BLOCK + 100, BLOCK + 200 },     /* in the next */
		{ 3 * BLOCK - 1, 3 * BLOCK + 1 }, /* over an edge */
		{ 2 * MIB - 512, 2 * MIB },       /* the end */
	};
	static const uint64_t ranges[][2] = { { 0, 2 * BLOCK }, { 2 * BLOCK, 4 * BLOCK }, { 2 * MIB - BLOCK, 2 * MIB } };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(2 * MIB);
	put(0, 2 * MIB);
	calls.extents = extents;
	calls.extent_count = array_count(extents);
	assert_worked(copy(&copied, &err), &err);
	check_target(ranges, array_count(ranges));
	assert_int_equal(copied, 5 * BLOCK);
	assert_int_equal(calls.writes, 4);
}

/* The file is longer than the disk: nothing is written at or behind its end, not even the rest of a block. */
static void nothing_is_written_behind_the_end(void **state)
{
	static const off_t over[][2] = { { MIB - 512, 2 * MIB } }, behind[][2] = { { MIB, 2 * MIB } },
			   far[][2] = { { MIB + 512, 2 * MIB } };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(2 * MIB);
	put(0, 2 * MIB);
	files.size = MIB;
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(copied, MIB);
	assert_int_equal(calls.high, MIB);
	calls.extents = over;
	calls.extent_count = 1;
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(copied, BLOCK);
	assert_int_equal(calls.high, MIB);
	calls.writes = 0;
	calls.extents = behind;
	assert_worked(copy(&copied, &err), &err);
	calls.extents = far;
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(calls.writes, 0);
	assert_int_equal(byte_of(files.to, MIB), (char)0xee);
}

static void a_size_that_is_no_whole_number_of_blocks(void **state)
{
	static const uint64_t wrong[] = { 1, 512, BLOCK - 1, BLOCK + 1, MIB + 512, (uint64_t)1 << 63, UINT64_MAX - 4095 };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(MIB);
	for (size_t i = 0; i < array_count(wrong); i++) {
		files.size = wrong[i];
		assert_failed(copy(&copied, &err), &err, ERROR_FORMAT, "");
		assert_int_equal(calls.writes, 0);
	}
}

static void short_calls_are_continued(void **state)
{
	static const uint64_t ranges[][2] = { { 0, 2 * MIB } };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(2 * MIB);
	put(0, 2 * MIB);
	calls.read_most = 1000;
	calls.write_most = 3 * BLOCK;
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(copied, 2 * MIB);
	check_target(ranges, 1);
}

static void interrupted_calls_are_repeated(void **state)
{
	static const uint64_t ranges[][2] = { { 0, 2 * MIB } };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(2 * MIB);
	put(0, 2 * MIB);
	calls.interrupts = true;
	assert_worked(copy(&copied, &err), &err);
	check_target(ranges, 1);
	assert_int_equal(calls.writes, 4);
}

/* A write that ends within a block cannot be continued under O_DIRECT. */
static void a_write_that_ends_within_a_block_is_an_error(void **state)
{
	static const size_t most[] = { 1, 511, 512, BLOCK - 1, BLOCK + 512, MIB - 1 };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(2 * MIB);
	put(0, 2 * MIB);
	for (size_t i = 0; i < array_count(most); i++) {
		calls.write_most = most[i];
		assert_failed(copy(&copied, &err), &err, ERROR_FORMAT, "");
		assert_int_equal(err.errnum, EIO);
	}
}

static void every_write_that_fails_is_seen(void **state)
{
	static const int failures[] = { ENOSPC, EIO, EINVAL, 0 };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(4 * MIB);
	put(0, 4 * MIB);
	for (unsigned at = 1; at <= 4; at++) {
		for (size_t i = 0; i < array_count(failures); i++) {
			calls.writes = 0;
			calls.fail_write = at;
			calls.failure = failures[i];
			assert_failed(copy(&copied, &err), &err, ERROR_FORMAT, "");
			assert_int_equal(err.errnum, failures[i] ? failures[i] : EIO);
			assert_int_equal(calls.writes, at); /* and nothing after it */
		}
	}
}

static void every_read_that_fails_is_seen(void **state)
{
	static const int failures[] = { EIO, ENOMEM, 0 };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(4 * MIB);
	put(0, 4 * MIB);
	for (unsigned at = 1; at <= 4; at++) {
		for (size_t i = 0; i < array_count(failures); i++) {
			calls.reads = calls.writes = 0;
			calls.fail_read = at;
			calls.failure = failures[i];
			assert_failed(copy(&copied, &err), &err, ERROR_FORMAT, "");
			assert_int_equal(err.errnum, failures[i] ? failures[i] : EIO);
			assert_int_equal(calls.writes, at - 1); /* what could not be read is not written */
		}
	}
}

static void a_source_that_is_shorter_than_was_said(void **state)
{
	static const off_t extents[][2] = { { 0, 2 * MIB } };
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(MIB);
	put(0, MIB);
	files.size = 2 * MIB;
	calls.extents = extents;
	calls.extent_count = 1;
	assert_failed(copy(&copied, &err), &err, ERROR_FORMAT, "");
	assert_non_null(strstr(err.message, "ends early"));
}

static void seeks_that_fail_are_seen(void **state)
{
	uint64_t copied;
	struct error err;

	(void)state;
	sizes(MIB);
	put(0, MIB);
	calls.data_errno = EINVAL; /* a file system that knows no holes */
	assert_failed(copy(&copied, &err), &err, ERROR_FORMAT, "");
	calls.data_errno = 0;
	calls.hole_errno = EIO;
	assert_failed(copy(&copied, &err), &err, ERROR_FORMAT, "");
	assert_int_equal(calls.writes, 0);
}

/* The same on the file system of a disk, whose blocks and holes are its own. */
static void a_file_on_a_disk(void **state)
{
	static const uint64_t ranges[][2] = { { MIB, MIB + 3 * BLOCK }, { 6 * MIB, 7 * MIB } };
	char path[] = "/var/tmp/coffer-test-XXXXXX";
	uint64_t copied;
	struct error err;

	(void)state;
	close_fd(&files.from);
	files.from = mkstemp(path);
	unlink(path);
	sizes(8 * MIB);
	put(ranges[0][0], ranges[0][1]);
	put(ranges[1][0], ranges[1][1]);
	assert_worked(copy(&copied, &err), &err);
	assert_true(copied >= MIB + 3 * BLOCK && copied < 8 * MIB);
	for (uint64_t at = 0; at < 8 * MIB; at += 509) {
		char byte = byte_of(files.to, at);

		/* Where the file system widens an extent, the zeros of the hole come along. */
		check_row(byte == byte_of(files.from, at) || byte == (char)0xee, "byte %llu", (unsigned long long)at);
	}
	for (size_t i = 0; i < 2; i++) {
		for (uint64_t at = ranges[i][0]; at < ranges[i][1]; at += 509)
			assert_int_equal(byte_of(files.to, at), pattern(at));
	}
}

/* 64 GiB of nothing take no time, and a terabyte neither. */
static void huge_and_sparse(void **state)
{
	uint64_t copied;
	struct error err;

	(void)state;
	files.size = (uint64_t)16 << 40;
	assert_int_equal(ftruncate(files.from, (off_t)files.size), 0);
	put(0, BLOCK);
	put(files.size / 2, files.size / 2 + BLOCK);
	put(files.size - BLOCK, files.size);
	assert_worked(copy(&copied, &err), &err);
	assert_int_equal(copied, 3 * BLOCK);
	assert_int_equal(byte_of(files.to, files.size - 1), pattern(files.size - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_data_is_copied, fresh, clean),
		cmocka_unit_test_setup_teardown(a_source_without_data, fresh, clean),
		cmocka_unit_test_setup_teardown(a_source_that_is_all_data, fresh, clean),
		cmocka_unit_test_setup_teardown(extents_that_end_within_a_block, fresh, clean),
		cmocka_unit_test_setup_teardown(nothing_is_written_behind_the_end, fresh, clean),
		cmocka_unit_test_setup_teardown(a_size_that_is_no_whole_number_of_blocks, fresh, clean),
		cmocka_unit_test_setup_teardown(short_calls_are_continued, fresh, clean),
		cmocka_unit_test_setup_teardown(interrupted_calls_are_repeated, fresh, clean),
		cmocka_unit_test_setup_teardown(a_write_that_ends_within_a_block_is_an_error, fresh, clean),
		cmocka_unit_test_setup_teardown(every_write_that_fails_is_seen, fresh, clean),
		cmocka_unit_test_setup_teardown(every_read_that_fails_is_seen, fresh, clean),
		cmocka_unit_test_setup_teardown(a_source_that_is_shorter_than_was_said, fresh, clean),
		cmocka_unit_test_setup_teardown(seeks_that_fail_are_seen, fresh, clean),
		cmocka_unit_test_setup_teardown(a_file_on_a_disk, fresh, clean),
		cmocka_unit_test_setup_teardown(huge_and_sparse, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
