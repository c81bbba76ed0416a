/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/groups.c tests/fake/cgroups.c */
#include "unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "container/groups.h"
#include "fake/cgroups.h"

/* ceil(10^((l*l + 125*l)/612 - 7/34)), l = log2(shares), worked out with 60 digits: runc's formula of 2025. */
static void weights_of_shares(void **state)
{
	static const struct {
		uint64_t shares;
		unsigned weight;
	} rows[] = {
		{ 0, 1 },
		{ 1, 1 },
		{ 2, 1 },
		{ 3, 2 },
		{ 4, 2 },
		{ 8, 3 },
		{ 10, 4 },
		{ 64, 12 },
		{ 100, 17 },
		{ 128, 21 },
		{ 256, 35 },
		{ 500, 58 },
		{ 512, 59 },
		{ 1000, 99 },
		{ 1023, 100 },
		{ 1024, 100 },
		{ 1025, 101 },
		{ 1536, 138 },
		{ 2000, 170 },
		{ 2048, 174 },
		{ 4096, 303 },
		{ 8192, 532 },
		{ 10000, 627 },
		{ 32768, 1681 },
		{ 65536, 3023 },
		{ 100000, 4340 },
		{ 131072, 5478 },
		{ 262143, 10000 },
		{ 262144, 10000 },
		{ 262145, 10000 },
		{ UINT64_MAX, 10000 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		check_row(groups_weight_from_shares(rows[i].shares) == rows[i].weight, "%llu shares: %u, not %u",
			  (unsigned long long)rows[i].shares, groups_weight_from_shares(rows[i].shares), rows[i].weight);
}

static void weights_never_fall_and_stay_in_range(void **state)
{
	unsigned before = 1;

	(void)state;
	for (uint64_t shares = 0; shares < 300000; shares += shares < 5000 ? 1 : 97) {
		unsigned weight = groups_weight_from_shares(shares);

		check_row(weight >= before && weight <= 10000, "%llu shares: %u", (unsigned long long)shares, weight);
		before = weight;
	}
}

static char directory[64];

static int fresh(void **state)
{
	(void)state;
	memset(&fake_cgroups, 0, sizeof(fake_cgroups));
	fake_cgroups.filtered = -1;
	snprintf(directory, sizeof(directory), "/tmp/coffer-test-groups-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	strncat(directory, "/c", 3);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	rmdir(directory);
	directory[strlen(directory) - 2] = '\0';
	return rmdir(directory);
}

static void limits_become_files(void **state)
{
	static const struct {
		struct config_cgroup limits;
		const char *written;
	} rows[] = {
		{ { 0 }, "" },
		{ { .memory = 67108864 }, "memory.max=67108864\n" },
		{ { .memory = -1 }, "memory.max=max\n" },
		{ { .memory_reservation = 33554432 }, "memory.low=33554432\n" },
		/* v1 counts memory and swap together, v2 swap alone. */
		{ { .memory = 100, .memory_swap = 150 }, "memory.max=100\nmemory.swap.max=50\n" },
		{ { .memory = 100, .memory_swap = 100 }, "memory.max=100\nmemory.swap.max=0\n" },
		{ { .memory = 100, .memory_swap = -1 }, "memory.max=100\nmemory.swap.max=max\n" },
		{ { .pids_limit = 100 }, "pids.max=100\n" },
		{ { .pids_limit = -1 }, "pids.max=max\n" },
		{ { .cpu_shares = 1024 }, "cpu.weight=100\n" },
		{ { .cpu_quota = 50000, .cpu_period = 200000 }, "cpu.max=50000 200000\n" },
		{ { .cpu_quota = 50000 }, "cpu.max=50000 100000\n" },
		{ { .cpu_period = 200000 }, "cpu.max=max 200000\n" },
		{ { .cpu_quota = -1, .cpu_period = 200000 }, "cpu.max=max 200000\n" },
		{ { .cpu_quota = -1 }, "cpu.max=max 100000\n" },
		{ { .memory = 9, .memory_reservation = 8, .memory_swap = 19, .cpu_quota = 1000, .pids_limit = 7, .cpu_shares = 2 },
		  "memory.max=9\nmemory.low=8\nmemory.swap.max=10\npids.max=7\ncpu.weight=1\ncpu.max=1000 100000\n" },
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct undo undo = { 0 };

		fake_cgroups.written[0] = '\0';
		int fd = groups_create(directory, &rows[i].limits, &undo, &err);
		assert_worked(fd, &err);
		check_row(strcmp(fake_cgroups.written, rows[i].written) == 0, "row %zu: %s", i, fake_cgroups.written);
		assert_int_equal(fake_cgroups.filtered, fd);
		assert_int_equal(undo.count, 1);
		assert_int_equal(undo.records[0].kind, UNDO_CGROUP);
		assert_string_equal(undo.records[0].name, directory);
		undo_free(&undo);
		close(fd);
		assert_int_equal(rmdir(directory), 0);
	}
}

static void a_limit_that_fails_names_its_field(void **state)
{
	static const struct {
		struct config_cgroup limits;
		const char *file, *field;
	} rows[] = {
		{ { .memory = 1 }, "memory.max", "config.cgroups.memory" },
		{ { .memory_reservation = 1 }, "memory.low", "config.cgroups.memory_reservation" },
		{ { .memory = 1, .memory_swap = 5 }, "memory.swap.max", "config.cgroups.memory_swap" },
		{ { .pids_limit = 1 }, "pids.max", "config.cgroups.pids_limit" },
		{ { .memory = 5, .memory_swap = 5 }, "memory.swap.max", "config.cgroups.memory_swap" },
		{ { .cpu_shares = 5 }, "cpu.weight", "config.cgroups.cpu_shares" },
		{ { .cpu_quota = 5000 }, "cpu.max", "config.cgroups.cpu_quota" },
		{ { .cpu_period = 5000 }, "cpu.max", "config.cgroups.cpu_period" },
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct undo undo = { 0 };

		fake_cgroups.refuse = rows[i].file;
		assert_failed(groups_create(directory, &rows[i].limits, &undo, &err), &err, ERROR_CONTAINER, rows[i].field);
		assert_string_equal(err.step, "set the cgroup's limits");
		/* What is there is in the list, so it can be taken back. */
		assert_int_equal(undo.count, 1);
		undo_free(&undo);
		rmdir(directory);
	}
}

static void without_its_device_filter_there_is_no_cgroup(void **state)
{
	const struct config_cgroup limits = { 0 };
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	fake_cgroups.filter_fails = true;
	assert_failed(groups_create(directory, &limits, &undo, &err), &err, ERROR_CONTAINER, "");
	assert_int_equal(undo.count, 1);
	undo_free(&undo);
}

static void a_cgroup_that_exists_is_not_taken_over(void **state)
{
	const struct config_cgroup limits = { 0 };
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(mkdir(directory, 0755), 0);
	assert_failed(groups_create(directory, &limits, &undo, &err), &err, ERROR_CONTAINER, "");
	assert_int_equal(err.errnum, EEXIST);
	undo_free(&undo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_of_shares),
		cmocka_unit_test(weights_never_fall_and_stay_in_range),
		cmocka_unit_test_setup_teardown(limits_become_files, fresh, clean),
		cmocka_unit_test_setup_teardown(a_limit_that_fails_names_its_field, fresh, clean),
		cmocka_unit_test_setup_teardown(without_its_device_filter_there_is_no_cgroup, fresh, clean),
		cmocka_unit_test_setup_teardown(a_cgroup_that_exists_is_not_taken_over, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
