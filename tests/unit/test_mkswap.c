/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/mkswap.c */
#include "unit/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "storage/mkswap.h"

static uint32_t number_at(const uint8_t *page, size_t at)
{
	uint32_t number;

	memcpy(&number, page + at, sizeof(number));
	return number;
}

/* The offsets of union swap_header (the kernel's include/linux/swap.h), which it looks at in read_swap_header(). */
static void a_header_as_the_kernel_reads_it(void **state)
{
	uint8_t page[MKSWAP_PAGE], other[MKSWAP_PAGE], zeros[MKSWAP_PAGE] = { 0 };
	struct error err;

	(void)state;
	memset(page, 0xff, sizeof(page));
	assert_worked(mkswap_fill(page, 64u << 20, &err), &err);
	assert_memory_equal(page, zeros, 1024);
	assert_int_equal(number_at(page, 1024), 1);
	assert_int_equal(number_at(page, 1028), (64u << 20) / 4096 - 1);
	assert_int_equal(number_at(page, 1032), 0);
	assert_int_equal(page[1036 + 6] >> 4, 4);
	assert_memory_equal(page + 1052, zeros, MKSWAP_PAGE - 10 - 1052);
	assert_memory_equal(page + MKSWAP_PAGE - 10, "SWAPSPACE2", 10);
	assert_worked(mkswap_fill(other, 64u << 20, &err), &err);
	assert_memory_not_equal(page + 1036, other + 1036, 16);
}

static void sizes(void **state)
{
	static const struct {
		uint64_t size;
		bool accepted;
	} rows[] = {
		{ 0, false },
		{ 9 * 4096, false },
		{ 10 * 4096, true },
		{ 10 * 4096 + 512, false },
		{ (uint64_t)4096 << 32, true },
		{ ((uint64_t)4096 << 32) + 4096, false },
		{ UINT64_MAX, false },
	};
	uint8_t page[MKSWAP_PAGE];
	struct error err;

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = mkswap_fill(page, rows[i].size, &err);

		check_row((result == 0) == rows[i].accepted, "%llu", (unsigned long long)rows[i].size);
		check_row(result == 0 || err.code == ERROR_FORMAT, "%llu", (unsigned long long)rows[i].size);
	}
}

static void one_page_is_written(void **state)
{
	/* On a file system that takes O_DIRECT: a tmpfs on /tmp might not. */
	char path[] = "/var/tmp/coffer-test-XXXXXX";
	uint8_t content[3 * MKSWAP_PAGE];
	struct error err;

	(void)state;
	fd_auto fd = mkstemp(path);
	assert_true(fd >= 0);
	memset(content, 'x', sizeof(content));
	assert_int_equal(write(fd, content, sizeof(content)), sizeof(content));
	assert_worked(mkswap_write(path, 64u << 20, &err), &err);
	assert_int_equal(pread(fd, content, sizeof(content), 0), sizeof(content));
	assert_memory_equal(content + MKSWAP_PAGE - 10, "SWAPSPACE2", 10);
	for (size_t i = MKSWAP_PAGE; i < sizeof(content); i++)
		assert_int_equal(content[i], 'x');
	assert_int_equal(unlink(path), 0);
	assert_failed(mkswap_write(path, 64u << 20, &err), &err, ERROR_FORMAT, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_as_the_kernel_reads_it),
		cmocka_unit_test(sizes),
		cmocka_unit_test(one_page_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
