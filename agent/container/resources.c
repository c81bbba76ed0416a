/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/resources.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"

#define FIELD(owner, key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct owner, member)
#define PRESENT(owner, member)                 .present = offsetof(struct owner, member)
#define SCHEMA(fields, type, checked)                                                                                              \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), checked                                                          \
	}

#define MAJOR_MOST   4095
#define MINOR_MOST   1048575
#define DEVICES_MOST 256
#define TEXT_MOST    1024

/* ---- elements ---- */

static int check_permissions(const char *string, struct error *err)
{
	return strspn(string, "rwm") == strlen(string) ? 0 : error_field(err, "", "is made of r, w and m");
}

static const struct decode_field rule_fields[] = {
	{ FIELD(resources_rule, "type", DECODE_INT, type), .flags = DECODE_REQUIRED, .min = 'a', .max = 'c' },
	{ FIELD(resources_rule, "path", DECODE_STRING, path) },
	{ FIELD(resources_rule, "major", DECODE_INT, major), .min = -1, .max = MAJOR_MOST },
	{ FIELD(resources_rule, "minor", DECODE_INT, minor), .min = -1, .max = MINOR_MOST },
	{ FIELD(resources_rule, "permissions", DECODE_STRING, permissions), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 3,
	  .check = check_permissions },
	{ FIELD(resources_rule, "file_mode", DECODE_UINT, file_mode), .max = UINT32_MAX },
	{ FIELD(resources_rule, "uid", DECODE_UINT, uid), .max = UINT32_MAX },
	{ FIELD(resources_rule, "gid", DECODE_UINT, gid), .max = UINT32_MAX },
	{ FIELD(resources_rule, "allow", DECODE_BOOL, allow) },
};

/* A rule for "all" with a number would be one of two things, and the kernels' own answer is the wider one. */
static int check_rule(const void *object, struct error *err)
{
	const struct resources_rule *rule = object;

	if (rule->type == 'a' && (rule->major != -1 || rule->minor != -1))
		return error_field(err, rule->major != -1 ? "major" : "minor",
				   "must be -1 for the type 97 (a): it means every device");
	return 0;
}

static const struct decode_schema rule_schema = SCHEMA(rule_fields, resources_rule, check_rule);

static const struct decode_field weight_fields[] = {
	{ FIELD(resources_weight, "major", DECODE_UINT, major), .max = MAJOR_MOST },
	{ FIELD(resources_weight, "minor", DECODE_UINT, minor), .max = MINOR_MOST },
	{ FIELD(resources_weight, "weight", DECODE_UINT, weight), .max = 1000 },
	{ FIELD(resources_weight, "leafWeight", DECODE_UINT, leaf_weight), .max = 1000 },
};

static int check_weight(const void *object, struct error *err)
{
	const struct resources_weight *device = object;

	if (device->weight && device->weight < 10)
		return error_field(err, "weight", "must be 0 or within 10 and 1000");
	if (device->leaf_weight && device->leaf_weight < 10)
		return error_field(err, "leafWeight", "must be 0 or within 10 and 1000");
	return 0;
}

static const struct decode_schema weight_schema = SCHEMA(weight_fields, resources_weight, check_weight);

static const struct decode_field throttle_fields[] = {
	{ FIELD(resources_throttle, "major", DECODE_UINT, major), .max = MAJOR_MOST },
	{ FIELD(resources_throttle, "minor", DECODE_UINT, minor), .max = MINOR_MOST },
	{ FIELD(resources_throttle, "rate", DECODE_UINT, rate), .max = UINT64_MAX },
};
static const struct decode_schema throttle_schema = SCHEMA(throttle_fields, resources_throttle, NULL);

/* It becomes part of a file's name. */
static int check_page_size(const char *string, struct error *err)
{
	size_t digits = strspn(string, "0123456789");

	if (digits == 0 || digits > 6 ||
	    (strcmp(string + digits, "KB") != 0 && strcmp(string + digits, "MB") != 0 && strcmp(string + digits, "GB") != 0))
		return error_field(err, "", "must be as \"2MB\": a number and KB, MB or GB");
	return 0;
}

static const struct decode_field hugetlb_fields[] = {
	{ FIELD(resources_hugetlb, "page_size", DECODE_STRING, page_size), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 16,
	  .check = check_page_size },
	{ FIELD(resources_hugetlb, "limit", DECODE_UINT, limit), .max = UINT64_MAX },
};
static const struct decode_schema hugetlb_schema = SCHEMA(hugetlb_fields, resources_hugetlb, NULL);

static int check_interface(const char *string, struct error *err)
{
	return strpbrk(string, " \t\n/") ? error_field(err, "", "is not the name of an interface") : 0;
}

static const struct decode_field priority_fields[] = {
	{ FIELD(resources_priority, "interface", DECODE_STRING, interface), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 15,
	  .check = check_interface },
	{ FIELD(resources_priority, "priority", DECODE_UINT, priority), .max = UINT32_MAX },
};
static const struct decode_schema priority_schema = SCHEMA(priority_fields, resources_priority, NULL);

/* ---- texts ---- */

static int check_cpu_list(const char *string, struct error *err)
{
	return strspn(string, "0123456789,-") == strlen(string) ? 0 : error_field(err, "", "must be a list as \"0-2,7\"");
}

/* "max", "50000", "50000 100000", "max 100000" */
static int check_cpu_max(const char *string, struct error *err)
{
	size_t first = strncmp(string, "max", 3) == 0 ? 3 : strspn(string, "0123456789");
	const char *rest = string + first;

	if (first > 0 && first < 19 && rest[0] == '\0')
		return 0;
	if (first > 0 && first < 19 && rest[0] == ' ' && rest[1] && strlen(rest) < 10 &&
	    strspn(rest + 1, "0123456789") == strlen(rest + 1))
		return 0;
	return error_field(err, "", "must be \"QUOTA PERIOD\" in microseconds, where QUOTA may be \"max\"");
}

static int check_freezer(const char *string, struct error *err)
{
	if (strcmp(string, "THAWED") == 0 || strcmp(string, "FROZEN") == 0)
		return 0;
	return error_field(err, "", "must be \"FROZEN\" or \"THAWED\"");
}

/* ---- the whole ---- */

#define RULES(key, member)                                                                                                         \
	{                                                                                                                          \
		FIELD(resources, key, DECODE_LIST, member), .schema = &rule_schema, .max = DEVICES_MOST                            \
	}
#define THROTTLES(key, member)                                                                                                     \
	{                                                                                                                          \
		FIELD(resources, key, DECODE_LIST, member), .schema = &throttle_schema, .max = DEVICES_MOST                        \
	}
#define LIMIT(key)                                                                                                                 \
	{                                                                                                                          \
		FIELD(resources, #key, DECODE_INT, key), .min = -1, .max = INT64_MAX                                               \
	}
#define TEXT(key, checked)                                                                                                         \
	{                                                                                                                          \
		FIELD(resources, #key, DECODE_STRING, key), .max = TEXT_MOST, .check = checked                                     \
	}

static const struct decode_field fields[] = {
	TEXT(name, NULL),
	TEXT(parent, NULL),
	TEXT(path, NULL),
	TEXT(scope_prefix, NULL),
	{ FIELD(resources, "Paths", DECODE_MAP, paths), .max = 32 },
	{ FIELD(resources, "allow_all_devices", DECODE_BOOL, allow_all_devices), PRESENT(resources, has_allow_all_devices) },
	RULES("allowed_devices", allowed_devices),
	RULES("denied_devices", denied_devices),
	RULES("devices", devices),
	LIMIT(memory),
	LIMIT(memory_reservation),
	LIMIT(memory_swap),
	LIMIT(kernel_memory),
	LIMIT(kernel_memory_tcp),
	{ FIELD(resources, "cpu_shares", DECODE_UINT, cpu_shares), .max = 262144 },
	LIMIT(cpu_quota),
	{ FIELD(resources, "cpu_period", DECODE_UINT, cpu_period), .max = 1000000 },
	LIMIT(cpu_rt_quota),
	{ FIELD(resources, "cpu_rt_period", DECODE_UINT, cpu_rt_period), .max = INT64_MAX },
	TEXT(cpuset_cpus, check_cpu_list),
	TEXT(cpuset_mems, check_cpu_list),
	LIMIT(pids_limit),
	{ FIELD(resources, "blkio_weight", DECODE_UINT, blkio_weight), .max = 1000 },
	{ FIELD(resources, "blkio_leaf_weight", DECODE_UINT, blkio_leaf_weight), .max = 1000 },
	{ FIELD(resources, "blkio_weight_device", DECODE_LIST, blkio_weight_device), .schema = &weight_schema,
	  .max = DEVICES_MOST },
	THROTTLES("blkio_throttle_read_bps_device", read_bps),
	THROTTLES("blkio_throttle_write_bps_device", write_bps),
	THROTTLES("blkio_throttle_read_iops_device", read_iops),
	THROTTLES("blkio_throttle_write_iops_device", write_iops),
	TEXT(freezer, check_freezer),
	{ FIELD(resources, "hugetlb_limit", DECODE_LIST, hugetlb_limit), .schema = &hugetlb_schema, .max = 16 },
	{ FIELD(resources, "oom_kill_disable", DECODE_BOOL, oom_kill_disable) },
	{ FIELD(resources, "memory_swappiness", DECODE_INT, memory_swappiness), .min = -1, .max = 100,
	  PRESENT(resources, has_memory_swappiness) },
	{ FIELD(resources, "net_prio_ifpriomap", DECODE_LIST, net_prio_ifpriomap), .schema = &priority_schema, .max = 64 },
	{ FIELD(resources, "net_cls_classid_u", DECODE_UINT, net_cls_classid), .max = UINT32_MAX },
	{ FIELD(resources, "rdma", DECODE_RAW, rdma) },
	{ FIELD(resources, "unified", DECODE_MAP, unified), .max = 64 },
	{ FIELD(resources, "cpu_weight", DECODE_UINT, cpu_weight), .max = 10000 },
	TEXT(cpu_max, check_cpu_max),
	{ FIELD(resources, "cpu_burst", DECODE_UINT, cpu_burst), .max = INT64_MAX, PRESENT(resources, has_cpu_burst) },
	{ FIELD(resources, "cpu_idle", DECODE_INT, cpu_idle), .min = 0, .max = 1, PRESENT(resources, has_cpu_idle) },
	{ FIELD(resources, "memory_check_before_update", DECODE_BOOL, memory_check_before_update) },
	{ FIELD(resources, "Systemd", DECODE_BOOL, systemd) },
	{ FIELD(resources, "Rootless", DECODE_BOOL, rootless) },
	{ FIELD(resources, "owner_uid", DECODE_INT, owner_uid), .min = 0, .max = UINT32_MAX - 1,
	  PRESENT(resources, has_owner_uid) },
};

static bool says_something(const char *string)
{
	return string && string[0];
}

static int check_memory(const struct resources *resources, struct error *err)
{
	if (resources->memory_swap > 0 && resources->memory <= 0)
		return error_field(err, "memory_swap", "needs a memory limit");
	if (resources->memory_swap > 0 && resources->memory_swap < resources->memory)
		return error_field(err, "memory_swap", "is memory and swap together: must not be below memory");
	return 0;
}

static int check_cpu(const struct resources *resources, struct error *err)
{
	if (resources->cpu_period && resources->cpu_period < 1000)
		return error_field(err, "cpu_period", "must be 0 or within 1000 and 1000000");
	if (resources->cpu_quota > 0 && resources->cpu_quota < 1000)
		return error_field(err, "cpu_quota", "must be -1, 0 or at least 1000");
	if (says_something(resources->cpu_max) && (resources->cpu_quota || resources->cpu_period))
		return error_field(err, "cpu_max", "and cpu_quota or cpu_period exclude each other");
	/* The kernel ignores the weight of an idle group, and refuses to have it written. */
	if (resources->cpu_idle && (resources->cpu_weight || resources->cpu_shares))
		return error_field(err, "cpu_idle", "and cpu_weight or cpu_shares exclude each other");
	return 0;
}

static int check_blkio(const struct resources *resources, struct error *err)
{
	if (resources->blkio_weight && resources->blkio_weight < 10)
		return error_field(err, "blkio_weight", "must be 0 or within 10 and 1000");
	if (resources->blkio_leaf_weight && resources->blkio_leaf_weight < 10)
		return error_field(err, "blkio_leaf_weight", "must be 0 or within 10 and 1000");
	return 0;
}

static int check_rdma_limit(json_object *device, const char *key, const char *path, struct error *err)
{
	json_object *value;
	char field[128];

	if (!json_object_object_get_ex(device, key, &value) || !value)
		return 0;
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0 &&
	    json_object_get_int64(value) <= UINT32_MAX)
		return 0;
	snprintf(field, sizeof(field), "%s.%s", path, key);
	return error_field(err, field, "must be an integer within 0 and %u", UINT32_MAX);
}

static int check_rdma(json_object *rdma, struct error *err)
{
	int result = 0;

	if (!rdma)
		return 0;
	if (!json_object_is_type(rdma, json_type_object))
		return error_field(err, "rdma", "an object is needed");
	json_object_object_foreach (rdma, name, device) {
		char field[96];

		snprintf(field, sizeof(field), "rdma.%.64s", name);
		if (!name[0] || strlen(name) > 63 || strpbrk(name, " \t\n"))
			return error_field(err, field, "is not the name of a device");
		if (!json_object_is_type(device, json_type_object))
			return error_field(err, field, "an object is needed");
		json_object_object_foreach (device, key, value) {
			(void)value;
			if (strcmp(key, "hca_handles") != 0 && strcmp(key, "hca_objects") != 0) {
				char path[128];

				snprintf(path, sizeof(path), "rdma.%.40s.%.40s", name, key);
				return error_field(err, path, "unknown field");
			}
		}
		result = check_rdma_limit(device, "hca_handles", field, err);
		if (result == 0)
			result = check_rdma_limit(device, "hca_objects", field, err);
		if (result < 0)
			return result;
	}
	return 0;
}

void resources_rdma(json_object *device, int64_t *handles, int64_t *objects)
{
	json_object *value;

	*handles = json_object_object_get_ex(device, "hca_handles", &value) && value ? json_object_get_int64(value) : -1;
	*objects = json_object_object_get_ex(device, "hca_objects", &value) && value ? json_object_get_int64(value) : -1;
}

/* The file's controller must be one of these: what the agent does with cgroup.* itself (freeze, kill, move) is not a limit. */
static const char *const unified_prefixes[] = { "memory.",  "pids.", "cpu.",  "io.",        "cpuset.",
						"hugetlb.", "rdma.", "misc.", "cgroup.max." };

static int check_unified(const struct decode_list *list, struct error *err)
{
	const struct decode_pair *pairs = list->items;

	for (size_t i = 0; i < list->count; i++) {
		char field[128];
		bool known = false;

		snprintf(field, sizeof(field), "unified.%.100s", pairs[i].key);
		for (size_t k = 0; k < array_count(unified_prefixes); k++)
			known = known || strncmp(pairs[i].key, unified_prefixes[k], strlen(unified_prefixes[k])) == 0;
		if (!known || strchr(pairs[i].key, '/') || strlen(pairs[i].key) > 63)
			return error_field(err, field, "is not the name of a limit's file");
		if (!pairs[i].value[0])
			return error_field(err, field, "must not be empty");
	}
	return 0;
}

static int check_resources(const void *object, struct error *err)
{
	const struct resources *resources = object;
	int result;

	if (says_something(resources->path) && (says_something(resources->name) || says_something(resources->parent)))
		return error_field(err, "path", "and name or parent exclude each other");
	if (!resources->has_allow_all_devices && resources->allowed_devices.count > 0 && resources->devices.count == 0)
		return error_field(err, "allowed_devices", "needs allow_all_devices to be false");
	result = check_memory(resources, err);
	if (result == 0)
		result = check_cpu(resources, err);
	if (result == 0)
		result = check_blkio(resources, err);
	if (result == 0)
		result = check_rdma(resources->rdma, err);
	if (result == 0)
		result = check_unified(&resources->unified, err);
	return result;
}

const struct decode_schema resources_schema = SCHEMA(fields, resources, check_resources);

bool resources_has_rules(const struct resources *resources)
{
	return resources->devices.count > 0 || resources->has_allow_all_devices || resources->denied_devices.count > 0;
}
