/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/limits.c agent/container/resources.c */
/* The `cgroups` object: what is accepted of it, and which files of a cgroup it becomes on either version. */
#include "unit/test.h"

#include "container/limits.h"

static struct {
	json_object *json;
	struct decode_memory memory;
	struct resources resources;
	struct limits limits;
	struct error err;
} t;

static int clean(void **state)
{
	(void)state;
	limits_free(&t.limits);
	decode_free(&t.memory);
	json_object_put(t.json);
	t.json = NULL;
	memset(&t.err, 0, sizeof(t.err));
	return 0;
}

static int decode(const char *text)
{
	clean(NULL);
	int result = decode_parse(text, strlen(text), &t.json, &t.err);

	return result < 0 ? result : decode_object(t.json, &resources_schema, &t.resources, &t.memory, &t.err);
}

static int plan(const char *text, enum cgroups_version version)
{
	int result = decode(text);

	return result < 0 ? result : limits_plan(&t.resources, version, &t.limits, &t.err);
}

/* "file=value" of each write, joined by ';' */
static const char *written(char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < t.limits.count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s=%s", i ? ";" : "", t.limits.items[i].file,
					 t.limits.items[i].value);
	return text;
}

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
		check_row(limits_weight_from_shares(rows[i].shares) == rows[i].weight, "%llu shares: %u, not %u",
			  (unsigned long long)rows[i].shares, limits_weight_from_shares(rows[i].shares), rows[i].weight);
}

static void weights_never_fall_and_stay_in_range(void **state)
{
	unsigned before = 1;

	(void)state;
	for (uint64_t shares = 0; shares < 300000; shares += shares < 5000 ? 1 : 97) {
		unsigned weight = limits_weight_from_shares(shares);

		check_row(weight >= before && weight <= 10000, "%llu shares: %u", (unsigned long long)shares, weight);
		before = weight;
	}
}

static void weights_of_disks(void **state)
{
	(void)state;
	assert_int_equal(limits_weight_from_blkio(10), 1);
	assert_int_equal(limits_weight_from_blkio(11), 11);
	assert_int_equal(limits_weight_from_blkio(500), 4950);
	assert_int_equal(limits_weight_from_blkio(1000), 10000);
}

static void limits_become_files(void **state)
{
	static const struct {
		const char *text, *v2, *v1;
	} rows[] = {
		{ "{}", "", "" },
		{ "{\"memory\":67108864}", "memory.max=67108864", "memory.limit_in_bytes=67108864" },
		/* No memory limit is no swap limit, unless one is named. */
		{ "{\"memory\":-1}", "memory.swap.max=max;memory.max=max",
		  "memory.memsw.limit_in_bytes=-1;memory.limit_in_bytes=-1" },
		/* v1 counts memory and swap together, v2 swap alone. */
		{ "{\"memory\":100,\"memory_swap\":150}", "memory.swap.max=50;memory.max=100",
		  "memory.memsw.limit_in_bytes=150;memory.limit_in_bytes=100" },
		{ "{\"memory\":100,\"memory_swap\":100}", "memory.swap.max=0;memory.max=100",
		  "memory.memsw.limit_in_bytes=100;memory.limit_in_bytes=100" },
		{ "{\"memory_swap\":-1}", "memory.swap.max=max", "memory.memsw.limit_in_bytes=-1" },
		{ "{\"memory_reservation\":5}", "memory.low=5", "memory.soft_limit_in_bytes=5" },
		{ "{\"memory_swappiness\":-1,\"oom_kill_disable\":false,\"kernel_memory\":0}", "", "" },
		{ "{\"pids_limit\":100}", "pids.max=100", "pids.max=100" },
		{ "{\"pids_limit\":-1}", "pids.max=max", "pids.max=max" },
		{ "{\"cpu_shares\":1024}", "cpu.weight=100", "cpu.shares=1024" },
		{ "{\"cpu_shares\":1024,\"cpu_weight\":7}", "cpu.weight=7", "cpu.shares=1024" },
		{ "{\"cpu_quota\":50000,\"cpu_period\":200000}", "cpu.max=50000 200000",
		  "cpu.cfs_period_us=200000;cpu.cfs_quota_us=50000" },
		{ "{\"cpu_quota\":50000}", "cpu.max=50000 100000", "cpu.cfs_quota_us=50000" },
		{ "{\"cpu_period\":200000}", "cpu.max=max 200000", "cpu.cfs_period_us=200000" },
		{ "{\"cpu_quota\":-1}", "cpu.max=max 100000", "cpu.cfs_quota_us=-1" },
		{ "{\"cpu_max\":\"max\"}", "cpu.max=max", "cpu.cfs_quota_us=-1" },
		{ "{\"cpu_max\":\"5000 6000\"}", "cpu.max=5000 6000", "cpu.cfs_period_us=6000;cpu.cfs_quota_us=5000" },
		{ "{\"cpu_burst\":0,\"cpu_idle\":0}", "cpu.idle=0;cpu.max.burst=0", "cpu.idle=0;cpu.cfs_burst_us=0" },
		{ "{\"cpuset_cpus\":\"0-1,3\",\"cpuset_mems\":\"0\"}", "cpuset.cpus=0-1,3;cpuset.mems=0",
		  "cpuset.cpus=0-1,3;cpuset.mems=0" },
		{ "{\"blkio_throttle_read_bps_device\":[{\"major\":8,\"minor\":1,\"rate\":5}],"
		  "\"blkio_throttle_write_iops_device\":[{\"major\":8,\"minor\":2,\"rate\":0}]}",
		  "io.max=8:1 rbps=5;io.max=8:2 wiops=max",
		  "blkio.throttle.read_bps_device=8:1 5;blkio.throttle.write_iops_device=8:2 0" },
		{ "{\"blkio_weight\":10}", "io.bfq.weight=10", "blkio.weight=10" },
		{ "{\"hugetlb_limit\":[{\"page_size\":\"2MB\",\"limit\":0},{\"page_size\":\"1GB\",\"limit\":18446744073709551615}]"
		  "}",
		  "hugetlb.2MB.max=0;hugetlb.1GB.max=18446744073709551615",
		  "hugetlb.2MB.limit_in_bytes=0;hugetlb.1GB.limit_in_bytes=18446744073709551615" },
		{ "{\"rdma\":{\"mlx\":{\"hca_handles\":3,\"hca_objects\":null},\"none\":{}}}", "rdma.max=mlx hca_handle=3",
		  "rdma.max=mlx hca_handle=3" },
		/* In runc's order. */
		{ "{\"cpu_quota\":1000,\"memory\":9,\"pids_limit\":7,\"cpu_shares\":2,\"memory_reservation\":8,\"cpuset_cpus\":"
		  "\"1\"}",
		  "pids.max=7;memory.max=9;memory.low=8;cpu.weight=1;cpu.max=1000 100000;cpuset.cpus=1",
		  "pids.max=7;memory.limit_in_bytes=9;memory.soft_limit_in_bytes=8;cpu.shares=2;cpu.cfs_quota_us=1000;cpuset.cpus="
		  "1" },
		{ "{\"freezer\":\"THAWED\",\"Systemd\":true,\"Rootless\":true,\"Paths\":{\"cpu\":\"/x\"},\"name\":\"n\"}", "", "" },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_worked(plan(rows[i].text, CGROUPS_V2), &t.err);
		check_row(strcmp(written(text, sizeof(text)), rows[i].v2) == 0, "%s on v2: %s", rows[i].text, text);
		assert_worked(plan(rows[i].text, CGROUPS_V1), &t.err);
		check_row(strcmp(written(text, sizeof(text)), rows[i].v1) == 0, "%s on v1: %s", rows[i].text, text);
	}
}

static void what_a_version_has_no_file_for(void **state)
{
	static const struct {
		const char *text, *field;
		bool v1, v2; /* refused there */
	} rows[] = {
		{ "{\"kernel_memory\":1}", "kernel_memory", false, true },
		{ "{\"kernel_memory_tcp\":1}", "kernel_memory_tcp", false, true },
		{ "{\"kernel_memory\":-1}", "kernel_memory", false, false },
		{ "{\"memory_swappiness\":0}", "memory_swappiness", false, true },
		{ "{\"oom_kill_disable\":true}", "oom_kill_disable", false, true },
		{ "{\"cpu_rt_quota\":1}", "cpu_rt_quota", false, true },
		{ "{\"cpu_rt_period\":1}", "cpu_rt_period", false, true },
		{ "{\"cpu_weight\":1}", "cpu_weight", true, false },
		{ "{\"net_cls_classid_u\":1}", "net_cls_classid_u", false, true },
		{ "{\"net_prio_ifpriomap\":[{\"interface\":\"lo\",\"priority\":1}]}", "net_prio_ifpriomap", false, true },
		{ "{\"blkio_leaf_weight\":10}", "blkio_leaf_weight", true, true },
		{ "{\"blkio_weight_device\":[{\"weight\":10},{\"leafWeight\":10}]}", "blkio_weight_device[1].leafWeight", true,
		  true },
		{ "{\"freezer\":\"FROZEN\"}", "freezer", true, true },
		{ "{\"owner_uid\":0}", "owner_uid", true, false },
		{ "{\"unified\":{\"memory.high\":\"1\"}}", "unified", true, false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		if (rows[i].v2)
			assert_failed(plan(rows[i].text, CGROUPS_V2), &t.err, ERROR_UNSUPPORTED_FIELD, rows[i].field);
		else
			assert_worked(plan(rows[i].text, CGROUPS_V2), &t.err);
		if (rows[i].v1)
			assert_failed(plan(rows[i].text, CGROUPS_V1), &t.err, ERROR_UNSUPPORTED_FIELD, rows[i].field);
		else
			assert_worked(plan(rows[i].text, CGROUPS_V1), &t.err);
	}
}

static void what_is_no_value(void **state)
{
	static const struct {
		const char *text, *field;
	} rows[] = {
		{ "{\"memory\":-2}", "memory" },
		{ "{\"memory_swap\":5}", "memory_swap" },
		{ "{\"memory\":10,\"memory_swap\":9}", "memory_swap" },
		{ "{\"memory_swappiness\":101}", "memory_swappiness" },
		{ "{\"cpu_shares\":262145}", "cpu_shares" },
		{ "{\"cpu_weight\":10001}", "cpu_weight" },
		{ "{\"cpu_period\":999}", "cpu_period" },
		{ "{\"cpu_quota\":999}", "cpu_quota" },
		{ "{\"cpu_max\":\"1 2 3\"}", "cpu_max" },
		{ "{\"cpu_max\":\"max\\n5\"}", "cpu_max" },
		{ "{\"cpu_max\":\"maximum\"}", "cpu_max" },
		{ "{\"cpu_max\":\"5000\",\"cpu_period\":5000}", "cpu_max" },
		{ "{\"cpu_idle\":2}", "cpu_idle" },
		{ "{\"cpu_idle\":1,\"cpu_shares\":5}", "cpu_idle" },
		{ "{\"cpuset_cpus\":\"0\\n\"}", "cpuset_cpus" },
		{ "{\"cpuset_mems\":\"all\"}", "cpuset_mems" },
		{ "{\"blkio_weight\":9}", "blkio_weight" },
		{ "{\"blkio_weight_device\":[{\"weight\":1001}]}", "blkio_weight_device[0].weight" },
		{ "{\"blkio_throttle_read_bps_device\":[{\"major\":4096}]}", "blkio_throttle_read_bps_device[0].major" },
		{ "{\"hugetlb_limit\":[{\"page_size\":\"../x\"}]}", "hugetlb_limit[0].page_size" },
		{ "{\"hugetlb_limit\":[{\"limit\":1}]}", "hugetlb_limit[0].page_size" },
		{ "{\"freezer\":\"COLD\"}", "freezer" },
		{ "{\"net_prio_ifpriomap\":[{\"interface\":\"a b\"}]}", "net_prio_ifpriomap[0].interface" },
		{ "{\"rdma\":[]}", "rdma" },
		{ "{\"rdma\":{\"m\":{\"hca_handles\":-1}}}", "rdma.m.hca_handles" },
		{ "{\"rdma\":{\"m\":{\"colour\":1}}}", "rdma.m.colour" },
		{ "{\"rdma\":{\"a b\":{}}}", "rdma.a b" },
		{ "{\"unified\":{\"cgroup.procs\":\"1\"}}", "unified.cgroup.procs" },
		{ "{\"unified\":{\"memory.x/y\":\"1\"}}", "unified.memory.x/y" },
		{ "{\"unified\":{\"memory.high\":\"\"}}", "unified.memory.high" },
		{ "{\"name\":\"a\",\"path\":\"/b\"}", "path" },
		{ "{\"owner_uid\":-1}", "owner_uid" },
		{ "{\"devices\":[{\"type\":100,\"permissions\":\"r\"}]}", "devices[0].type" },
		{ "{\"devices\":[{\"type\":97,\"major\":1,\"minor\":-1,\"permissions\":\"r\"}]}", "devices[0].major" },
		{ "{\"devices\":[{\"type\":99,\"permissions\":\"x\"}]}", "devices[0].permissions" },
		{ "{\"devices\":[{\"type\":99,\"permissions\":\"\"}]}", "devices[0].permissions" },
		{ "{\"devices\":[{\"type\":99}]}", "devices[0].permissions" },
		{ "{\"allowed_devices\":[{\"type\":99,\"permissions\":\"r\"}]}", "allowed_devices" },
		{ "{\"colour\":1}", "colour" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		assert_failed(decode(rows[i].text), &t.err, ERROR_PARAMS, rows[i].field);
}

/* v1 keeps memory <= both at every moment, so what is written first depends on what holds now. */
static void the_order_of_memory_and_swap(void **state)
{
	static const struct {
		uint64_t now;
		const char *written;
	} rows[] = {
		{ 100, "memory.memsw.limit_in_bytes=200;memory.limit_in_bytes=150;memory.soft_limit_in_bytes=9" },
		{ 200, "memory.memsw.limit_in_bytes=200;memory.limit_in_bytes=150;memory.soft_limit_in_bytes=9" },
		{ 201, "memory.limit_in_bytes=150;memory.memsw.limit_in_bytes=200;memory.soft_limit_in_bytes=9" },
		{ UINT64_MAX, "memory.limit_in_bytes=150;memory.memsw.limit_in_bytes=200;memory.soft_limit_in_bytes=9" },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_worked(plan("{\"memory\":150,\"memory_swap\":200,\"memory_reservation\":9}", CGROUPS_V1), &t.err);
		limits_order(&t.limits, &t.resources, rows[i].now);
		check_row(strcmp(written(text, sizeof(text)), rows[i].written) == 0, "%llu: %s", (unsigned long long)rows[i].now,
			  text);
	}
}

static void texts_of_several_lines(void **state)
{
	char text[512];

	(void)state;
	assert_worked(plan("{\"unified\":{\"io.max\":\"8:0 rbps=1\\n\\n8:16 wbps=2\",\"io.weight\":\"default 5\"}}", CGROUPS_V2),
		      &t.err);
	assert_string_equal(written(text, sizeof(text)), "io.max=8:0 rbps=1;io.max=8:16 wbps=2;io.weight=default 5");
	assert_int_equal(t.limits.items[0].form, LIMITS_KEYED);
	assert_string_equal(t.limits.items[1].absent, "8:16 rbps=max wbps=max riops=max wiops=max");
	assert_int_equal(t.limits.items[2].form, LIMITS_WHOLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_of_shares),
		cmocka_unit_test(weights_never_fall_and_stay_in_range),
		cmocka_unit_test(weights_of_disks),
		cmocka_unit_test_teardown(limits_become_files, clean),
		cmocka_unit_test_teardown(what_a_version_has_no_file_for, clean),
		cmocka_unit_test_teardown(what_is_no_value, clean),
		cmocka_unit_test_teardown(the_order_of_memory_and_swap, clean),
		cmocka_unit_test_teardown(texts_of_several_lines, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
