/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/oci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "container/oci_mounts.h"
#include "container/oci_resources.h"
#include "container/oci_seccomp.h"

#define ROW(key, row_kind, row_to, ...)                                                                                            \
	{                                                                                                                          \
		.name = key, .kind = row_kind, .to = row_to, __VA_ARGS__                                                           \
	}
#define REFUSED(key, reason)                                                                                                       \
	{                                                                                                                          \
		.name = key, .kind = OCI_REFUSED, .why = reason                                                                    \
	}
#define TABLE(rows, finish)                                                                                                        \
	{                                                                                                                          \
		rows, array_count(rows), finish                                                                                    \
	}

#define HOOK_SECONDS_MAX 9223372036 /* as nanoseconds an int64_t */

static const char other_system[] = "it belongs to another operating system";

/* ---- process ---- */

static const struct oci_table_row console_rows[] = {
	ROW("height", OCI_UINT, "console_height", .place = OCI_PROCESS, .max = UINT16_MAX, .flags = OCI_REQUIRED),
	ROW("width", OCI_UINT, "console_width", .place = OCI_PROCESS, .max = UINT16_MAX, .flags = OCI_REQUIRED),
};
static const struct oci_table console_table = TABLE(console_rows, NULL);

static const struct oci_table_row user_rows[] = {
	ROW("uid", OCI_UINT, "uid", .max = UINT32_MAX - 1),
	ROW("gid", OCI_UINT, "gid", .max = UINT32_MAX - 1),
	ROW("umask", OCI_UINT, "umask", .max = 0777),
	ROW("additionalGids", OCI_UINTS, "additional_groups", .max = UINT32_MAX - 1, .most = 64),
	REFUSED("username", other_system),
};
static const struct oci_table user_table = TABLE(user_rows, NULL);

static const struct oci_table_row capability_rows[] = {
	ROW("bounding", OCI_STRINGS, "Bounding"),       ROW("effective", OCI_STRINGS, "Effective"),
	ROW("inheritable", OCI_STRINGS, "Inheritable"), ROW("permitted", OCI_STRINGS, "Permitted"),
	ROW("ambient", OCI_STRINGS, "Ambient"),
};
static const struct oci_table capability_table = TABLE(capability_rows, NULL);

static const struct oci_table_word limits[] = {
	{ .name = "RLIMIT_CPU", .number = RLIMIT_CPU },
	{ .name = "RLIMIT_FSIZE", .number = RLIMIT_FSIZE },
	{ .name = "RLIMIT_DATA", .number = RLIMIT_DATA },
	{ .name = "RLIMIT_STACK", .number = RLIMIT_STACK },
	{ .name = "RLIMIT_CORE", .number = RLIMIT_CORE },
	{ .name = "RLIMIT_RSS", .number = RLIMIT_RSS },
	{ .name = "RLIMIT_NPROC", .number = RLIMIT_NPROC },
	{ .name = "RLIMIT_NOFILE", .number = RLIMIT_NOFILE },
	{ .name = "RLIMIT_MEMLOCK", .number = RLIMIT_MEMLOCK },
	{ .name = "RLIMIT_AS", .number = RLIMIT_AS },
	{ .name = "RLIMIT_LOCKS", .number = RLIMIT_LOCKS },
	{ .name = "RLIMIT_SIGPENDING", .number = RLIMIT_SIGPENDING },
	{ .name = "RLIMIT_MSGQUEUE", .number = RLIMIT_MSGQUEUE },
	{ .name = "RLIMIT_NICE", .number = RLIMIT_NICE },
	{ .name = "RLIMIT_RTPRIO", .number = RLIMIT_RTPRIO },
	{ .name = "RLIMIT_RTTIME", .number = RLIMIT_RTTIME },
	{ .name = NULL },
};
static const struct oci_table_row limit_rows[] = {
	ROW("type", OCI_WORD, "type", .words = limits, .flags = OCI_REQUIRED),
	ROW("hard", OCI_UINT, "hard", .max = UINT64_MAX, .flags = OCI_REQUIRED),
	ROW("soft", OCI_UINT, "soft", .max = UINT64_MAX, .flags = OCI_REQUIRED),
};
static const struct oci_table limit_table = TABLE(limit_rows, NULL);

#define SAME(word)                                                                                                                 \
	{                                                                                                                          \
		.name = word, .text = word                                                                                         \
	}
static const struct oci_table_word policies[] = {
	SAME("SCHED_OTHER"), SAME("SCHED_FIFO"), SAME("SCHED_RR"),       SAME("SCHED_BATCH"),
	SAME("SCHED_ISO"),   SAME("SCHED_IDLE"), SAME("SCHED_DEADLINE"), { .name = NULL },
};
static const struct oci_table_word scheduler_flags[] = {
	SAME("SCHED_FLAG_RESET_ON_FORK"),  SAME("SCHED_FLAG_RECLAIM"),
	SAME("SCHED_FLAG_DL_OVERRUN"),     SAME("SCHED_FLAG_KEEP_POLICY"),
	SAME("SCHED_FLAG_KEEP_PARAMS"),    SAME("SCHED_FLAG_UTIL_CLAMP_MIN"),
	SAME("SCHED_FLAG_UTIL_CLAMP_MAX"), { .name = NULL },
};
static const struct oci_table_row scheduler_rows[] = {
	ROW("policy", OCI_WORD, "policy", .words = policies, .flags = OCI_REQUIRED),
	ROW("nice", OCI_INT, "nice", .min = -20, .max = 19),
	ROW("priority", OCI_INT, "priority", .max = 99),
	ROW("flags", OCI_WORDS, "flags", .words = scheduler_flags, .most = 16),
	ROW("runtime", OCI_UINT, "runtime", .max = UINT64_MAX),
	ROW("deadline", OCI_UINT, "deadline", .max = UINT64_MAX),
	ROW("period", OCI_UINT, "period", .max = UINT64_MAX),
};
static const struct oci_table scheduler_table = TABLE(scheduler_rows, NULL);

static const struct oci_table_word priority_classes[] = {
	SAME("IOPRIO_CLASS_RT"),
	SAME("IOPRIO_CLASS_BE"),
	SAME("IOPRIO_CLASS_IDLE"),
	{ .name = NULL },
};
static const struct oci_table_row priority_rows[] = {
	ROW("class", OCI_WORD, "class", .words = priority_classes, .flags = OCI_REQUIRED),
	ROW("priority", OCI_INT, "priority", .max = 7),
};
static const struct oci_table priority_table = TABLE(priority_rows, NULL);

static const struct oci_table_row affinity_rows[] = {
	ROW("initial", OCI_STRING, "initial"),
	ROW("final", OCI_STRING, "final"),
};
static const struct oci_table affinity_table = TABLE(affinity_rows, NULL);

static const struct oci_table_row process_rows[] = {
	ROW("terminal", OCI_BOOL, "terminal"),
	ROW("consoleSize", OCI_OBJECT, NULL, .table = &console_table),
	ROW("user", OCI_OBJECT, NULL, .table = &user_table),
	ROW("args", OCI_STRINGS, "args", .max = COFFER_STRING_MAX - 1, .most = COFFER_ARGS_MAX, .flags = OCI_REQUIRED),
	REFUSED("commandLine", other_system),
	ROW("env", OCI_STRINGS, "env", .max = COFFER_STRING_MAX - 1, .most = COFFER_ARGS_MAX),
	ROW("cwd", OCI_STRING, "cwd", .flags = OCI_REQUIRED | OCI_NONEMPTY),
	ROW("capabilities", OCI_OBJECT, "capabilities", .place = OCI_CONFIG, .table = &capability_table),
	ROW("rlimits", OCI_LIST, "rlimits", .place = OCI_CONFIG, .table = &limit_table, .most = RLIM_NLIMITS, .unique = "type"),
	ROW("noNewPrivileges", OCI_BOOL, "no_new_privileges", .place = OCI_CONFIG),
	ROW("apparmorProfile", OCI_STRING, "apparmor_profile", .place = OCI_CONFIG),
	ROW("oomScoreAdj", OCI_INT, "oom_score_adj", .place = OCI_CONFIG, .min = -1000, .max = 1000),
	ROW("scheduler", OCI_OBJECT, "scheduler", .place = OCI_CONFIG, .table = &scheduler_table),
	ROW("selinuxLabel", OCI_STRING, "process_label", .place = OCI_CONFIG),
	ROW("ioPriority", OCI_OBJECT, "io_priority", .place = OCI_CONFIG, .table = &priority_table),
	ROW("execCPUAffinity", OCI_OBJECT, "exec_cpu_affinity", .place = OCI_CONFIG, .table = &affinity_table),
};
static const struct oci_table process_table = TABLE(process_rows, NULL);

/* ---- hooks ---- */

static int put_timeout(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	(void)output;
	return oci_table_put_int(out, "timeout", json_object_get_int64(value) * 1000000000, err);
}

static const struct oci_table_row hook_rows[] = {
	ROW("path", OCI_STRING, "path", .flags = OCI_REQUIRED | OCI_NONEMPTY),
	ROW("args", OCI_STRINGS, "args", .max = COFFER_STRING_MAX - 1, .most = COFFER_ARGS_MAX),
	ROW("env", OCI_STRINGS, "env", .max = COFFER_STRING_MAX - 1, .most = COFFER_ARGS_MAX),
	ROW("timeout", OCI_INT, NULL, .min = 1, .max = HOOK_SECONDS_MAX, .finish = put_timeout),
};
static const struct oci_table hook_table = TABLE(hook_rows, NULL);

static const struct oci_table_row hooks_rows[] = {
	ROW("prestart", OCI_LIST, "prestart", .table = &hook_table),
	ROW("createRuntime", OCI_LIST, "createRuntime", .table = &hook_table),
	ROW("createContainer", OCI_LIST, "createContainer", .table = &hook_table),
	ROW("startContainer", OCI_LIST, "startContainer", .table = &hook_table),
	ROW("poststart", OCI_LIST, "poststart", .table = &hook_table),
	ROW("poststop", OCI_LIST, "poststop", .table = &hook_table),
};
static const struct oci_table hooks_table = TABLE(hooks_rows, NULL);

/* ---- linux ---- */

static const struct oci_table_word namespaces[] = {
	{ .name = "pid", .text = "NEWPID" },       { .name = "network", .text = "NEWNET" }, { .name = "mount", .text = "NEWNS" },
	{ .name = "ipc", .text = "NEWIPC" },       { .name = "uts", .text = "NEWUTS" },     { .name = "user", .text = "NEWUSER" },
	{ .name = "cgroup", .text = "NEWCGROUP" }, { .name = "time", .text = "NEWTIME" },   { .name = NULL },
};

/* A network namespace of its own has at least the loopback interface. */
static int finish_namespace(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	json_object *networks, *loopback;

	(void)out;
	if (strcmp(oci_table_text(value, "type"), "network") != 0 || oci_table_text(value, "path")[0])
		return 0;
	networks = json_object_new_array();
	int result = oci_table_put(output->config, "networks", networks, err);
	loopback = result == 0 ? json_object_new_object() : NULL;
	if (result == 0)
		result = oci_table_append(networks, loopback, err);
	return result == 0 ? oci_table_put_text(loopback, "type", "loopback", err) : result;
}

static const struct oci_table_row namespace_rows[] = {
	ROW("type", OCI_WORD, "type", .words = namespaces, .flags = OCI_REQUIRED),
	ROW("path", OCI_STRING, "path"),
};
static const struct oci_table namespace_table = TABLE(namespace_rows, finish_namespace);

static const struct oci_table_row offset_rows[] = {
	ROW("secs", OCI_INT, "secs", .min = INT64_MIN, .max = INT64_MAX),
	ROW("nanosecs", OCI_UINT, "nanosecs", .max = 999999999),
};
static const struct oci_table offset_table = TABLE(offset_rows, NULL);
static const struct oci_table_row offsets_rows[] = {
	ROW("monotonic", OCI_OBJECT, "monotonic", .table = &offset_table),
	ROW("boottime", OCI_OBJECT, "boottime", .table = &offset_table),
};
static const struct oci_table offsets_table = TABLE(offsets_rows, NULL);

static const struct oci_table_row net_device_rows[] = { ROW("name", OCI_STRING, "name", .max = 15) };
static const struct oci_table net_device_table = TABLE(net_device_rows, NULL);

static const struct oci_table_row rdt_rows[] = {
	ROW("closID", OCI_STRING, "closID"),
	ROW("schemata", OCI_STRINGS, "schemata"),
	ROW("l3CacheSchema", OCI_STRING, "l3_cache_schema"),
	ROW("memBwSchema", OCI_STRING, "memBwSchema"),
	ROW("enableMonitoring", OCI_BOOL, "enableMonitoring"),
	ROW("enableCMT", OCI_BOOL, "enableCMT"),
	ROW("enableMBM", OCI_BOOL, "enableMBM"),
};
static const struct oci_table rdt_table = TABLE(rdt_rows, NULL);

/* <linux/mempolicy.h> */
static const struct oci_table_word memory_modes[] = {
	{ .name = "MPOL_DEFAULT", .number = 0 },
	{ .name = "MPOL_PREFERRED", .number = 1 },
	{ .name = "MPOL_BIND", .number = 2 },
	{ .name = "MPOL_INTERLEAVE", .number = 3 },
	{ .name = "MPOL_LOCAL", .number = 4 },
	{ .name = "MPOL_PREFERRED_MANY", .number = 5 },
	{ .name = "MPOL_WEIGHTED_INTERLEAVE", .number = 6 },
	{ .name = NULL },
};
static const struct oci_table_word memory_flags[] = {
	{ .name = "MPOL_F_NUMA_BALANCING", .number = 1 << 13 },
	{ .name = "MPOL_F_RELATIVE_NODES", .number = 1 << 14 },
	{ .name = "MPOL_F_STATIC_NODES", .number = 1 << 15 },
	{ .name = NULL },
};
static const struct oci_table_row policy_rows[] = {
	ROW("mode", OCI_WORD, "mode", .words = memory_modes, .flags = OCI_REQUIRED),
	ROW("nodes", OCI_STRING, "nodes"),
	ROW("flags", OCI_BITS, "flags", .words = memory_flags, .most = 8),
};
static const struct oci_table policy_table = TABLE(policy_rows, NULL);

static const struct oci_table_word domains[] = {
	{ .name = "LINUX", .number = 0 },
	{ .name = "LINUX32", .number = 8 },
	{ .name = NULL },
};
static const struct oci_table_row personality_rows[] = {
	ROW("domain", OCI_WORD, "domain", .words = domains, .flags = OCI_REQUIRED),
	REFUSED("flags", "the specification names none"),
};
static const struct oci_table personality_table = TABLE(personality_rows, NULL);

static int convert_seccomp(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	if (!json_object_is_type(value, json_type_object))
		return error_field(err, "", "an object is needed");
	if (oci_seccomp_is_none(value))
		return 0;
	json_object *seccomp = json_object_new_object();
	int result = oci_table_put(out, "seccomp", seccomp, err);
	return result == 0 ? oci_table_convert(output, value, &oci_seccomp_table, seccomp, err) : result;
}

static const struct oci_table_row linux_rows[] = {
	ROW("uidMappings", OCI_LIST, "uid_mappings", .table = &oci_mounts_id_table),
	ROW("gidMappings", OCI_LIST, "gid_mappings", .table = &oci_mounts_id_table),
	ROW("sysctl", OCI_TEXTS, "sysctl", .max = 4096),
	ROW("resources", OCI_OBJECT, NULL, .place = OCI_CGROUP, .table = &oci_resources_table),
	ROW("cgroupsPath", OCI_STRING, NULL), /* the agent names the cgroup */
	ROW("namespaces", OCI_LIST, "namespaces", .table = &namespace_table, .most = 16, .unique = "type"),
	ROW("devices", OCI_LIST, "devices", .table = &oci_resources_device_table, .finish = oci_resources_add_nodes),
	ROW("netDevices", OCI_OBJECTS, "netDevices", .table = &net_device_table),
	ROW("seccomp", OCI_OWN, NULL, .table = &oci_seccomp_table, .finish = convert_seccomp),
	ROW("rootfsPropagation", OCI_WORD, "rootPropagation", .words = oci_mounts_propagation),
	ROW("maskedPaths", OCI_STRINGS, "mask_paths"),
	ROW("readonlyPaths", OCI_STRINGS, "readonly_paths"),
	ROW("mountLabel", OCI_STRING, "mount_label"),
	ROW("intelRdt", OCI_OBJECT, "intel_rdt", .table = &rdt_table),
	ROW("memoryPolicy", OCI_OBJECT, "memory_policy", .table = &policy_table),
	ROW("personality", OCI_OBJECT, "personality", .table = &personality_table),
	ROW("timeOffsets", OCI_OBJECT, "time_offsets", .table = &offsets_table),
};
static const struct oci_table linux_table = TABLE(linux_rows, NULL);

/* ---- the document ---- */

static const struct oci_table_row root_rows[] = {
	ROW("path", OCI_STRING, NULL, .flags = OCI_REQUIRED | OCI_NONEMPTY), /* the request's `rootfs` is the root */
	ROW("readonly", OCI_BOOL, "readonlyfs", .place = OCI_CONFIG),
};
static const struct oci_table root_table = TABLE(root_rows, NULL);

static int check_version(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	(void)output, (void)out;
	return strncmp(json_object_get_string(value), "1.", 2) == 0 ? 0 : error_field(err, "", "versions 1.x are accepted");
}

/* "KEY=VALUE", as libcontainer's labels are. */
static int convert_annotations(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	json_object *labels = json_object_new_array();
	int result = oci_table_put(output->config, "labels", labels, err);

	(void)out;
	json_object_object_foreach (value, key, member) {
		struct buf text = { 0 };

		if (result < 0)
			break;
		result = buf_printf(&text, "%s=%s", key, json_object_get_string(member));
		if (result < 0)
			result = error_set(err, ERROR_INTERNAL, -result, "annotations");
		else
			result = oci_table_append(labels, json_object_new_string(buf_bytes(&text)), err);
		buf_free(&text);
	}
	return result;
}

static const struct oci_table_row rows[] = {
	ROW("ociVersion", OCI_STRING, "version", .max = 64, .flags = OCI_REQUIRED, .finish = check_version),
	ROW("process", OCI_OBJECT, NULL, .place = OCI_PROCESS, .table = &process_table, .flags = OCI_REQUIRED),
	ROW("root", OCI_OBJECT, NULL, .table = &root_table, .flags = OCI_REQUIRED),
	ROW("hostname", OCI_STRING, "hostname", .max = 64),
	ROW("domainname", OCI_STRING, "domainname", .max = 64),
	ROW("mounts", OCI_LIST, "mounts", .table = &oci_mounts_table),
	ROW("hooks", OCI_OBJECT, "Hooks", .table = &hooks_table),
	ROW("annotations", OCI_TEXTS, NULL, .max = COFFER_STRING_MAX, .finish = convert_annotations),
	ROW("linux", OCI_OBJECT, NULL, .table = &linux_table),
	REFUSED("solaris", other_system),
	REFUSED("windows", other_system),
	REFUSED("zos", other_system),
	REFUSED("freebsd", other_system),
	REFUSED("vm", "the virtual machine is there already"),
};
const struct oci_table oci_table = TABLE(rows, NULL);

static int convert(json_object *spec, const struct oci_table_output *output, struct error *err)
{
	if (!output->config || !output->process || !output->cgroup)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "convert the spec");
	int result = oci_table_convert(output, spec, &oci_table, output->config, err);
	if (result < 0 || json_object_object_length(output->cgroup) == 0)
		return result;
	return oci_table_put(output->config, "cgroups", json_object_get(output->cgroup), err);
}

int oci_convert(json_object *spec, json_object **config, json_object **process, struct error *err)
{
	const struct oci_table_output output = {
		.config = json_object_new_object(),
		.process = json_object_new_object(),
		.cgroup = json_object_new_object(),
	};
	int result = convert(spec, &output, err);

	json_object_put(output.cgroup);
	if (result < 0) {
		json_object_put(output.config);
		json_object_put(output.process);
	}
	*config = result < 0 ? NULL : output.config;
	*process = result < 0 ? NULL : output.process;
	return result;
}
