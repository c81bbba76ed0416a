/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/groups.c agent/container/limits.c agent/container/resources.c tests/fake/cgroups.c */
/* A container's cgroup: what is written when, what is remembered of what a file held, and what a failure says. */
#include "unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "container/groups.h"
#include "fake/cgroups.h"

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

static void a_group_is_made_with_its_limits(void **state)
{
	const struct resources resources = { .memory = 9, .pids_limit = -1 };
	struct groups groups = GROUPS_NONE;
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	assert_worked(groups_create(directory, &resources, &undo, &groups, &err), &err);
	assert_string_equal(fake_cgroups.written, "pids.max=max\nmemory.max=9\n");
	assert_true(groups.directory >= 0);
	/* The agent's own code in the container has yet to make its device nodes. */
	assert_int_equal(fake_cgroups.filtered, -1);
	assert_int_equal(undo.count, 1);
	assert_int_equal(undo.records[0].kind, UNDO_CGROUP);
	assert_string_equal(undo.records[0].name, directory);
	fake_cgroups.filtered = -1;
	assert_worked(groups_restrict(&groups, &resources, &err), &err);
	assert_int_equal(fake_cgroups.filtered, groups.directory);
	/* Nobody needs to enter what can be cloned into. */
	assert_worked(groups_enter(&groups, &err), &err);
	assert_string_equal(fake_cgroups.entered, "");
	groups_close(&groups);
	undo_free(&undo);
}

static void on_v1_the_worker_enters(void **state)
{
	const struct resources resources = { .memory = 100, .memory_swap = 200 };
	struct groups groups = GROUPS_NONE;
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	if (access("/sys/fs/cgroup", F_OK) < 0)
		skip();
	fake_cgroups.v1 = true;
	assert_worked(groups_create(directory, &resources, &undo, &groups, &err), &err);
	/* A new group has no limit, so the sum cannot be written first.  Devices: all denied, then exceptions. */
	assert_string_equal(fake_cgroups.written, "memory.limit_in_bytes=100\nmemory.memsw.limit_in_bytes=200\n");
	assert_int_equal(groups.directory, -1);
	assert_worked(groups_enter(&groups, &err), &err);
	assert_string_equal(fake_cgroups.entered, directory);
	assert_worked(groups_leave(&groups, &err), &err);
	assert_string_equal(fake_cgroups.entered, "/sys/fs/cgroup");
	groups_close(&groups);
	undo_free(&undo);
}

static void a_limit_that_fails_names_its_field(void **state)
{
	static const struct {
		struct resources resources;
		const char *file, *field;
		int errnum;
		enum error_code code;
	} rows[] = {
		{ { .memory = 1 }, "memory.max", "config.cgroups.memory", EIO, ERROR_CONTAINER },
		{ { .memory = 1, .memory_swap = 5 }, "memory.swap.max", "config.cgroups.memory_swap", EIO, ERROR_CONTAINER },
		{ { .cpu_shares = 5 }, "cpu.weight", "config.cgroups.cpu_shares", EIO, ERROR_CONTAINER },
		{ { .cpu_period = 5000 }, "cpu.max", "config.cgroups.cpu_period", ENOENT, ERROR_KERNEL },
		{ { .memory_reservation = 5000 }, "memory.low", "config.cgroups.memory_reservation", EOPNOTSUPP, ERROR_KERNEL },
		{ { .net_cls_classid = 5 }, "", "config.cgroups.net_cls_classid_u", 0, ERROR_UNSUPPORTED_FIELD },
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct groups groups = GROUPS_NONE;
		struct undo undo = { 0 };

		fake_cgroups.refuse = rows[i].file;
		fake_cgroups.refuse_errno = rows[i].errnum;
		assert_failed(groups_create(directory, &rows[i].resources, &undo, &groups, &err), &err, rows[i].code,
			      rows[i].field);
		assert_string_equal(err.step, "set the cgroup's limits");
		/* What is there is in the list, so it can be taken back. */
		assert_int_equal(undo.count, rows[i].errnum ? 1 : 0);
		undo_free(&undo);
		groups_close(&groups);
		rmdir(directory);
	}
}

static void a_file_that_the_kernel_lacks_has_a_second(void **state)
{
	const struct resources resources = { .blkio_weight = 500 };
	struct groups groups = GROUPS_NONE;
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	fake_cgroups.refuse = "io.bfq.weight";
	fake_cgroups.refuse_errno = ENOENT;
	assert_worked(groups_create(directory, &resources, &undo, &groups, &err), &err);
	assert_string_equal(fake_cgroups.written, "io.weight=4950\n");
	groups_close(&groups);
	undo_free(&undo);
}

static void a_limit_is_kept_to_or_it_is_an_error(void **state)
{
	const struct resources resources = { .kernel_memory = 4096 };
	struct groups groups = GROUPS_NONE;
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	fake_cgroups.v1 = true;
	fake_cgroups.files[0].name = "memory.kmem.limit_in_bytes";
	fake_cgroups.files[0].content = "9223372036854771712";
	assert_failed(groups_create(directory, &resources, &undo, &groups, &err), &err, ERROR_KERNEL,
		      "config.cgroups.kernel_memory");
	rmdir(directory);
	undo_free(&undo);
	fake_cgroups.files[0].content = "4096";
	assert_worked(groups_create(directory, &resources, &undo, &groups, &err), &err);
	undo_free(&undo);
}

static void without_its_device_filter_there_is_no_container(void **state)
{
	const struct resources resources = { 0 };
	struct groups groups = GROUPS_NONE;
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	fake_cgroups.filter_fails = true;
	assert_worked(groups_create(directory, &resources, &undo, &groups, &err), &err);
	assert_failed(groups_restrict(&groups, &resources, &err), &err, ERROR_CONTAINER, "config.cgroups.devices");
	assert_int_equal(undo.count, 1);
	undo_free(&undo);
	groups_close(&groups);
}

static void a_cgroup_that_exists_is_not_taken_over(void **state)
{
	const struct resources resources = { 0 };
	struct groups groups = GROUPS_NONE;
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	assert_int_equal(mkdir(directory, 0755), 0);
	assert_failed(groups_create(directory, &resources, &undo, &groups, &err), &err, ERROR_CONTAINER, "");
	assert_int_equal(err.errnum, EEXIST);
	undo_free(&undo);
}

/* ---- changes ---- */

static void hold(size_t i, const char *name, const char *content)
{
	fake_cgroups.files[i].name = name;
	fake_cgroups.files[i].content = content;
}

static void check_record(const struct undo *undo, size_t i, const char *file_and_value)
{
	char name[UNDO_NAME_MAX];

	snprintf(name, sizeof(name), "%s/%s", directory, file_and_value);
	assert_true(i < undo->count);
	assert_int_equal(undo->records[i].kind, UNDO_LIMIT);
	assert_string_equal(undo->records[i].name, name);
}

static void what_a_file_held_is_remembered(void **state)
{
	struct resources_throttle throttles[] = { { 8, 0, 5 }, { 8, 16, 6 } };
	const struct resources resources = {
		.memory = 100,
		.memory_swap = 150,
		.cpuset_cpus = "1",
		.blkio_weight = 500,
		.read_bps = { throttles, 2 },
	};
	const struct resources former = { 0 };
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	hold(0, "memory.max", "77");
	hold(1, "memory.swap.max", "max");
	hold(2, "cpuset.cpus", "");
	hold(3, "io.max", "8:1 rbps=1 wbps=1 riops=1 wiops=1\n8:16 rbps=9 wbps=max riops=max wiops=max");
	hold(4, "io.bfq.weight", "default 100\n8:0 5");
	hold(5, "cpuset.cpus.effective", "0-1");
	assert_worked(groups_update(directory, &resources, &former, &undo, &err), &err);
	assert_string_equal(
		fake_cgroups.written,
		"memory.swap.max=50\nmemory.max=100\nio.bfq.weight=500\nio.max=8:0 rbps=5\nio.max=8:16 rbps=6\ncpuset.cpus=1\n");
	check_record(&undo, 0, "memory.swap.max=max");
	check_record(&undo, 1, "memory.max=77");
	check_record(&undo, 2, "io.bfq.weight=100");
	check_record(&undo, 3, "io.max=8:0 rbps=max wbps=max riops=max wiops=max");
	check_record(&undo, 4, "io.max=8:16 rbps=9 wbps=max riops=max wiops=max");
	check_record(&undo, 5, "cpuset.cpus=0-1");
	assert_int_equal(undo.count, 6);
	/* No rules were named: those that hold stay. */
	assert_int_equal(fake_cgroups.filtered, -1);
	undo_free(&undo);
}

static void a_change_that_fails_names_its_field(void **state)
{
	const struct resources resources = { .memory = 100, .pids_limit = 5 }, former = { 0 };
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	hold(0, "memory.max", "77");
	hold(1, "pids.max", "9");
	fake_cgroups.refuse = "memory.max";
	fake_cgroups.refuse_errno = EBUSY;
	assert_failed(groups_update(directory, &resources, &former, &undo, &err), &err, ERROR_CONTAINER, "resources.memory");
	check_record(&undo, 0, "pids.max=9");
	undo_free(&undo);
}

static void no_limit_below_what_is_in_use_when_asked(void **state)
{
	struct resources resources = { .memory = 100, .memory_check_before_update = true };
	const struct resources former = { 0 };
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	hold(0, "memory.max", "max");
	hold(1, "memory.current", "101");
	assert_failed(groups_update(directory, &resources, &former, &undo, &err), &err, ERROR_CONTAINER, "resources.memory");
	assert_int_equal(undo.count, 0);
	assert_string_equal(fake_cgroups.written, "");
	resources.memory = 101;
	assert_worked(groups_update(directory, &resources, &former, &undo, &err), &err);
	undo_free(&undo);
}

/* A burst that is above the quota in force is written again when the quota has been. */
static void limits_that_bound_each_other(void **state)
{
	const struct resources resources = { .cpu_quota = 50000, .cpu_burst = 40000, .has_cpu_burst = true }, former = { 0 };
	struct undo undo = { 0 };
	struct error err;

	(void)state;
	hold(0, "cpu.max", "10000 100000");
	hold(1, "cpu.max.burst", "0");
	fake_cgroups.refuse = "cpu.max.burst";
	fake_cgroups.refuse_errno = EINVAL;
	fake_cgroups.refuse_once = true;
	assert_worked(groups_update(directory, &resources, &former, &undo, &err), &err);
	assert_string_equal(fake_cgroups.written, "cpu.max=50000 100000\ncpu.max.burst=40000\n");
	undo_free(&undo);
	memset(&undo, 0, sizeof(undo));
	fake_cgroups.refuse = "cpu.max.burst";
	fake_cgroups.refuse_once = false;
	assert_failed(groups_update(directory, &resources, &former, &undo, &err), &err, ERROR_CONTAINER, "resources.cpu_burst");
	undo_free(&undo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_group_is_made_with_its_limits, fresh, clean),
		cmocka_unit_test_setup_teardown(on_v1_the_worker_enters, fresh, clean),
		cmocka_unit_test_setup_teardown(a_limit_that_fails_names_its_field, fresh, clean),
		cmocka_unit_test_setup_teardown(a_file_that_the_kernel_lacks_has_a_second, fresh, clean),
		cmocka_unit_test_setup_teardown(a_limit_is_kept_to_or_it_is_an_error, fresh, clean),
		cmocka_unit_test_setup_teardown(without_its_device_filter_there_is_no_container, fresh, clean),
		cmocka_unit_test_setup_teardown(a_cgroup_that_exists_is_not_taken_over, fresh, clean),
		cmocka_unit_test_setup_teardown(what_a_file_held_is_remembered, fresh, clean),
		cmocka_unit_test_setup_teardown(a_change_that_fails_names_its_field, fresh, clean),
		cmocka_unit_test_setup_teardown(no_limit_below_what_is_in_use_when_asked, fresh, clean),
		cmocka_unit_test_setup_teardown(limits_that_bound_each_other, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
