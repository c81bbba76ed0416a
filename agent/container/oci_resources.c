/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/oci_resources.h"

#include <string.h>

#include "base/cleanup.h"

#define ROW(key, row_kind, row_to, ...)                                                                                            \
	{                                                                                                                          \
		.name = key, .kind = row_kind, .to = row_to, __VA_ARGS__                                                           \
	}
#define TABLE(rows, finish)                                                                                                        \
	{                                                                                                                          \
		rows, array_count(rows), finish                                                                                    \
	}

/* Every container has these; those with a path are made in its /dev. */
static const struct {
	const char *path;
	int64_t major, minor; /* -1: any */
} usual[] = {
	{ "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 }, { "/dev/full", 1, 7 }, { "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 },
	{ "/dev/tty", 5, 0 },  { NULL, 136, -1 },     { NULL, 5, 2 },        { NULL, 5, 1 },
};

/* ---- devices ---- */

static const struct oci_table_word node_types[] = {
	{ .name = "c", .number = 'c' },
	{ .name = "u", .number = 'c' },
	{ .name = "b", .number = 'b' },
	{ .name = "p", .number = 'p' },
	{ .name = NULL },
};

/* The bits of the type, which some tools write too, say what `type` says. */
static int finish_node(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	json_object *mode = oci_table_get(value, "fileMode");

	(void)output;
	return oci_table_put_int(out, "file_mode", mode ? json_object_get_int64(mode) & 07777 : 0666, err);
}

static const struct oci_table_row node_rows[] = {
	ROW("path", OCI_STRING, "path", .flags = OCI_REQUIRED | OCI_NONEMPTY),
	ROW("type", OCI_WORD, "type", .words = node_types, .flags = OCI_REQUIRED),
	ROW("major", OCI_INT, "major", .max = INT32_MAX),
	ROW("minor", OCI_INT, "minor", .max = INT32_MAX),
	ROW("fileMode", OCI_UINT, NULL, .max = UINT32_MAX),
	ROW("uid", OCI_UINT, "uid", .max = UINT32_MAX),
	ROW("gid", OCI_UINT, "gid", .max = UINT32_MAX),
};
const struct oci_table oci_resources_device_table = TABLE(node_rows, finish_node);

static bool has_path(json_object *nodes, const char *path)
{
	for (size_t i = 0; i < json_object_array_length(nodes); i++) {
		if (strcmp(oci_table_text(json_object_array_get_idx(nodes, i), "path"), path) == 0)
			return true;
	}
	return false;
}

static int add_usual(json_object *array, size_t row, bool node, struct error *err)
{
	json_object *made = json_object_new_object();
	int result = oci_table_append(array, made, err);

	if (result == 0)
		result = oci_table_put_int(made, "type", 'c', err);
	if (result == 0)
		result = oci_table_put_int(made, "major", usual[row].major, err);
	if (result == 0)
		result = oci_table_put_int(made, "minor", usual[row].minor, err);
	if (result == 0 && node)
		result = oci_table_put_text(made, "path", usual[row].path, err);
	if (result == 0 && node)
		result = oci_table_put_int(made, "file_mode", 0666, err);
	if (result == 0 && !node)
		result = oci_table_put_text(made, "permissions", "rwm", err);
	if (result == 0 && !node)
		result = oci_table_put(made, "allow", json_object_new_boolean(true), err);
	return result;
}

int oci_resources_add_nodes(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	json_object *nodes = oci_table_get(out, "devices");
	size_t given = json_object_array_length(value);
	int result = 0;

	(void)output;
	for (size_t i = 0; i < array_count(usual) && result == 0; i++) {
		if (usual[i].path && !(given && has_path(nodes, usual[i].path)))
			result = add_usual(nodes, i, true, err);
	}
	return result;
}

static const struct oci_table_word rule_types[] = {
	{ .name = "a", .number = 'a' },
	{ .name = "c", .number = 'c' },
	{ .name = "b", .number = 'b' },
	{ .name = NULL },
};

/* Absent: every type, every number. */
static int finish_rule(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	const char *access = oci_table_text(value, "access");
	int result = 0;

	(void)output;
	if (strspn(access, "rwm") != strlen(access))
		return error_field(err, "access", "is made of r, w and m");
	if (!oci_table_get(out, "type"))
		result = oci_table_put_int(out, "type", 'a', err);
	if (result == 0 && !oci_table_get(out, "major"))
		result = oci_table_put_int(out, "major", -1, err);
	if (result == 0 && !oci_table_get(out, "minor"))
		result = oci_table_put_int(out, "minor", -1, err);
	if (result == 0 && !oci_table_get(out, "allow"))
		result = oci_table_put(out, "allow", json_object_new_boolean(false), err);
	return result;
}

static const struct oci_table_row rule_rows[] = {
	ROW("allow", OCI_BOOL, "allow"),
	ROW("type", OCI_WORD, "type", .words = rule_types),
	ROW("major", OCI_INT, "major", .min = -1, .max = INT32_MAX),
	ROW("minor", OCI_INT, "minor", .min = -1, .max = INT32_MAX),
	ROW("access", OCI_STRING, "permissions", .max = 3, .flags = OCI_REQUIRED | OCI_NONEMPTY),
};
static const struct oci_table rule_table = TABLE(rule_rows, finish_rule);

static bool denies_all(json_object *rule)
{
	const char *access = oci_table_text(rule, "permissions");

	return !json_object_get_boolean(oci_table_get(rule, "allow")) && json_object_get_int(oci_table_get(rule, "type")) == 'a' &&
	       json_object_get_int(oci_table_get(rule, "major")) < 0 && json_object_get_int(oci_table_get(rule, "minor")) < 0 &&
	       strchr(access, 'r') && strchr(access, 'w') && strchr(access, 'm');
}

/*
 * The last rule that matches decides, so these hold whatever the document denies.  One that only denies everything, as most do,
 * says what holds anyway.
 */
static int add_rules(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	json_object *rules = oci_table_get(out, "devices");
	size_t given = json_object_array_length(rules), denials = 0;
	int result = 0;

	(void)output, (void)value;
	while (denials < given && denies_all(json_object_array_get_idx(rules, denials)))
		denials++;
	if (denials == given) {
		json_object_object_del(out, "devices");
		return 0;
	}
	for (size_t i = 0; i < array_count(usual) && result == 0; i++)
		result = add_usual(rules, i, false, err);
	return result;
}

/* ---- limits ---- */

static const struct oci_table_row memory_rows[] = {
	ROW("limit", OCI_INT, "memory", .min = -1, .max = INT64_MAX),
	ROW("reservation", OCI_INT, "memory_reservation", .min = -1, .max = INT64_MAX),
	ROW("swap", OCI_INT, "memory_swap", .min = -1, .max = INT64_MAX),
	ROW("kernel", OCI_INT, "kernel_memory", .min = -1, .max = INT64_MAX),
	ROW("kernelTCP", OCI_INT, "kernel_memory_tcp", .min = -1, .max = INT64_MAX),
	ROW("swappiness", OCI_UINT, "memory_swappiness", .max = 100),
	ROW("disableOOMKiller", OCI_BOOL, "oom_kill_disable"),
	ROW("useHierarchy", OCI_BOOL, NULL),
	ROW("checkBeforeUpdate", OCI_BOOL, "memory_check_before_update"),
};
static const struct oci_table memory_table = TABLE(memory_rows, NULL);

static const struct oci_table_row cpu_rows[] = {
	ROW("shares", OCI_UINT, "cpu_shares", .max = UINT64_MAX),
	ROW("quota", OCI_INT, "cpu_quota", .min = -1, .max = INT64_MAX),
	ROW("burst", OCI_UINT, "cpu_burst", .max = UINT64_MAX),
	ROW("period", OCI_UINT, "cpu_period", .max = UINT64_MAX),
	ROW("realtimeRuntime", OCI_INT, "cpu_rt_quota", .min = -1, .max = INT64_MAX),
	ROW("realtimePeriod", OCI_UINT, "cpu_rt_period", .max = UINT64_MAX),
	ROW("cpus", OCI_STRING, "cpuset_cpus"),
	ROW("mems", OCI_STRING, "cpuset_mems"),
	ROW("idle", OCI_INT, "cpu_idle", .max = 1),
};
static const struct oci_table cpu_table = TABLE(cpu_rows, NULL);

static const struct oci_table_row pids_rows[] = {
	ROW("limit", OCI_INT, "pids_limit", .min = -1, .max = INT64_MAX),
};
static const struct oci_table pids_table = TABLE(pids_rows, NULL);

static const struct oci_table_row weight_rows[] = {
	ROW("major", OCI_INT, "major", .max = INT32_MAX, .flags = OCI_REQUIRED),
	ROW("minor", OCI_INT, "minor", .max = INT32_MAX, .flags = OCI_REQUIRED),
	ROW("weight", OCI_UINT, "weight", .max = UINT16_MAX),
	ROW("leafWeight", OCI_UINT, "leafWeight", .max = UINT16_MAX),
};
static const struct oci_table weight_table = TABLE(weight_rows, NULL);

static const struct oci_table_row throttle_rows[] = {
	ROW("major", OCI_INT, "major", .max = INT32_MAX, .flags = OCI_REQUIRED),
	ROW("minor", OCI_INT, "minor", .max = INT32_MAX, .flags = OCI_REQUIRED),
	ROW("rate", OCI_UINT, "rate", .max = UINT64_MAX, .flags = OCI_REQUIRED),
};
static const struct oci_table throttle_table = TABLE(throttle_rows, NULL);

static const struct oci_table_row block_rows[] = {
	ROW("weight", OCI_UINT, "blkio_weight", .max = UINT16_MAX),
	ROW("leafWeight", OCI_UINT, "blkio_leaf_weight", .max = UINT16_MAX),
	ROW("weightDevice", OCI_LIST, "blkio_weight_device", .table = &weight_table),
	ROW("throttleReadBpsDevice", OCI_LIST, "blkio_throttle_read_bps_device", .table = &throttle_table),
	ROW("throttleWriteBpsDevice", OCI_LIST, "blkio_throttle_write_bps_device", .table = &throttle_table),
	ROW("throttleReadIOPSDevice", OCI_LIST, "blkio_throttle_read_iops_device", .table = &throttle_table),
	ROW("throttleWriteIOPSDevice", OCI_LIST, "blkio_throttle_write_iops_device", .table = &throttle_table),
};
static const struct oci_table block_table = TABLE(block_rows, NULL);

static const struct oci_table_row hugepage_rows[] = {
	ROW("pageSize", OCI_STRING, "page_size", .flags = OCI_REQUIRED | OCI_NONEMPTY),
	ROW("limit", OCI_UINT, "limit", .max = UINT64_MAX, .flags = OCI_REQUIRED),
};
static const struct oci_table hugepage_table = TABLE(hugepage_rows, NULL);

static const struct oci_table_row priority_rows[] = {
	ROW("name", OCI_STRING, "interface", .flags = OCI_REQUIRED | OCI_NONEMPTY),
	ROW("priority", OCI_UINT, "priority", .max = UINT32_MAX, .flags = OCI_REQUIRED),
};
static const struct oci_table priority_table = TABLE(priority_rows, NULL);

static const struct oci_table_row network_rows[] = {
	ROW("classID", OCI_UINT, "net_cls_classid_u", .max = UINT32_MAX),
	ROW("priorities", OCI_LIST, "net_prio_ifpriomap", .table = &priority_table),
};
static const struct oci_table network_table = TABLE(network_rows, NULL);

static const struct oci_table_row rdma_rows[] = {
	ROW("hcaHandles", OCI_UINT, "hca_handles", .max = UINT32_MAX),
	ROW("hcaObjects", OCI_UINT, "hca_objects", .max = UINT32_MAX),
};
static const struct oci_table rdma_table = TABLE(rdma_rows, NULL);

static const struct oci_table_row resource_rows[] = {
	ROW("devices", OCI_LIST, "devices", .table = &rule_table, .finish = add_rules),
	ROW("memory", OCI_OBJECT, NULL, .table = &memory_table),
	ROW("cpu", OCI_OBJECT, NULL, .table = &cpu_table),
	ROW("pids", OCI_OBJECT, NULL, .table = &pids_table),
	ROW("blockIO", OCI_OBJECT, NULL, .table = &block_table),
	ROW("hugepageLimits", OCI_LIST, "hugetlb_limit", .table = &hugepage_table),
	ROW("network", OCI_OBJECT, NULL, .table = &network_table),
	ROW("rdma", OCI_OBJECTS, "rdma", .table = &rdma_table),
	ROW("unified", OCI_TEXTS, "unified", .max = 4096),
};
const struct oci_table oci_resources_table = TABLE(resource_rows, NULL);
