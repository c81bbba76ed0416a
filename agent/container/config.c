/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/config.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"

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

static const char later[] = "this agent does not act on it yet";
static const char agents_rights[] = "it would run a program with the agent's rights";

static const struct decode_field path_item = {
	.kind = DECODE_STRING, .flags = DECODE_NONZERO, .max = COFFER_PATH_MAX, .check = decode_check_absolute
};
static const struct decode_field string_item = { .kind = DECODE_STRING, .max = COFFER_STRING_MAX - 1 };
static const struct decode_field flag_item = { .kind = DECODE_INT, .min = 0, .max = INT32_MAX };
static const struct decode_field group_item = { .kind = DECODE_UINT, .max = UINT32_MAX - 1 };

static const struct decode_field mount_fields[] = {
	{ FIELD(config_mount, "source", DECODE_STRING, source) },
	{ FIELD(config_mount, "destination", DECODE_STRING, destination), .flags = DECODE_REQUIRED | DECODE_NONZERO,
	  .check = decode_check_absolute },
	{ FIELD(config_mount, "device", DECODE_STRING, device), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 32 },
	{ FIELD(config_mount, "flags", DECODE_INT, flags), .min = 0, .max = INT32_MAX },
	{ FIELD(config_mount, "propagation_flags", DECODE_LIST, propagation_flags), .item = &flag_item, .max = 8 },
	{ FIELD(config_mount, "data", DECODE_STRING, data), .max = 4000 },
	REFUSED("relabel", later),
	REFUSED("extensions", later),
	REFUSED("rec_attr", later),
	REFUSED("cleared_flags", later),
	REFUSED("id_mapping", later),
	REFUSED("premount_cmds", agents_rights),
	REFUSED("postmount_cmds", agents_rights),
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

static const struct decode_field namespace_fields[] = {
	{ FIELD(config_namespace, "type", DECODE_STRING, type), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 16 },
	REFUSED("path", later),
};
static const struct decode_schema namespace_schema = SCHEMA(namespace_fields, config_namespace);

static const struct decode_field network_fields[] = {
	{ FIELD(config_network, "type", DECODE_STRING, type), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 16 },
	REFUSED("name", later),
	REFUSED("bridge", later),
	REFUSED("mac_address", later),
	REFUSED("address", later),
	REFUSED("gateway", later),
	REFUSED("ipv6_address", later),
	REFUSED("ipv6_gateway", later),
	REFUSED("mtu", later),
	REFUSED("txqueuelen", later),
	REFUSED("host_interface_name", later),
	REFUSED("hairpin_mode", later),
};
static const struct decode_schema network_schema = SCHEMA(network_fields, config_network);

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

/* runc writes all six, as null, when there are none. */
static const struct decode_field hook_fields[] = {
	REFUSED("prestart", agents_rights),        REFUSED("poststart", agents_rights),
	REFUSED("poststop", agents_rights),        REFUSED("createRuntime", agents_rights),
	REFUSED("createContainer", agents_rights), REFUSED("startContainer", agents_rights),
};
static const struct decode_schema hook_schema = { hook_fields, array_count(hook_fields), 0, NULL };

static const struct decode_field fields[] = {
	{ FIELD(config, "no_pivot_root", DECODE_BOOL, no_pivot_root) },
	REFUSED("parent_death_signal", later),
	REFUSED("rootfs", "the root file system is named by `rootfs`, beside `config`"),
	{ FIELD(config, "readonlyfs", DECODE_BOOL, readonlyfs) },
	{ FIELD(config, "rootPropagation", DECODE_INT, root_propagation), .min = 0, .max = INT32_MAX },
	{ FIELD(config, "mounts", DECODE_LIST, mounts), .schema = &mount_schema, .max = 256 },
	{ FIELD(config, "devices", DECODE_LIST, devices), .schema = &device_schema, .max = 256 },
	REFUSED("mount_label", later),
	{ FIELD(config, "hostname", DECODE_STRING, hostname), .max = 64 },
	{ FIELD(config, "namespaces", DECODE_LIST, namespaces), .schema = &namespace_schema, .max = 8 },
	{ FIELD(config, "capabilities", DECODE_RAW, capabilities_json) },
	{ FIELD(config, "networks", DECODE_LIST, networks), .schema = &network_schema, .max = 16 },
	REFUSED("routes", later),
	{ FIELD(config, "cgroups", DECODE_OBJECT, cgroups), .schema = &resources_schema },
	REFUSED("apparmor_profile", later),
	REFUSED("process_label", later),
	{ FIELD(config, "rlimits", DECODE_LIST, rlimits), .schema = &rlimit_schema, .max = RLIM_NLIMITS },
	{ FIELD(config, "oom_score_adj", DECODE_INT, oom_score_adj), .min = -1000, .max = 1000,
	  PRESENT(config, has_oom_score_adj) },
	REFUSED("uid_mappings", later),
	REFUSED("gid_mappings", later),
	{ FIELD(config, "mask_paths", DECODE_LIST, mask_paths), .item = &path_item, .max = 256 },
	{ FIELD(config, "readonly_paths", DECODE_LIST, readonly_paths), .item = &path_item, .max = 256 },
	REFUSED("sysctl", later),
	REFUSED("seccomp", later),
	{ FIELD(config, "no_new_privileges", DECODE_BOOL, no_new_privileges) },
	{ .name = "Hooks", .kind = DECODE_OBJECT, .schema = &hook_schema }, /* of no size: nothing is kept */
	{ FIELD(config, "version", DECODE_STRING, version), .max = 64 },
	{ FIELD(config, "labels", DECODE_LIST, labels), .item = &string_item, .max = 256 },
	{ FIELD(config, "no_new_keyring", DECODE_BOOL, no_new_keyring) },
	REFUSED("umask", "the umask belongs to `process`"),
	REFUSED("domainname", later),
	REFUSED("netDevices", later),
	REFUSED("time_offsets", later),
	REFUSED("scheduler", later),
	REFUSED("io_priority", later),
	REFUSED("personality", later),
	REFUSED("memory_policy", later),
	REFUSED("exec_cpu_affinity", later),
	REFUSED("intel_rdt", later),
	REFUSED("rootless_euid", later),
	REFUSED("rootless_cgroups", later),
};
const struct decode_schema config_schema = SCHEMA(fields, config);

static const struct decode_field process_fields[] = {
	{ FIELD(config_process, "args", DECODE_LIST, args), .flags = DECODE_REQUIRED | DECODE_NONZERO, .item = &string_item,
	  .max = COFFER_ARGS_MAX },
	{ FIELD(config_process, "env", DECODE_LIST, env), .item = &string_item, .max = COFFER_ARGS_MAX },
	{ FIELD(config_process, "cwd", DECODE_STRING, cwd), .check = decode_check_absolute },
	{ FIELD(config_process, "uid", DECODE_UINT, uid), .max = UINT32_MAX - 1 },
	{ FIELD(config_process, "gid", DECODE_UINT, gid), .max = UINT32_MAX - 1 },
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
	{ FIELD(config_process, "stdio", DECODE_STRING, stdio_name), .max = 16 },
};
const struct decode_schema config_process_schema = SCHEMA(process_fields, config_process);

static const struct {
	const char *type;
	unsigned long flag; /* 0: known, refused */
} namespaces[] = {
	{ "NEWNS", CLONE_NEWNS },   { "NEWPID", CLONE_NEWPID },       { "NEWUTS", CLONE_NEWUTS }, { "NEWIPC", CLONE_NEWIPC },
	{ "NEWNET", CLONE_NEWNET }, { "NEWCGROUP", CLONE_NEWCGROUP }, { "NEWUSER", 0 },           { "NEWTIME", 0 },
};

static int check_namespaces(struct config *config, struct error *err)
{
	const struct config_namespace *wanted = config->namespaces.items;

	for (size_t i = 0; i < config->namespaces.count; i++) {
		char field[48];
		size_t row = 0;

		snprintf(field, sizeof(field), "namespaces[%zu].type", i);
		while (row < array_count(namespaces) && strcmp(namespaces[row].type, wanted[i].type) != 0)
			row++;
		if (row == array_count(namespaces))
			return error_field(err, field, "unknown namespace type");
		if (namespaces[row].flag == 0) {
			int result = error_field(err, field, "%s: %s", wanted[i].type, later);

			err->code = ERROR_UNSUPPORTED_FIELD;
			return result;
		}
		if (config->clone_flags & namespaces[row].flag)
			return error_field(err, field, "%s is named twice", wanted[i].type);
		config->clone_flags |= namespaces[row].flag;
	}
	if (!(config->clone_flags & CLONE_NEWNS))
		return error_field(err, "namespaces", "NEWNS is needed: a container never mounts in the agent's namespace");
	if (config->hostname && config->hostname[0] && !(config->clone_flags & CLONE_NEWUTS))
		return error_field(err, "hostname", "needs the namespace NEWUTS");
	if (config->networks.count > 0 && !(config->clone_flags & CLONE_NEWNET))
		return error_field(err, "networks", "needs the namespace NEWNET");
	return 0;
}

static int check_networks(const struct config *config, struct error *err)
{
	const struct config_network *networks = config->networks.items;

	for (size_t i = 0; i < config->networks.count; i++) {
		char field[48];

		if (strcmp(networks[i].type, "loopback") == 0)
			continue;
		snprintf(field, sizeof(field), "networks[%zu].type", i);
		int result = error_field(err, field, "only \"loopback\" is acted on");
		err->code = ERROR_UNSUPPORTED_FIELD;
		return result;
	}
	return 0;
}

static int check_devices(const struct config *config, struct error *err)
{
	const struct config_device *devices = config->devices.items;

	for (size_t i = 0; i < config->devices.count; i++) {
		char field[48];

		snprintf(field, sizeof(field), "devices[%zu].type", i);
		if (devices[i].type != 'c' && devices[i].type != 'b' && devices[i].type != 'p')
			return error_field(err, field, "99 (c), 98 (b) and 112 (p) are accepted");
	}
	return 0;
}

#define PROPAGATION (MS_REC | MS_PRIVATE | MS_SLAVE | MS_SHARED | MS_UNBINDABLE)

static int check_propagation(const struct config *config, struct error *err)
{
	if (config->root_propagation & ~(int64_t)PROPAGATION)
		return error_field(err, "rootPropagation",
				   "only MS_REC and one of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE are accepted");
	/* A shared root would carry the container's mounts into the agent's namespace. */
	if (config->root_propagation & (MS_SHARED | MS_UNBINDABLE)) {
		int result = error_field(err, "rootPropagation", "%s", later);

		err->code = ERROR_UNSUPPORTED_FIELD;
		return result;
	}
	return 0;
}

int config_decode(json_object *json, struct config *config, struct decode_memory *memory, struct error *err)
{
	int result = decode_object(json, &config_schema, config, memory, err);

	if (result == 0)
		result = check_namespaces(config, err);
	if (result == 0)
		result = check_networks(config, err);
	if (result == 0)
		result = check_devices(config, err);
	if (result == 0)
		result = check_propagation(config, err);
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
	if (!process->has_umask)
		process->umask = 022;
	if (privileges_decode(process->capabilities_json, &process->capabilities, err) < 0)
		return error_within(err, "capabilities");
	return 0;
}
