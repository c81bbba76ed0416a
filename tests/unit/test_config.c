/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/config.c agent/container/privileges.c agent/container/resources.c agent/container/validate.c */
/* links: agent/container/hooks.c agent/container/namespaces.c agent/container/network.c agent/container/scheduling.c */
/* links: agent/container/syscall_filter.c agent/container/sysctl.c agent/sys/links.c agent/sys/netlink.c agent/sys/libraries.c */
/* links: agent/sys/paths.c tests/fake/modules.c */
/* links: agent/sys/labels.c */
/* libcontainer's Config and the process object: every known key is acted on or refused by name, none is lost. */
#include "unit/test.h"

#include <sched.h>
#include <sys/mount.h>

#include "container/config.h"
#include "container/validate.h"
#include "coffer/protocol.h"

static struct {
	json_object *json;
	struct decode_memory memory;
	struct config config;
	struct config_process process;
	struct error err;
} t;

static int clean(void **state)
{
	(void)state;
	json_object_put(t.json);
	t.json = NULL;
	decode_free(&t.memory);
	return 0;
}

static int decode_config(const char *text)
{
	clean(NULL);
	memset(&t.err, 0, sizeof(t.err));
	int result = decode_parse(text, strlen(text), &t.json, &t.err);

	return result < 0 ? result : config_decode(t.json, &t.config, &t.memory, &t.err);
}

static int decode_process(const char *text)
{
	clean(NULL);
	memset(&t.err, 0, sizeof(t.err));
	int result = decode_parse(text, strlen(text), &t.json, &t.err);

	return result < 0 ? result : config_decode_process(t.json, &t.process, &t.memory, &t.err);
}

/* With the namespaces that nothing goes without. */
static int config_with(const char *members)
{
	char text[4096];

	snprintf(text, sizeof(text), "{\"namespaces\":[{\"type\":\"NEWNS\"},{\"type\":\"NEWUTS\"},{\"type\":\"NEWNET\"}]%s%s}",
		 members[0] ? "," : "", members);
	return decode_config(text);
}

static int process_with(const char *members)
{
	char text[4096];

	snprintf(text, sizeof(text), "{\"args\":[\"x\"]%s%s}", members[0] ? "," : "", members);
	return decode_process(text);
}

/* ---- the tables against the known shapes ---- */

static const struct decode_field *find(const struct decode_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++) {
		if (strcmp(schema->fields[i].name, name) == 0)
			return &schema->fields[i];
	}
	return NULL;
}

/* Keys of libcontainer's Config, from 2016 to today's runc; "mounts.x" is a key of an element. */
static const char *const known_keys[] = {
	/* 2016 */
	"no_pivot_root",
	"parent_death_signal",
	"rootfs",
	"readonlyfs",
	"rootPropagation",
	"mounts",
	"devices",
	"mount_label",
	"hostname",
	"namespaces",
	"capabilities",
	"networks",
	"routes",
	"cgroups",
	"apparmor_profile",
	"process_label",
	"rlimits",
	"oom_score_adj",
	"uid_mappings",
	"gid_mappings",
	"mask_paths",
	"readonly_paths",
	"sysctl",
	"seccomp",
	"no_new_privileges",
	"Hooks",
	"version",
	"labels",
	"no_new_keyring",
	"mounts.source",
	"mounts.destination",
	"mounts.device",
	"mounts.flags",
	"mounts.propagation_flags",
	"mounts.data",
	"mounts.relabel",
	"mounts.extensions",
	"mounts.premount_cmds",
	"mounts.postmount_cmds",
	"devices.type",
	"devices.path",
	"devices.major",
	"devices.minor",
	"devices.permissions",
	"devices.file_mode",
	"devices.uid",
	"devices.gid",
	"devices.allow",
	"namespaces.type",
	"namespaces.path",
	"networks.type",
	"networks.name",
	"networks.bridge",
	"networks.mac_address",
	"networks.address",
	"networks.gateway",
	"networks.ipv6_address",
	"networks.ipv6_gateway",
	"networks.mtu",
	"networks.txqueuelen",
	"networks.host_interface_name",
	"networks.hairpin_mode",
	"rlimits.type",
	"rlimits.hard",
	"rlimits.soft",
	"cgroups.name",
	"cgroups.parent",
	"cgroups.path",
	"cgroups.scope_prefix",
	"cgroups.Paths",
	"cgroups.allow_all_devices",
	"cgroups.allowed_devices",
	"cgroups.denied_devices",
	"cgroups.devices",
	"cgroups.memory",
	"cgroups.memory_reservation",
	"cgroups.memory_swap",
	"cgroups.kernel_memory",
	"cgroups.kernel_memory_tcp",
	"cgroups.cpu_shares",
	"cgroups.cpu_quota",
	"cgroups.cpu_period",
	"cgroups.cpu_rt_quota",
	"cgroups.cpu_rt_period",
	"cgroups.cpuset_cpus",
	"cgroups.cpuset_mems",
	"cgroups.pids_limit",
	"cgroups.blkio_weight",
	"cgroups.blkio_leaf_weight",
	"cgroups.blkio_weight_device",
	"cgroups.blkio_throttle_read_bps_device",
	"cgroups.blkio_throttle_write_bps_device",
	"cgroups.blkio_throttle_read_iops_device",
	"cgroups.blkio_throttle_write_iops_device",
	"cgroups.freezer",
	"cgroups.hugetlb_limit",
	"cgroups.oom_kill_disable",
	"cgroups.memory_swappiness",
	"cgroups.net_prio_ifpriomap",
	"cgroups.net_cls_classid_u",
	/* 2019 and 2020 */
	"intel_rdt",
	"rootless_euid",
	"rootless_cgroups",
	"cgroups.cpu_weight",
	"cgroups.cpu_max",
	/* runc 1.1 */
	"umask",
	"mounts.rec_attr",
	"cgroups.rdma",
	"cgroups.unified",
	"cgroups.Systemd",
	"cgroups.Rootless",
	/* runc today */
	"domainname",
	"netDevices",
	"time_offsets",
	"scheduler",
	"io_priority",
	"personality",
	"memory_policy",
	"exec_cpu_affinity",
	"mounts.cleared_flags",
	"mounts.id_mapping",
	"cgroups.cpu_burst",
	"cgroups.cpu_idle",
	"cgroups.memory_check_before_update",
	"cgroups.owner_uid",
};

static void every_known_key_has_a_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(known_keys); i++) {
		const char *dot = strchr(known_keys[i], '.');
		const struct decode_schema *schema = &config_schema;
		char first[64];

		snprintf(first, sizeof(first), "%.*s", dot ? (int)(dot - known_keys[i]) : 63, known_keys[i]);
		const struct decode_field *field = find(schema, first);
		check_row(field, "%s has no row", first);
		if (!dot)
			continue;
		check_row(field->schema, "%s is not looked into", first);
		check_row(find(field->schema, dot + 1), "%s has no row", known_keys[i]);
	}
}

/* Every key of a file, at every level that the tables look into. */
static void compare(const struct decode_schema *schema, json_object *json, const char *where)
{
	json_object_object_foreach (json, key, value) {
		const struct decode_field *field = find(schema, key);
		char path[256];

		snprintf(path, sizeof(path), "%s.%s", where, key);
		check_row(field, "%s has no row", path);
		if (field->kind == DECODE_OBJECT && value) {
			compare(field->schema, value, path);
		} else if (field->kind == DECODE_LIST && field->schema && value) {
			for (size_t i = 0; i < json_object_array_length(value); i++)
				compare(field->schema, json_object_array_get_idx(value, i), path);
		}
	}
}

static void every_key_of_recorded_configs_has_a_row(void **state)
{
	static const char *const files[] = { "libcontainer-2016.json", "libcontainer-2019.json", "runc-1.1.5-state.json" };

	(void)state;
	for (size_t i = 0; i < array_count(files); i++) {
		char path[128];
		json_object *config;

		snprintf(path, sizeof(path), "tests/data/%s", files[i]);
		json_object *json = json_object_from_file(path);
		check_row(json, "%s", path);
		if (!json_object_object_get_ex(json, "config", &config))
			config = json;
		compare(&config_schema, config, files[i]);
		json_object_put(json);
	}
}

/* Whole, as they are: what this VM does not allow of them is said when a container is made. */
static void recorded_configs_decode(void **state)
{
	static const char *const files[] = { "libcontainer-2016.json", "libcontainer-2019.json" };

	(void)state;
	for (size_t i = 0; i < array_count(files); i++) {
		char path[128];

		clean(NULL);
		snprintf(path, sizeof(path), "tests/data/%s", files[i]);
		t.json = json_object_from_file(path);
		assert_worked(config_decode(t.json, &t.config, &t.memory, &t.err), &t.err);
		assert_int_equal(t.config.namespaces.create,
				 CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUSER);
		assert_int_equal(t.config.namespaces.join, CLONE_NEWNET);
		assert_string_equal(t.config.namespaces.paths[NAMESPACE_NET], "/run/netns/x");
		assert_int_equal(t.config.parent_death_signal, 9);
		assert_int_equal(t.config.uid_mappings.count, 1);
		assert_int_equal(t.config.routes.count, 1);
		assert_int_equal(t.config.seccomp.rules.count, 2);
		assert_true(t.config.has_seccomp && t.config.seccomp.default_action == 2);
		assert_int_equal(t.config.hooks.prestart.count, 1);
		const struct config_mount *mounts = t.config.mounts.items;
		assert_int_equal(mounts[1].extensions, CONFIG_COPY_UP);
		assert_int_equal(mounts[1].premount.count, 1);
		const struct hooks_command *command = mounts[1].postmount.items;
		assert_true(command->timeout == 5000000000 && !command->has_env);
		assert_string_equal(mounts[2].relabel, "Z");
		assert_failed(validate_allowed(&t.config, &t.err), &t.err, ERROR_UNSUPPORTED_FIELD, "process_label");
	}
}

/* What runc 1.1.5 writes for a default container. */
static void a_genuine_config_decodes(void **state)
{
	json_object *state_file = json_object_from_file("tests/data/runc-1.1.5-state.json"), *config;

	(void)state;
	assert_non_null(state_file);
	assert_true(json_object_object_get_ex(state_file, "config", &config));
	int result = config_decode(config, &t.config, &t.memory, &t.err);
	if (result == 0) {
		assert_int_equal(t.config.mounts.count, 7);
		assert_int_equal(t.config.devices.count, 6);
		assert_int_equal(t.config.cgroups.devices.count, 12);
		assert_int_equal(t.config.mask_paths.count, 10);
		assert_string_equal(t.config.hostname, "runc");
		assert_int_equal(t.config.namespaces.create,
				 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS);
		assert_true(t.config.no_new_privileges);
		assert_int_equal(t.config.capabilities.bounding, 1u << 29 | 1u << 5 | 1u << 10);
		/* It names them, but not as inheritable: the kernel raises none. */
		assert_int_equal(t.config.capabilities.ambient, 0);
		result = validate_allowed(&t.config, &t.err);
	}
	json_object_put(state_file);
	assert_worked(result, &t.err);
}

/* The zero Config that Go writes: every key there, everything null, 0, "" or false. */
static void the_zero_config_lacks_only_its_namespaces(void **state)
{
	static const char zero[] =
		"{\"no_pivot_root\":false,\"parent_death_signal\":0,\"rootfs\":\"\",\"readonlyfs\":false,\"rootPropagation\":0,"
		"\"mounts\":null,\"devices\":null,\"mount_label\":\"\",\"hostname\":\"\",\"namespaces\":null,\"capabilities\":null,"
		"\"networks\":null,\"routes\":null,\"cgroups\":null,\"oom_score_adj\":0,\"uid_mappings\":null,\"gid_mappings\":"
		"null,"
		"\"mask_paths\":null,\"readonly_paths\":null,\"sysctl\":null,\"seccomp\":null,\"Hooks\":null,\"version\":\"\","
		"\"labels\":null,\"no_new_keyring\":false}";
	char text[sizeof(zero) + 64];

	(void)state;
	assert_failed(decode_config(zero), &t.err, ERROR_PARAMS, "namespaces");
	const char *at = strstr(zero, "\"namespaces\":null");
	snprintf(text, sizeof(text), "%.*s\"namespaces\":[{\"type\":\"NEWNS\"}]%s", (int)(at - zero), zero,
		 at + strlen("\"namespaces\":null"));
	assert_worked(decode_config(text), &t.err);
	assert_true(t.config.has_oom_score_adj);
	assert_int_equal(t.config.capabilities.bounding, 0);
}

/* A row that is refused says so for anything that means something, wherever it stands. */
static void refuse_all(const struct decode_schema *schema, const char *before, const char *after, const char *prefix, size_t *seen)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct decode_field *field = &schema->fields[i];
		char text[1024], path[128];

		if (field->kind != DECODE_REFUSED)
			continue;
		snprintf(path, sizeof(path), "%s%s", prefix, field->name);
		snprintf(text, sizeof(text), "%s\"%s\":1%s", before, field->name, after);
		assert_failed(config_with(text), &t.err, ERROR_UNSUPPORTED_FIELD, path);
		snprintf(text, sizeof(text), "%s\"%s\":{\"k\":[0]}%s", before, field->name, after);
		assert_failed(config_with(text), &t.err, ERROR_UNSUPPORTED_FIELD, path);
		snprintf(text, sizeof(text), "%s\"%s\":null%s", before, field->name, after);
		assert_worked(config_with(text), &t.err);
		++*seen;
	}
}

static void refused_rows_name_their_path(void **state)
{
	size_t seen = 0;

	(void)state;
	refuse_all(&config_schema, "", "", "", &seen);
	refuse_all(find(&config_schema, "mounts")->schema,
		   "\"mounts\":[{\"destination\":\"/a\",\"device\":\"tmpfs\"},{\"destination\":\"/a\",\"device\":\"tmpfs\",", "}]",
		   "mounts[1].", &seen);
	refuse_all(find(&config_schema, "seccomp")->schema, "\"seccomp\":{\"default_action\":4,", "}", "seccomp.", &seen);
	assert_int_equal(seen, 9);
	assert_failed(decode_config("{\"namespaces\":[{\"type\":\"NEWNS\",\"path\":\"/proc/1/ns/mnt\"}]}"), &t.err,
		      ERROR_UNSUPPORTED_FIELD, "namespaces[0].path");
}

/* No test machine has a list of programs that its image allows. */
static void hooks_would_run_programs(void **state)
{
	static const char *const kinds[] = { "prestart", "poststart", "poststop", "createRuntime", "createContainer" };
	char text[256], field[64];

	(void)state;
	for (size_t i = 0; i < array_count(kinds); i++) {
		snprintf(text, sizeof(text), "\"Hooks\":{\"%s\":[{\"path\":\"/bin/true\"}]}", kinds[i]);
		assert_worked(config_with(text), &t.err);
		snprintf(field, sizeof(field), "Hooks.%s[0].path", kinds[i]);
		assert_failed(validate_allowed(&t.config, &t.err), &t.err, ERROR_UNSUPPORTED_FIELD, field);
		/* As runc writes it when there are none. */
		snprintf(text, sizeof(text), "\"Hooks\":{\"%s\":null}", kinds[i]);
		assert_worked(config_with(text), &t.err);
		assert_worked(validate_allowed(&t.config, &t.err), &t.err);
	}
	/* With the container's own rights. */
	assert_worked(config_with("\"Hooks\":{\"startContainer\":[{\"path\":\"/bin/true\"}]}"), &t.err);
	assert_worked(validate_allowed(&t.config, &t.err), &t.err);
	assert_worked(
		config_with("\"mounts\":[{\"destination\":\"/a\",\"device\":\"tmpfs\",\"premount_cmds\":[{\"path\":\"/x\"}]}]"),
		&t.err);
	assert_failed(validate_allowed(&t.config, &t.err), &t.err, ERROR_UNSUPPORTED_FIELD, "mounts[0].premount_cmds[0].path");
	assert_failed(config_with("\"Hooks\":{\"prestart\":[{\"path\":\"true\"}]}"), &t.err, ERROR_PARAMS,
		      "Hooks.prestart[0].path");
	assert_true(config_with("\"Hooks\":{\"colour\":null}") < 0);
}

/* ---- what is acted on ---- */

static void every_integer_row_has_a_range(void **state)
{
	const struct decode_schema *schemas[] = { &config_schema, &config_process_schema, NULL, NULL, NULL, NULL };

	(void)state;
	schemas[2] = find(&config_schema, "cgroups")->schema;
	schemas[3] = find(&config_schema, "mounts")->schema;
	schemas[4] = find(&config_schema, "devices")->schema;
	schemas[5] = find(&config_schema, "rlimits")->schema;
	for (size_t s = 0; s < array_count(schemas); s++) {
		for (size_t i = 0; i < schemas[s]->count; i++) {
			const struct decode_field *field = &schemas[s]->fields[i];

			if (field->kind == DECODE_INT || field->kind == DECODE_UINT || field->kind == DECODE_LIST)
				check_row(field->max > 0, "%s would take only 0", field->name);
			check_row(field->kind != DECODE_LIST || field->item || field->schema, "%s: a list of what?", field->name);
			for (size_t j = 0; j < i; j++)
				check_row(strcmp(field->name, schemas[s]->fields[j].name) != 0, "%s twice", field->name);
		}
	}
}

static void config_members(void **state)
{
	static const struct {
		const char *members;
		enum error_code code; /* ERROR_NONE: accepted */
		const char *field;
	} rows[] = {
		{ "", ERROR_NONE, "" },
		{ "\"colour\":1", ERROR_PARAMS, "colour" },
		{ "\"hostname\":\"c1\"", ERROR_NONE, "" },
		{ "\"hostname\":\"01234567890123456789012345678901234567890123456789012345678901234\"", ERROR_PARAMS, "hostname" },
		{ "\"oom_score_adj\":1000", ERROR_NONE, "" },
		{ "\"oom_score_adj\":-1000", ERROR_NONE, "" },
		{ "\"oom_score_adj\":1001", ERROR_PARAMS, "oom_score_adj" },
		{ "\"oom_score_adj\":-1001", ERROR_PARAMS, "oom_score_adj" },
		{ "\"rlimits\":[{\"type\":7,\"hard\":1024,\"soft\":1024}]", ERROR_NONE, "" },
		{ "\"rlimits\":[{\"type\":7,\"hard\":18446744073709551615,\"soft\":1}]", ERROR_NONE, "" },
		{ "\"rlimits\":[{\"type\":7,\"hard\":1,\"soft\":2}]", ERROR_PARAMS, "rlimits[0].soft" },
		{ "\"rlimits\":[{\"type\":16,\"hard\":1,\"soft\":1}]", ERROR_PARAMS, "rlimits[0].type" },
		{ "\"rlimits\":[{\"type\":-1,\"hard\":1,\"soft\":1}]", ERROR_PARAMS, "rlimits[0].type" },
		{ "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"hard\":1,\"soft\":1}]", ERROR_PARAMS, "rlimits[0].type" },
		{ "\"mask_paths\":[\"/proc/kcore\"]", ERROR_NONE, "" },
		{ "\"mask_paths\":[\"/proc/kcore\",\"proc\"]", ERROR_PARAMS, "mask_paths[1]" },
		{ "\"mask_paths\":[\"\"]", ERROR_PARAMS, "mask_paths[0]" },
		{ "\"readonly_paths\":[null]", ERROR_PARAMS, "readonly_paths[0]" },
		{ "\"mounts\":[{\"destination\":\"/proc\",\"device\":\"proc\",\"source\":\"proc\",\"flags\":14}]", ERROR_NONE, "" },
		{ "\"mounts\":[{\"destination\":\"proc\",\"device\":\"proc\"}]", ERROR_PARAMS, "mounts[0].destination" },
		{ "\"mounts\":[{\"destination\":\"\",\"device\":\"proc\"}]", ERROR_PARAMS, "mounts[0].destination" },
		{ "\"mounts\":[{\"device\":\"proc\"}]", ERROR_PARAMS, "mounts[0].destination" },
		{ "\"mounts\":[{\"destination\":\"/proc\"}]", ERROR_PARAMS, "mounts[0].device" },
		{ "\"mounts\":[{\"destination\":\"/proc\",\"device\":\"proc\",\"flags\":-1}]", ERROR_PARAMS, "mounts[0].flags" },
		{ "\"mounts\":[{\"destination\":\"/a\",\"device\":\"bind\",\"propagation_flags\":[262144,\"x\"]}]", ERROR_PARAMS,
		  "mounts[0].propagation_flags[1]" },
		{ "\"devices\":[{\"type\":99,\"path\":\"/dev/null\",\"major\":1,\"minor\":3,\"file_mode\":438}]", ERROR_NONE, "" },
		{ "\"devices\":[{\"type\":97,\"path\":\"/dev/null\"}]", ERROR_PARAMS, "devices[0].type" },
		{ "\"devices\":[{\"type\":100,\"path\":\"/dev/null\"}]", ERROR_PARAMS, "devices[0].type" },
		{ "\"devices\":[{\"type\":\"c\",\"path\":\"/dev/null\"}]", ERROR_PARAMS, "devices[0].type" },
		{ "\"devices\":[{\"type\":99,\"path\":\"/dev/null\",\"major\":-1}]", ERROR_PARAMS, "devices[0].major" },
		{ "\"devices\":[{\"type\":99,\"path\":\"/dev/null\",\"file_mode\":65535}]", ERROR_PARAMS, "devices[0].file_mode" },
		{ "\"devices\":[{\"type\":99,\"path\":\"/dev/null\",\"uid\":4294967295}]", ERROR_PARAMS, "devices[0].uid" },
		{ "\"networks\":[{\"type\":\"loopback\"}]", ERROR_NONE, "" },
		{ "\"networks\":[{\"type\":\"loopback\"},{\"type\":\"veth\"}]", ERROR_PARAMS, "networks[1].name" },
		{ "\"rootPropagation\":540672", ERROR_NONE, "" }, /* MS_SLAVE | MS_REC */
		{ "\"rootPropagation\":278528", ERROR_NONE, "" }, /* MS_PRIVATE | MS_REC */
		{ "\"rootPropagation\":1048576", ERROR_NONE, "" },
		{ "\"rootPropagation\":131072", ERROR_NONE, "" },
		{ "\"rootPropagation\":393216", ERROR_PARAMS, "rootPropagation" },
		{ "\"rootPropagation\":1", ERROR_PARAMS, "rootPropagation" },
		{ "\"rootPropagation\":4096", ERROR_PARAMS, "rootPropagation" },
		{ "\"rootPropagation\":-1", ERROR_PARAMS, "rootPropagation" },
		{ "\"cgroups\":{\"memory\":67108864,\"memory_swap\":-1,\"pids_limit\":100,\"cpu_shares\":512}", ERROR_NONE, "" },
		{ "\"cgroups\":{\"memory\":-1}", ERROR_NONE, "" },
		{ "\"cgroups\":{\"memory\":-2}", ERROR_PARAMS, "cgroups.memory" },
		{ "\"cgroups\":{\"memory_swap\":5}", ERROR_PARAMS, "cgroups.memory_swap" },
		{ "\"cgroups\":{\"memory\":10,\"memory_swap\":9}", ERROR_PARAMS, "cgroups.memory_swap" },
		{ "\"cgroups\":{\"memory\":10,\"memory_swap\":10}", ERROR_NONE, "" },
		{ "\"cgroups\":{\"memory\":-1,\"memory_swap\":10}", ERROR_PARAMS, "cgroups.memory_swap" },
		{ "\"cgroups\":{\"cpu_shares\":262145}", ERROR_PARAMS, "cgroups.cpu_shares" },
		{ "\"cgroups\":{\"cpu_shares\":-1}", ERROR_PARAMS, "cgroups.cpu_shares" },
		{ "\"cgroups\":{\"cpu_period\":999}", ERROR_PARAMS, "cgroups.cpu_period" },
		{ "\"cgroups\":{\"cpu_period\":1000001}", ERROR_PARAMS, "cgroups.cpu_period" },
		{ "\"cgroups\":{\"cpu_period\":1000,\"cpu_quota\":1000}", ERROR_NONE, "" },
		{ "\"cgroups\":{\"cpu_quota\":999}", ERROR_PARAMS, "cgroups.cpu_quota" },
		{ "\"cgroups\":{\"cpu_quota\":-1}", ERROR_NONE, "" },
		{ "\"capabilities\":[\"CAP_CHOWN\"]", ERROR_NONE, "" },
		{ "\"capabilities\":[\"CAP_CHOWN\",\"CAP_CHOW\"]", ERROR_PARAMS, "capabilities[1]" },
		{ "\"capabilities\":{\"Bounding\":[\"CAP_X\"]}", ERROR_PARAMS, "capabilities.Bounding[0]" },
		{ "\"capabilities\":\"CAP_CHOWN\"", ERROR_PARAMS, "capabilities" },
		/* Go takes these spellings; a restriction must not hang on which reader is asked. */
		{ "\"Hostname\":\"c1\"", ERROR_PARAMS, "Hostname" },
		{ "\"hooks\":{}", ERROR_PARAMS, "hooks" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = config_with(rows[i].members);

		check_row((result == 0) == (rows[i].code == ERROR_NONE), "%s: %s: %s", rows[i].members, t.err.field, t.err.message);
		if (result < 0)
			check_row(t.err.code == rows[i].code && strcmp(t.err.field, rows[i].field) == 0, "%s: %s, field \"%s\": %s",
				  rows[i].members, error_wire_name(t.err.code), t.err.field, t.err.message);
	}
}

static void namespaces(void **state)
{
	static const struct {
		const char *list;
		unsigned long flags; /* 0: refused */
		enum error_code code;
		const char *field;
	} rows[] = {
		{ "[{\"type\":\"NEWNS\"}]", CLONE_NEWNS, ERROR_NONE, "" },
		{ "[{\"type\":\"NEWNS\",\"path\":\"\"},{\"type\":\"NEWPID\"},{\"type\":\"NEWUTS\"},{\"type\":\"NEWIPC\"},{\"type\":"
		  "\"NEWNET\"},"
		  "{\"type\":\"NEWCGROUP\"}]",
		  CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP, ERROR_NONE, "" },
		{ "[]", 0, ERROR_PARAMS, "namespaces" },
		{ "null", 0, ERROR_PARAMS, "namespaces" },
		{ "[{\"type\":\"NEWPID\"}]", 0, ERROR_PARAMS, "namespaces" },
		{ "[{\"type\":\"NEWNS\"},{\"type\":\"NEWNS\"}]", 0, ERROR_PARAMS, "namespaces[1].type" },
		{ "[{\"type\":\"NEWNS\"},{\"type\":\"NEWUSER\"}]", 0, ERROR_PARAMS, "uid_mappings" },
		{ "[{\"type\":\"NEWNS\"},{\"type\":\"NEWTIME\"}]", CLONE_NEWNS | 0x80, ERROR_NONE, "" },
		{ "[{\"type\":\"mount\"}]", 0, ERROR_PARAMS, "namespaces[0].type" },
		{ "[{\"type\":\"newns\"}]", 0, ERROR_PARAMS, "namespaces[0].type" },
		{ "[{\"type\":\"\"}]", 0, ERROR_PARAMS, "namespaces[0].type" },
		{ "[{}]", 0, ERROR_PARAMS, "namespaces[0].type" },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		snprintf(text, sizeof(text), "{\"namespaces\":%s}", rows[i].list);
		int result = decode_config(text);
		check_row((result == 0) == (rows[i].flags != 0), "%s: %s", rows[i].list, t.err.message);
		if (result == 0)
			check_row(t.config.namespaces.create == rows[i].flags, "%s: %lx", rows[i].list, t.config.namespaces.create);
		else
			check_row(t.err.code == rows[i].code && strcmp(t.err.field, rows[i].field) == 0, "%s: %s %s", rows[i].list,
				  error_wire_name(t.err.code), t.err.field);
	}
	assert_failed(decode_config("{\"namespaces\":[{\"type\":\"NEWNS\"}],\"hostname\":\"x\"}"), &t.err, ERROR_PARAMS,
		      "hostname");
	assert_failed(decode_config("{\"namespaces\":[{\"type\":\"NEWNS\"}],\"networks\":[{\"type\":\"loopback\"}]}"), &t.err,
		      ERROR_PARAMS, "networks");
}

static void process_members(void **state)
{
	static const struct {
		const char *members, *field; /* NULL: accepted */
	} rows[] = {
		{ "", NULL },
		{ "\"env\":[\"A=1\",\"B=\",\"C==\"]", NULL },
		{ "\"env\":[\"A\"]", "env[0]" },
		{ "\"env\":[\"A=1\",\"=x\"]", "env[1]" },
		{ "\"env\":[\"\"]", "env[0]" },
		{ "\"env\":[null]", "env[0]" },
		{ "\"cwd\":\"/x\"", NULL },
		{ "\"cwd\":\"\"", NULL },
		{ "\"cwd\":\"x\"", "cwd" },
		{ "\"uid\":4294967294,\"gid\":0", NULL },
		{ "\"uid\":4294967295", "uid" },
		{ "\"uid\":-1", "uid" },
		{ "\"uid\":\"root\"", "uid" },
		{ "\"gid\":4294967295", "gid" },
		{ "\"additional_groups\":[1,2]", NULL },
		{ "\"additional_groups\":[1,4294967295]", "additional_groups[1]" },
		{ "\"additional_groups\":[\"wheel\"]", "additional_groups[0]" },
		{ "\"terminal\":true,\"console_width\":80,\"console_height\":25", NULL },
		{ "\"terminal\":1", "terminal" },
		{ "\"console_width\":65536", "console_width" },
		{ "\"umask\":511", NULL },
		{ "\"umask\":512", "umask" },
		{ "\"stdio\":\"stream\"", NULL },
		{ "\"stdio\":\"log\"", NULL },
		{ "\"stdio\":\"null\"", NULL },
		{ "\"stdio\":\"pipe\"", "stdio" },
		{ "\"stdio\":\"\"", "stdio" },
		{ "\"stdio\":\"null\",\"terminal\":true", "stdio" },
		{ "\"rlimits\":[{\"type\":0,\"hard\":1,\"soft\":2}]", "rlimits[0].soft" },
		{ "\"oom_score_adj\":2000", "oom_score_adj" },
		{ "\"capabilities\":[\"CAP_\"]", "capabilities[0]" },
		{ "\"user\":\"root\"", NULL },
		{ "\"user\":\"root:staff\",\"uid\":0,\"gid\":0,\"additional_groups\":[]", NULL },
		{ "\"user\":\"\"", "user" },
		{ "\"user\":5", "user" },
		{ "\"user\":\"root\",\"uid\":1", "user" },
		{ "\"user\":\"root\",\"gid\":1", "user" },
		{ "\"user\":\"root\",\"additional_groups\":[0]", "user" },
		{ "\"Args\":[]", "Args" },
	};
	static const char *const refused_args[] = { "{}",
						    "{\"args\":null}",
						    "{\"args\":[]}",
						    "{\"args\":\"sh\"}",
						    "{\"args\":[\"\"]}",
						    "{\"args\":[5]}",
						    "{\"args\":[null]}" };

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = process_with(rows[i].members);

		check_row((result == 0) == !rows[i].field, "%s: %s: %s", rows[i].members, t.err.field, t.err.message);
		if (rows[i].field)
			assert_failed(result, &t.err, ERROR_PARAMS, rows[i].field);
	}
	for (size_t i = 0; i < array_count(refused_args); i++) {
		check_row(decode_process(refused_args[i]) < 0, "accepted: %s", refused_args[i]);
		check_row(strncmp(t.err.field, "args", 4) == 0, "%s: %s", refused_args[i], t.err.field);
	}
}

static void process_defaults(void **state)
{
	(void)state;
	assert_worked(process_with(""), &t.err);
	assert_false(t.process.has_umask); /* the config's, or 022 */
	assert_int_equal(t.process.stdio, CONFIG_STDIO_STREAM);
	assert_false(t.process.has_capabilities || t.process.has_rlimits || t.process.has_no_new_privileges ||
		     t.process.has_oom_score_adj);
	assert_worked(process_with("\"umask\":0,\"stdio\":\"log\",\"capabilities\":[],\"rlimits\":[],\"no_new_privileges\":false,"
				   "\"oom_score_adj\":0"),
		      &t.err);
	assert_int_equal(t.process.umask, 0);
	assert_int_equal(t.process.stdio, CONFIG_STDIO_LOG);
	assert_true(t.process.has_capabilities && t.process.has_rlimits && t.process.has_no_new_privileges &&
		    t.process.has_oom_score_adj);
}

/* A value may be a secret. */
static void no_value_of_the_environment_is_quoted(void **state)
{
	(void)state;
	assert_true(process_with("\"env\":[\"=hunter2\"]") < 0);
	assert_null(strstr(t.err.message, "hunter2"));
	assert_true(process_with("\"env\":[\"hunter2\"]") < 0);
	assert_null(strstr(t.err.message, "hunter2"));
}

static void args_and_env_have_their_limits(void **state)
{
	(void)state;
	for (int wanted = COFFER_ARGS_MAX; wanted <= COFFER_ARGS_MAX + 1; wanted++) {
		json_object *process = json_object_new_object(), *args = json_object_new_array();

		for (int i = 0; i < wanted; i++)
			json_object_array_add(args, json_object_new_string("a"));
		json_object_object_add(process, "args", args);
		int result = config_decode_process(process, &t.process, &t.memory, &t.err);
		if (wanted > COFFER_ARGS_MAX)
			assert_failed(result, &t.err, ERROR_PARAMS, "args");
		else
			assert_worked(result, &t.err);
		json_object_put(process);
	}
	/* The kernel takes strings of MAX_ARG_STRLEN bytes with the NUL. */
	for (size_t length = COFFER_STRING_MAX - 1; length <= COFFER_STRING_MAX; length++) {
		json_object *process = json_object_new_object(), *args = json_object_new_array();
		auto_free char *text = malloc(length);

		memset(text, 'a', length);
		json_object_array_add(args, json_object_new_string_len(text, (int)length));
		json_object_object_add(process, "args", args);
		int result = config_decode_process(process, &t.process, &t.memory, &t.err);
		if (length == COFFER_STRING_MAX)
			assert_failed(result, &t.err, ERROR_PARAMS, "args[0]");
		else
			assert_worked(result, &t.err);
		json_object_put(process);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_known_key_has_a_row),
		cmocka_unit_test(every_key_of_recorded_configs_has_a_row),
		cmocka_unit_test_teardown(recorded_configs_decode, clean),
		cmocka_unit_test_teardown(a_genuine_config_decodes, clean),
		cmocka_unit_test_teardown(the_zero_config_lacks_only_its_namespaces, clean),
		cmocka_unit_test_teardown(refused_rows_name_their_path, clean),
		cmocka_unit_test_teardown(hooks_would_run_programs, clean),
		cmocka_unit_test(every_integer_row_has_a_range),
		cmocka_unit_test_teardown(config_members, clean),
		cmocka_unit_test_teardown(namespaces, clean),
		cmocka_unit_test_teardown(process_members, clean),
		cmocka_unit_test_teardown(process_defaults, clean),
		cmocka_unit_test_teardown(no_value_of_the_environment_is_quoted, clean),
		cmocka_unit_test_teardown(args_and_env_have_their_limits, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
