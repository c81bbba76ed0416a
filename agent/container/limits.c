/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

struct planning {
	const struct resources *resources;
	enum cgroups_version version;
	struct limits *limits;
	struct error *err;
};

struct row;

enum form {
	FORM_LIMIT, /* int64_t: 0 says nothing, -1 is no limit */
	FORM_COUNT, /* uint64_t: 0 says nothing */
	FORM_GIVEN, /* uint64_t that counts when it is there */
	FORM_TEXT,  /* const char *: "" says nothing */
	FORM_FLAG,  /* bool: false says nothing, true is 1 */
	FORM_OTHER  /* `plan` looks at it */
};

struct row {
	const char *key;
	enum form form;
	size_t offset, present;
	const char *v2;         /* file; NULL: `why` or `plan` */
	const char *controller; /* v1 */
	const char *v1;         /* file; NULL: `why` or `plan` */
	const char *why;        /* ... there is none on one of the two */
	int (*plan)(struct planning *p, const struct row *row);
	bool defer, verify;
};

unsigned limits_weight_from_shares(uint64_t shares)
{
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	double l = log2((double)shares);

	return (unsigned)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

unsigned limits_weight_from_blkio(uint64_t weight)
{
	return (unsigned)(1 + (weight - 10) * 9999 / 990);
}

void limits_free(struct limits *limits)
{
	free(limits->items);
	decode_free(&limits->memory);
	memset(limits, 0, sizeof(*limits));
}

/* ---- making the list ---- */

static struct limits_write *add(struct planning *p, const char *key, const char *controller, const char *file, const char *value)
{
	struct limits *limits = p->limits;

	if (limits->count == limits->capacity) {
		size_t capacity = limits->capacity ? limits->capacity * 2 : 16;
		struct limits_write *items = reallocarray(limits->items, capacity, sizeof(*items));

		if (!items) {
			error_set(p->err, ERROR_INTERNAL, ENOMEM, "limits");
			return NULL;
		}
		limits->items = items;
		limits->capacity = capacity;
	}
	limits->items[limits->count] = (struct limits_write){ .key = key, .controller = controller, .file = file, .value = value };
	return &limits->items[limits->count++];
}

static const char *printed(struct planning *p, const char *format, ...) printf_like(2, 3);

/* Lives as long as the list; NULL: no memory, and the error is set. */
static const char *printed(struct planning *p, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	char *text = length < 0 ? NULL : decode_alloc(&p->limits->memory, 1, (size_t)length + 1);
	if (!text) {
		error_set(p->err, ERROR_INTERNAL, ENOMEM, "limits");
		return NULL;
	}
	va_start(args, format);
	vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}

static int add_text(struct planning *p, const char *key, const char *controller, const char *file, const char *value)
{
	return value && add(p, key, controller, file, value) ? 0 : -ENOMEM;
}

static int refuse(struct planning *p, const char *key, const char *why)
{
	int result = error_field(p->err, key, "%s", why);

	p->err->code = ERROR_UNSUPPORTED_FIELD;
	return result;
}

static bool is_v2(const struct planning *p)
{
	return p->version == CGROUPS_V2;
}

/* "-1" is how v1 says it, but for pids.max, which is the same on both. */
static const char *unlimited(const struct planning *p, const char *file)
{
	return is_v2(p) || strcmp(file, "pids.max") == 0 ? "max" : "-1";
}

/* The value as text, "" when it says nothing; NULL: no memory. */
static const char *value_of(struct planning *p, const struct row *row, const char *file)
{
	const char *at = (const char *)p->resources + row->offset;
	const char *text;

	if (row->present && !*(const bool *)((const char *)p->resources + row->present))
		return "";
	switch (row->form) {
	case FORM_LIMIT:
		if (*(const int64_t *)at < 0)
			return unlimited(p, file);
		return *(const int64_t *)at ? printed(p, "%" PRId64, *(const int64_t *)at) : "";
	case FORM_COUNT:
		return *(const uint64_t *)at ? printed(p, "%" PRIu64, *(const uint64_t *)at) : "";
	case FORM_GIVEN:
		return printed(p, "%" PRIu64, *(const uint64_t *)at);
	case FORM_TEXT:
		text = *(const char *const *)at;
		return text ? text : "";
	case FORM_FLAG:
		return *(const bool *)at ? "1" : "";
	case FORM_OTHER:
		break;
	}
	return "";
}

static int plan_row(struct planning *p, const struct row *row)
{
	const char *file = is_v2(p) ? row->v2 : row->v1;

	if (row->plan)
		return row->plan(p, row);
	const char *value = value_of(p, row, file ? file : "");
	if (!value)
		return -ENOMEM;
	/* Where there is nothing to limit it with, "no limit" is what holds. */
	if (!value[0] || (!file && row->form == FORM_LIMIT && *(const int64_t *)((const char *)p->resources + row->offset) < 0))
		return 0;
	if (!file)
		return refuse(p, row->key, row->why);
	struct limits_write *write = add(p, row->key, row->controller, file, value);
	if (!write)
		return -ENOMEM;
	write->defer = row->defer;
	write->verify = row->verify && value[0] != '-';
	if (row->form == FORM_FLAG)
		write->form = LIMITS_LAST_WORD;
	return 0;
}

/* ---- memory ---- */

/* v1's swap limit counts memory too, v2's does not.  No memory limit is no swap limit either, unless one is named: as runc. */
static int plan_memory(struct planning *p, const struct row *row)
{
	int64_t memory = p->resources->memory, swap = p->resources->memory_swap;
	int result = 0;

	if (memory < 0 && swap == 0)
		swap = -1;
	if (swap > 0)
		result = add_text(p, "memory_swap", row->controller, is_v2(p) ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
				  printed(p, "%" PRId64, is_v2(p) ? swap - memory : swap));
	else if (swap < 0)
		result = add_text(p, p->resources->memory_swap ? "memory_swap" : "memory", row->controller,
				  is_v2(p) ? "memory.swap.max" : "memory.memsw.limit_in_bytes", unlimited(p, ""));
	if (result < 0 || memory == 0)
		return result;
	return add_text(p, "memory", row->controller, is_v2(p) ? "memory.max" : "memory.limit_in_bytes",
			memory < 0 ? unlimited(p, "") : printed(p, "%" PRId64, memory));
}

void limits_order(struct limits *limits, const struct resources *resources, uint64_t now)
{
	if (resources->memory_swap <= 0 || (uint64_t)resources->memory_swap >= now)
		return;
	for (size_t i = 0; i + 1 < limits->count; i++) {
		if (strcmp(limits->items[i].file, "memory.memsw.limit_in_bytes") == 0) {
			struct limits_write first = limits->items[i];

			limits->items[i] = limits->items[i + 1];
			limits->items[i + 1] = first;
			return;
		}
	}
}

/* -1 is the config's own way to say nothing here. */
static int plan_swappiness(struct planning *p, const struct row *row)
{
	const struct resources *resources = p->resources;

	if (!resources->has_memory_swappiness || resources->memory_swappiness < 0)
		return 0;
	if (is_v2(p))
		return refuse(p, row->key, row->why);
	return add_text(p, row->key, row->controller, row->v1, printed(p, "%" PRId64, resources->memory_swappiness));
}

/* ---- cpu ---- */

/* With both, each version takes its own: a config written for both has them say the same. */
static int plan_weight(struct planning *p, const struct row *row)
{
	const struct resources *resources = p->resources;

	if (is_v2(p) && resources->cpu_weight)
		return add_text(p, "cpu_weight", row->controller, "cpu.weight", printed(p, "%" PRIu64, resources->cpu_weight));
	if (is_v2(p) && resources->cpu_shares)
		return add_text(p, "cpu_shares", row->controller, "cpu.weight",
				printed(p, "%u", limits_weight_from_shares(resources->cpu_shares)));
	if (resources->cpu_shares)
		return add_text(p, "cpu_shares", row->controller, "cpu.shares", printed(p, "%" PRIu64, resources->cpu_shares));
	return resources->cpu_weight ? refuse(p, "cpu_weight", "cgroup v1 has no weight: name cpu_shares") : 0;
}

static int plan_quota_v1(struct planning *p, const char *controller, const char *quota_key, const char *quota,
			 const char *period_key, const char *period)
{
	int result = 0;

	if (!quota || !period)
		return -ENOMEM;
	if (period[0]) {
		struct limits_write *write = add(p, period_key, controller, "cpu.cfs_period_us", period);

		if (!write)
			return -ENOMEM;
		/* Each may be out of reach of the other's former value. */
		write->defer = true;
	}
	if (quota[0])
		result = add_text(p, quota_key, controller, "cpu.cfs_quota_us", quota);
	return result;
}

static int plan_quota(struct planning *p, const struct row *row)
{
	const struct resources *resources = p->resources;
	const char *whole = resources->cpu_max;

	if (whole && whole[0]) {
		const char *space = strchr(whole, ' ');

		if (is_v2(p))
			return add_text(p, "cpu_max", row->controller, "cpu.max", whole);
		return plan_quota_v1(p, row->controller, "cpu_max",
				     whole[0] == 'm' ? "-1" : printed(p, "%.*s", (int)strcspn(whole, " "), whole), "cpu_max",
				     space ? space + 1 : "");
	}
	if (!is_v2(p))
		return plan_quota_v1(p, row->controller, "cpu_quota",
				     resources->cpu_quota ? printed(p, "%" PRId64, resources->cpu_quota) : "", "cpu_period",
				     resources->cpu_period ? printed(p, "%" PRIu64, resources->cpu_period) : "");
	if (!resources->cpu_quota && !resources->cpu_period)
		return 0;
	uint64_t period = resources->cpu_period ? resources->cpu_period : 100000;
	return add_text(p, resources->cpu_quota ? "cpu_quota" : "cpu_period", row->controller, "cpu.max",
			resources->cpu_quota > 0 ? printed(p, "%" PRId64 " %" PRIu64, resources->cpu_quota, period)
						 : printed(p, "max %" PRIu64, period));
}

/* ---- disks ---- */

static int plan_blkio_weight(struct planning *p, const struct row *row)
{
	uint64_t weight = p->resources->blkio_weight;

	if (!weight)
		return 0;
	const char *plain = printed(p, "%" PRIu64, weight);
	const char *converted = printed(p, "%u", limits_weight_from_blkio(weight));
	struct limits_write *write = add(p, row->key, row->controller, is_v2(p) ? "io.bfq.weight" : "blkio.weight", plain);
	if (!plain || !converted || !write)
		return -ENOMEM;
	write->other_file = is_v2(p) ? "io.weight" : "blkio.bfq.weight";
	write->other_value = is_v2(p) ? converted : plain;
	write->form = is_v2(p) ? LIMITS_LAST_WORD : LIMITS_WHOLE;
	return 0;
}

static int plan_weight_device(struct planning *p, const struct row *row)
{
	const struct resources_weight *devices = p->resources->blkio_weight_device.items;

	for (size_t i = 0; i < p->resources->blkio_weight_device.count; i++) {
		const struct resources_weight *device = &devices[i];
		const char *key = printed(p, "%s[%zu]", row->key, i);
		const char *plain = printed(p, "%" PRIu64 ":%" PRIu64 " %" PRIu64, device->major, device->minor, device->weight);
		const char *name = printed(p, "%" PRIu64 ":%" PRIu64, device->major, device->minor);

		if (!key || !plain || !name)
			return -ENOMEM;
		if (device->leaf_weight) {
			const char *leaf = printed(p, "%s.leafWeight", key);

			return leaf ? refuse(p, leaf, "the kernel has no weight of a group's own processes any more") : -ENOMEM;
		}
		if (!device->weight)
			continue;
		struct limits_write *write =
			add(p, key, row->controller, is_v2(p) ? "io.bfq.weight" : "blkio.weight_device", plain);
		if (!write)
			return -ENOMEM;
		write->other_file = is_v2(p) ? "io.weight" : "blkio.bfq.weight_device";
		write->other_value = is_v2(p) ? printed(p, "%s %u", name, limits_weight_from_blkio(device->weight)) : plain;
		write->form = LIMITS_KEYED;
		write->absent = printed(p, "%s %s", name, is_v2(p) ? "default" : "0");
		if (!write->other_value || !write->absent)
			return -ENOMEM;
	}
	return 0;
}

/* row->v2 is the word in io.max.  A rate of 0 is v1's "no limit". */
static int plan_throttle(struct planning *p, const struct row *row)
{
	const struct decode_list *list = (const void *)((const char *)p->resources + row->offset);
	const struct resources_throttle *devices = list->items;

	for (size_t i = 0; i < list->count; i++) {
		const struct resources_throttle *device = &devices[i];
		const char *key = printed(p, "%s[%zu]", row->key, i);
		const char *name = printed(p, "%" PRIu64 ":%" PRIu64, device->major, device->minor);

		if (!key || !name)
			return -ENOMEM;
		const char *value = !is_v2(p)      ? printed(p, "%s %" PRIu64, name, device->rate)
				    : device->rate ? printed(p, "%s %s=%" PRIu64, name, row->v2, device->rate)
						   : printed(p, "%s %s=max", name, row->v2);
		struct limits_write *write = value ? add(p, key, row->controller, is_v2(p) ? "io.max" : row->v1, value) : NULL;
		if (!write)
			return -ENOMEM;
		write->form = LIMITS_KEYED;
		write->absent = is_v2(p) ? printed(p, "%s rbps=max wbps=max riops=max wiops=max", name) : printed(p, "%s 0", name);
		if (!write->absent)
			return -ENOMEM;
	}
	return 0;
}

/* ---- the others ---- */

static int plan_hugetlb(struct planning *p, const struct row *row)
{
	const struct resources_hugetlb *limits = p->resources->hugetlb_limit.items;

	for (size_t i = 0; i < p->resources->hugetlb_limit.count; i++) {
		const char *key = printed(p, "%s[%zu]", row->key, i);
		const char *file = printed(p, "hugetlb.%s.%s", limits[i].page_size, is_v2(p) ? "max" : "limit_in_bytes");

		if (!key || !file || add_text(p, key, row->controller, file, printed(p, "%" PRIu64, limits[i].limit)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int plan_priorities(struct planning *p, const struct row *row)
{
	const struct resources_priority *priorities = p->resources->net_prio_ifpriomap.items;

	if (is_v2(p) && p->resources->net_prio_ifpriomap.count > 0)
		return refuse(p, row->key, row->why);
	for (size_t i = 0; i < p->resources->net_prio_ifpriomap.count; i++) {
		const char *key = printed(p, "%s[%zu]", row->key, i);
		const char *value = printed(p, "%s %" PRIu64, priorities[i].interface, priorities[i].priority);
		struct limits_write *write = key && value ? add(p, key, row->controller, row->v1, value) : NULL;

		if (!write)
			return -ENOMEM;
		write->form = LIMITS_KEYED;
		write->absent = printed(p, "%s 0", priorities[i].interface);
		if (!write->absent)
			return -ENOMEM;
	}
	return 0;
}

static int plan_rdma(struct planning *p, const struct row *row)
{
	if (!p->resources->rdma)
		return 0;
	json_object_object_foreach (p->resources->rdma, name, device) {
		int64_t handles, objects;
		char first[48] = "", second[48] = "";

		resources_rdma(device, &handles, &objects);
		if (handles >= 0)
			snprintf(first, sizeof(first), " hca_handle=%" PRId64, handles);
		if (objects >= 0)
			snprintf(second, sizeof(second), " hca_object=%" PRId64, objects);
		if (!first[0] && !second[0])
			continue;
		const char *key = printed(p, "%s.%s", row->key, name);
		const char *value = printed(p, "%s%s%s", name, first, second);
		struct limits_write *write = key && value ? add(p, key, row->controller, "rdma.max", value) : NULL;
		if (!write)
			return -ENOMEM;
		write->form = LIMITS_KEYED;
		write->absent = printed(p, "%s hca_handle=max hca_object=max", name);
		if (!write->absent)
			return -ENOMEM;
	}
	return 0;
}

/* Files that hold a line for each device, and what holds for one without. */
static const struct {
	const char *file, *absent;
} keyed_files[] = {
	{ "io.max", "rbps=max wbps=max riops=max wiops=max" },
	{ "io.latency", "target=0" },
	{ "io.weight", "default" },
	{ "rdma.max", "hca_handle=max hca_object=max" },
};

static int plan_unified_line(struct planning *p, const char *key, const char *file, const char *value)
{
	struct limits_write *write = value ? add(p, key, "", file, value) : NULL;
	int first = value ? (int)strcspn(value, " ") : 0;

	if (!write)
		return -ENOMEM;
	for (size_t i = 0; i < array_count(keyed_files); i++) {
		/* "100" and "default 100" are io.weight's own value, "8:0 100" is a device's. */
		if (strcmp(keyed_files[i].file, file) != 0 || !value[first] || strncmp(value, "default ", 8) == 0)
			continue;
		write->form = LIMITS_KEYED;
		write->absent = printed(p, "%.*s %s", first, value, keyed_files[i].absent);
		if (!write->absent)
			return -ENOMEM;
	}
	return 0;
}

static int plan_unified(struct planning *p, const struct row *row)
{
	const struct decode_pair *pairs = p->resources->unified.items;

	if (!is_v2(p) && p->resources->unified.count > 0)
		return refuse(p, row->key, row->why);
	for (size_t i = 0; i < p->resources->unified.count; i++) {
		const char *key = printed(p, "%s.%s", row->key, pairs[i].key);
		const char *line = pairs[i].value;

		if (!key)
			return -ENOMEM;
		/* Line by line, as such files are to be written. */
		while (*line) {
			size_t length = strcspn(line, "\n");
			int result = length ? plan_unified_line(p, key, pairs[i].key, printed(p, "%.*s", (int)length, line)) : 0;

			if (result < 0)
				return result;
			line += length + (line[length] == '\n');
		}
	}
	return 0;
}

/* A frozen group would never get as far as its program; a running one is paused by a method that waits until it is. */
static int plan_freezer(struct planning *p, const struct row *row)
{
	const char *state = p->resources->freezer;

	return state && strcmp(state, "FROZEN") == 0 ? refuse(p, row->key, row->why) : 0;
}

static int plan_leaf_weight(struct planning *p, const struct row *row)
{
	return p->resources->blkio_leaf_weight ? refuse(p, row->key, row->why) : 0;
}

static int plan_owner(struct planning *p, const struct row *row)
{
	return p->resources->has_owner_uid && !is_v2(p) ? refuse(p, row->key, row->why) : 0;
}

#define AT(key) #key, .offset = offsetof(struct resources, key)

/* In the order of writing: cgroup v2's of runc. */
static const struct row rows[] = {
	{ AT(freezer), .form = FORM_OTHER, .plan = plan_freezer, .why = "container.pause freezes, and answers when that is done" },
	{ AT(owner_uid), .form = FORM_OTHER, .plan = plan_owner, .why = "cgroup v1 cannot be handed down safely" },
	{ AT(pids_limit), .form = FORM_LIMIT, .v2 = "pids.max", .controller = "pids", .v1 = "pids.max" },
	{ AT(memory), .form = FORM_OTHER, .controller = "memory", .plan = plan_memory },
	{ AT(memory_reservation), .form = FORM_LIMIT, .v2 = "memory.low", .controller = "memory",
	  .v1 = "memory.soft_limit_in_bytes" },
	{ AT(kernel_memory), .form = FORM_LIMIT, .controller = "memory", .v1 = "memory.kmem.limit_in_bytes", .verify = true,
	  .why = "cgroup v2 counts kernel memory with the rest and has no limit of its own for it" },
	{ AT(kernel_memory_tcp), .form = FORM_LIMIT, .controller = "memory", .v1 = "memory.kmem.tcp.limit_in_bytes", .verify = true,
	  .why = "cgroup v2 counts the memory of sockets with the rest and has no limit of its own for it" },
	{ AT(memory_swappiness), .form = FORM_OTHER, .controller = "memory", .v1 = "memory.swappiness", .plan = plan_swappiness,
	  .why = "cgroup v2 has no swappiness of a group" },
	{ AT(oom_kill_disable), .form = FORM_FLAG, .controller = "memory", .v1 = "memory.oom_control",
	  .why = "cgroup v2 cannot switch the OOM killer off" },
	{ AT(blkio_weight), .form = FORM_OTHER, .controller = "blkio", .plan = plan_blkio_weight },
	{ AT(blkio_leaf_weight), .form = FORM_OTHER, .plan = plan_leaf_weight,
	  .why = "the kernel has no weight of a group's own processes any more" },
	{ "blkio_weight_device", .form = FORM_OTHER, .controller = "blkio", .plan = plan_weight_device },
	{ "blkio_throttle_read_bps_device", .offset = offsetof(struct resources, read_bps), .form = FORM_OTHER, .v2 = "rbps",
	  .controller = "blkio", .v1 = "blkio.throttle.read_bps_device", .plan = plan_throttle },
	{ "blkio_throttle_write_bps_device", .offset = offsetof(struct resources, write_bps), .form = FORM_OTHER, .v2 = "wbps",
	  .controller = "blkio", .v1 = "blkio.throttle.write_bps_device", .plan = plan_throttle },
	{ "blkio_throttle_read_iops_device", .offset = offsetof(struct resources, read_iops), .form = FORM_OTHER, .v2 = "riops",
	  .controller = "blkio", .v1 = "blkio.throttle.read_iops_device", .plan = plan_throttle },
	{ "blkio_throttle_write_iops_device", .offset = offsetof(struct resources, write_iops), .form = FORM_OTHER, .v2 = "wiops",
	  .controller = "blkio", .v1 = "blkio.throttle.write_iops_device", .plan = plan_throttle },
	{ AT(cpu_idle), .form = FORM_GIVEN, .present = offsetof(struct resources, has_cpu_idle), .v2 = "cpu.idle",
	  .controller = "cpu", .v1 = "cpu.idle" },
	{ AT(cpu_weight), .form = FORM_OTHER, .controller = "cpu", .plan = plan_weight },
	{ AT(cpu_burst), .form = FORM_GIVEN, .present = offsetof(struct resources, has_cpu_burst), .v2 = "cpu.max.burst",
	  .controller = "cpu", .v1 = "cpu.cfs_burst_us", .defer = true },
	{ AT(cpu_quota), .form = FORM_OTHER, .controller = "cpu", .plan = plan_quota },
	{ AT(cpu_rt_period), .form = FORM_COUNT, .controller = "cpu", .v1 = "cpu.rt_period_us", .defer = true,
	  .why = "cgroup v2 has no real-time limits" },
	{ AT(cpu_rt_quota), .form = FORM_LIMIT, .controller = "cpu", .v1 = "cpu.rt_runtime_us",
	  .why = "cgroup v2 has no real-time limits" },
	{ AT(cpuset_cpus), .form = FORM_TEXT, .v2 = "cpuset.cpus", .controller = "cpuset", .v1 = "cpuset.cpus" },
	{ AT(cpuset_mems), .form = FORM_TEXT, .v2 = "cpuset.mems", .controller = "cpuset", .v1 = "cpuset.mems" },
	{ "hugetlb_limit", .form = FORM_OTHER, .controller = "hugetlb", .plan = plan_hugetlb },
	{ "net_cls_classid_u", .offset = offsetof(struct resources, net_cls_classid), .form = FORM_COUNT, .controller = "net_cls",
	  .v1 = "net_cls.classid", .why = "cgroup v2 has no network classes" },
	{ "net_prio_ifpriomap", .form = FORM_OTHER, .controller = "net_prio", .v1 = "net_prio.ifpriomap", .plan = plan_priorities,
	  .why = "cgroup v2 has no network priorities" },
	{ AT(rdma), .form = FORM_OTHER, .controller = "rdma", .plan = plan_rdma },
	{ AT(unified), .form = FORM_OTHER, .plan = plan_unified, .why = "these are files of cgroup v2" },
};

int limits_plan(const struct resources *resources, enum cgroups_version version, struct limits *limits, struct error *err)
{
	struct planning planning = { resources, version, limits, err };

	memset(limits, 0, sizeof(*limits));
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = plan_row(&planning, &rows[i]);

		if (result < 0)
			return result;
	}
	return 0;
}
