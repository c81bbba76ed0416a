/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "container/validate.h"

#define FIELD(owner, key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct owner, member)
#define PRESENT(owner, member)                 .present = offsetof(struct owner, member)
#define REFUSED(key, reason)                                                                                                       \
	{                                                                                                                          \
		.name = key, .kind = DECODE_REFUSED, .why = reason                                                                 \
	}
#define SCHEMA(fields, type)                                                                                                       \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), NULL                                                             \
	}

static const char never_rootless[] = "the agent is root of the VM";

#define SIGNAL_MAX   64
#define MAPPINGS_MAX 340 /* the kernel's UID_GID_MAP_MAX_EXTENTS */

static const struct decode_field path_item = {
	.kind = DECODE_STRING, .flags = DECODE_NONZERO, .max = COFFER_PATH_MAX, .check = decode_check_absolute
};
static const struct decode_field string_item = { .kind = DECODE_STRING, .max = COFFER_STRING_MAX - 1 };
static const struct decode_field flag_item = { .kind = DECODE_INT, .min = 0, .max = INT32_MAX };
static const struct decode_field group_item = { .kind = DECODE_UINT, .max = UINT32_MAX - 1 };

static const struct decode_field attributes_fields[] = {
	{ FIELD(config_attributes, "Attr_set", DECODE_UINT, set), .max = UINT32_MAX },
	{ FIELD(config_attributes, "Attr_clr", DECODE_UINT, clear), .max = UINT32_MAX },
	{ FIELD(config_attributes, "Propagation", DECODE_UINT, propagation), .max = UINT32_MAX },
	REFUSED("Userns_fd", "a descriptor of the host's says nothing here"),
};
static const struct decode_schema attributes_schema = SCHEMA(attributes_fields, config_attributes);

static const struct decode_field mount_fields[] = {
	{ FIELD(config_mount, "source", DECODE_STRING, source) },
	{ FIELD(config_mount, "destination", DECODE_STRING, destination), .flags = DECODE_REQUIRED | DECODE_NONZERO,
	  .check = decode_check_absolute },
	{ FIELD(config_mount, "device", DECODE_STRING, device), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 32 },
	{ FIELD(config_mount, "flags", DECODE_INT, flags), .min = 0, .max = INT32_MAX },
	{ FIELD(config_mount, "propagation_flags", DECODE_LIST, propagation_flags), .item = &flag_item, .max = 8 },
	{ FIELD(config_mount, "data", DECODE_STRING, data), .max = 4000 },
	{ FIELD(config_mount, "cleared_flags", DECODE_INT, cleared_flags), .min = 0, .max = INT32_MAX },
	{ FIELD(config_mount, "extensions", DECODE_INT, extensions), .min = 0, .max = CONFIG_COPY_UP },
	{ FIELD(config_mount, "rec_attr", DECODE_OBJECT, recursive), .schema = &attributes_schema },
	{ FIELD(config_mount, "premount_cmds", DECODE_LIST, premount), .schema = &hooks_command_schema, .max = 32 },
	{ FIELD(config_mount, "postmount_cmds", DECODE_LIST, postmount), .schema = &hooks_command_schema, .max = 32 },
	{ FIELD(config_mount, "relabel", DECODE_STRING, relabel), .max = 2 },
	REFUSED("id_mapping", "the file systems of this VM are mounted without one"),
};
static const struct decode_schema mount_schema = SCHEMA(mount_fields, config_mount);

static const struct decode_field device_fields[] = {
	{ FIELD(config_device, "type", DECODE_INT, type), .flags = DECODE_REQUIRED, .min = 'b', .max = 'p' },
	{ FIELD(config_device, "path", DECODE_STRING, path), .flags = DECODE_REQUIRED | DECODE_NONZERO,
	  .check = decode_check_absolute },
	{ FIELD(config_device, "major", DECODE_INT, major), .min = 0, .max = 4095 },
	{ FIELD(config_device, "minor", DECODE_INT, minor), .min = 0, .max = 1048575 },
	{ FIELD(config_device, "permissions", DECODE_STRING, permissions), .max = 3 },
	{ FIELD(config_device, "file_mode", DECODE_UINT, file_mode), .max = 07777 },
	{ FIELD(config_device, "uid", DECODE_UINT, uid), .max = UINT32_MAX - 1 },
	{ FIELD(config_device, "gid", DECODE_UINT, gid), .max = UINT32_MAX - 1 },
	{ FIELD(config_device, "allow", DECODE_BOOL, allow) },
};
static const struct decode_schema device_schema = SCHEMA(device_fields, config_device);

static const struct decode_field rlimit_fields[] = {
	{ FIELD(config_rlimit, "type", DECODE_INT, type), .flags = DECODE_REQUIRED, .min = 0, .max = RLIM_NLIMITS - 1 },
	{ FIELD(config_rlimit, "hard", DECODE_UINT, hard), .max = UINT64_MAX },
	{ FIELD(config_rlimit, "soft", DECODE_UINT, soft), .max = UINT64_MAX },
};

static int check_rlimit(const void *object, struct error *err)
{
	const struct config_rlimit *limit = object;

	return limit->soft > limit->hard ? error_field(err, "soft", "must not be above hard") : 0;
}

static const struct decode_schema rlimit_schema = { rlimit_fields, array_count(rlimit_fields), sizeof(struct config_rlimit),
						    check_rlimit };

static const struct decode_field fields[] = {
	{ FIELD(config, "no_pivot_root", DECODE_BOOL, no_pivot_root) },
	{ FIELD(config, "parent_death_signal", DECODE_INT, parent_death_signal), .min = 0, .max = SIGNAL_MAX },
	{ FIELD(config, "rootfs", DECODE_STRING, rootfs), .check = decode_check_absolute },
	{ FIELD(config, "readonlyfs", DECODE_BOOL, readonlyfs) },
	{ FIELD(config, "rootPropagation", DECODE_INT, root_propagation), .min = 0, .max = INT32_MAX },
	{ FIELD(config, "mounts", DECODE_LIST, mounts), .schema = &mount_schema, .max = CONFIG_MOUNTS_MAX },
	{ FIELD(config, "devices", DECODE_LIST, devices), .schema = &device_schema, .max = 256 },
	{ FIELD(config, "mount_label", DECODE_STRING, mount_label), .max = 256 },
	{ FIELD(config, "hostname", DECODE_STRING, hostname), .max = 64 },
	{ FIELD(config, "domainname", DECODE_STRING, domainname), .max = 64 },
	{ FIELD(config, "namespaces", DECODE_LIST, entries), .schema = &namespaces_entry_schema, .max = NAMESPACE_KINDS },
	{ FIELD(config, "capabilities", DECODE_RAW, capabilities_json) },
	{ FIELD(config, "networks", DECODE_LIST, networks), .schema = &network_schema, .max = 16 },
	{ FIELD(config, "routes", DECODE_LIST, routes), .schema = &network_route_schema, .max = 64 },
	{ FIELD(config, "cgroups", DECODE_OBJECT, cgroups), .schema = &resources_schema },
	{ FIELD(config, "apparmor_profile", DECODE_STRING, apparmor_profile), .max = 256 },
	{ FIELD(config, "process_label", DECODE_STRING, process_label), .max = 256 },
	{ FIELD(config, "rlimits", DECODE_LIST, rlimits), .schema = &rlimit_schema, .max = RLIM_NLIMITS },
	{ FIELD(config, "oom_score_adj", DECODE_INT, oom_score_adj), .min = -1000, .max = 1000,
	  PRESENT(config, has_oom_score_adj) },
	{ FIELD(config, "uid_mappings", DECODE_LIST, uid_mappings), .schema = &namespaces_mapping_schema, .max = MAPPINGS_MAX },
	{ FIELD(config, "gid_mappings", DECODE_LIST, gid_mappings), .schema = &namespaces_mapping_schema, .max = MAPPINGS_MAX },
	{ FIELD(config, "mask_paths", DECODE_LIST, mask_paths), .item = &path_item, .max = 256 },
	{ FIELD(config, "readonly_paths", DECODE_LIST, readonly_paths), .item = &path_item, .max = 256 },
	{ FIELD(config, "sysctl", DECODE_MAP, sysctl), .max = 256 },
	{ FIELD(config, "seccomp", DECODE_OBJECT, seccomp), .schema = &syscall_filter_schema, PRESENT(config, has_seccomp) },
	{ FIELD(config, "no_new_privileges", DECODE_BOOL, no_new_privileges) },
	{ FIELD(config, "Hooks", DECODE_OBJECT, hooks), .schema = &hooks_schema },
	{ FIELD(config, "version", DECODE_STRING, version), .max = 64 },
	{ FIELD(config, "labels", DECODE_LIST, labels), .item = &string_item, .max = 256 },
	{ FIELD(config, "no_new_keyring", DECODE_BOOL, no_new_keyring) },
	{ FIELD(config, "umask", DECODE_UINT, umask), .max = 0777, PRESENT(config, has_umask) },
	{ FIELD(config, "time_offsets", DECODE_OBJECT, time_offsets), .schema = &namespaces_offsets_schema,
	  PRESENT(config, has_time_offsets) },
	{ FIELD(config, "scheduler", DECODE_OBJECT, scheduling.scheduler), .schema = &scheduling_scheduler_schema,
	  PRESENT(config, scheduling.has_scheduler) },
	{ FIELD(config, "io_priority", DECODE_OBJECT, scheduling.io_priority), .schema = &scheduling_io_priority_schema,
	  PRESENT(config, scheduling.has_io_priority) },
	{ FIELD(config, "personality", DECODE_OBJECT, scheduling.personality), .schema = &scheduling_personality_schema,
	  PRESENT(config, scheduling.has_personality) },
	REFUSED("netDevices", "the agent's network namespace has no devices: the VM's network is vsock"),
	REFUSED("memory_policy", "the VM's memory has one node"),
	REFUSED("exec_cpu_affinity", "cgroups.cpuset_cpus holds for every process"),
	REFUSED("intel_rdt", "the caches of the processor are the host's to divide"),
	REFUSED("rootless_euid", never_rootless),
	REFUSED("rootless_cgroups", never_rootless),
};
const struct decode_schema config_schema = SCHEMA(fields, config);

static const struct decode_field process_fields[] = {
	{ FIELD(config_process, "args", DECODE_LIST, args), .flags = DECODE_REQUIRED | DECODE_NONZERO, .item = &string_item,
	  .max = COFFER_ARGS_MAX },
	{ FIELD(config_process, "env", DECODE_LIST, env), .item = &string_item, .max = COFFER_ARGS_MAX },
	{ FIELD(config_process, "cwd", DECODE_STRING, cwd), .check = decode_check_absolute },
	{ FIELD(config_process, "uid", DECODE_UINT, uid), .max = UINT32_MAX - 1 },
	{ FIELD(config_process, "gid", DECODE_UINT, gid), .max = UINT32_MAX - 1 },
	{ FIELD(config_process, "user", DECODE_STRING, user), .flags = DECODE_NONZERO, .max = 256 },
	{ FIELD(config_process, "additional_groups", DECODE_LIST, additional_groups), .item = &group_item, .max = 64 },
	{ FIELD(config_process, "terminal", DECODE_BOOL, terminal) },
	{ FIELD(config_process, "console_width", DECODE_UINT, console_width), .max = UINT16_MAX },
	{ FIELD(config_process, "console_height", DECODE_UINT, console_height), .max = UINT16_MAX },
	{ FIELD(config_process, "capabilities", DECODE_RAW, capabilities_json), PRESENT(config_process, has_capabilities) },
	{ FIELD(config_process, "no_new_privileges", DECODE_BOOL, no_new_privileges),
	  PRESENT(config_process, has_no_new_privileges) },
	{ FIELD(config_process, "rlimits", DECODE_LIST, rlimits), .schema = &rlimit_schema, .max = RLIM_NLIMITS,
	  PRESENT(config_process, has_rlimits) },
	{ FIELD(config_process, "oom_score_adj", DECODE_INT, oom_score_adj), .min = -1000, .max = 1000,
	  PRESENT(config_process, has_oom_score_adj) },
	{ FIELD(config_process, "umask", DECODE_UINT, umask), .max = 0777, PRESENT(config_process, has_umask) },
	{ FIELD(config_process, "apparmor_profile", DECODE_STRING, apparmor_profile), .max = 256 },
	{ FIELD(config_process, "stdio", DECODE_STRING, stdio_name), .max = 16 },
};
const struct decode_schema config_process_schema = SCHEMA(process_fields, config_process);

int config_decode(json_object *json, struct config *config, struct decode_memory *memory, struct error *err)
{
	int result = decode_object(json, &config_schema, config, memory, err);

	if (result == 0)
		result = namespaces_read(&config->entries, &config->namespaces, err);
	if (result < 0)
		return result;
	config->namespaces.uid = &config->uid_mappings;
	config->namespaces.gid = &config->gid_mappings;
	config->namespaces.time = config->has_time_offsets ? &config->time_offsets : NULL;
	result = validate_config(config, err);
	if (result == 0 && privileges_decode(config->capabilities_json, &config->capabilities, err) < 0)
		result = error_within(err, "capabilities");
	return result;
}

static int check_env(const struct config_process *process, struct error *err)
{
	const char *const *env = process->env.items;

	for (size_t i = 0; i < process->env.count; i++) {
		char field[32];

		snprintf(field, sizeof(field), "env[%zu]", i);
		/* The value is never quoted in an error: it may be a secret. */
		if (env[i][0] == '=' || !strchr(env[i], '='))
			return error_field(err, field, "must be NAME=value");
	}
	return 0;
}

int config_decode_process(json_object *json, struct config_process *process, struct decode_memory *memory, struct error *err)
{
	static const char *const stdio[] = { "stream", "log", "null" };
	int result = decode_object(json, &config_process_schema, process, memory, err);

	if (result == 0)
		result = check_env(process, err);
	if (result < 0)
		return result;
	if (((const char *const *)process->args.items)[0][0] == '\0')
		return error_field(err, "args[0]", "must not be empty");
	if (process->user && (process->uid || process->gid || process->additional_groups.count))
		return error_field(err, "user", "does not go with uid, gid and additional_groups");
	if (process->stdio_name) {
		size_t i = 0;

		while (i < array_count(stdio) && strcmp(stdio[i], process->stdio_name) != 0)
			i++;
		if (i == array_count(stdio))
			return error_field(err, "stdio", "must be \"stream\", \"log\" or \"null\"");
		process->stdio = (enum config_stdio)i;
	}
	if (process->terminal && process->stdio == CONFIG_STDIO_NULL)
		return error_field(err, "stdio", "\"null\" and a terminal exclude each other");
	if (privileges_decode(process->capabilities_json, &process->capabilities, err) < 0)
		return error_within(err, "capabilities");
	return 0;
}
