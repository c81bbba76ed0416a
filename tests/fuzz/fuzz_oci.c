/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/oci.c agent/container/oci_table.c agent/container/oci_mounts.c agent/container/oci_resources.c */
/* links: agent/container/oci_seccomp.c agent/container/oci_blame.c agent/container/config.c agent/container/privileges.c */
/* links: agent/container/resources.c agent/container/validate.c agent/container/hooks.c agent/container/namespaces.c */
/* links: agent/container/network.c agent/container/scheduling.c agent/container/syscall_filter.c agent/container/sysctl.c */
/* links: agent/sys/links.c agent/sys/netlink.c agent/sys/libraries.c agent/sys/paths.c tests/fake/modules.c */
/* links: agent/sys/labels.c */
/* fuzz: -max_len=16384 */
/* An OCI runtime spec, converted, and the results decoded as those of a request are. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "container/config.h"
#include "container/oci.h"

/* What is converted can be written down and read again, by the strict reader too, and is the same then. */
static void check_text(json_object *json)
{
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN);
	struct error err;
	json_object *again;

	must_hold(text);
	/* A key of the document may stand beside one that was put in, but none may be there twice. */
	must_hold(decode_parse(text, strlen(text), &again, &err) == 0);
	must_hold(json_object_equal(json, again));
	json_object_put(again);
}

static size_t length_of(json_object *object, const char *key)
{
	json_object *value = oci_table_get(object, key);

	return json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
}

static json_object *inside(json_object *object, const char *first, const char *second)
{
	json_object *value = oci_table_get(object, first);

	return second && value ? oci_table_get(value, second) : value;
}

/* What says how a container is confined has got across, or nothing has. */
static void check_counts(json_object *spec, json_object *config, json_object *process)
{
	json_object *linux_part = oci_table_get(spec, "linux"), *process_part = oci_table_get(spec, "process");
	static const char *const same[][2] = {
		{ "maskedPaths", "mask_paths" },   { "readonlyPaths", "readonly_paths" }, { "namespaces", "namespaces" },
		{ "uidMappings", "uid_mappings" }, { "gidMappings", "gid_mappings" },
	};

	for (size_t i = 0; linux_part && i < sizeof(same) / sizeof(same[0]); i++)
		must_hold(length_of(linux_part, same[i][0]) == length_of(config, same[i][1]));
	must_hold(length_of(spec, "mounts") == length_of(config, "mounts"));
	must_hold(length_of(process_part, "args") == length_of(process, "args"));
	must_hold(length_of(process_part, "rlimits") == length_of(config, "rlimits"));
	must_hold(!oci_table_get(process_part, "capabilities") == !oci_table_get(config, "capabilities"));
	json_object *seccomp = linux_part ? inside(linux_part, "seccomp", NULL) : NULL;
	if (seccomp && oci_table_get(seccomp, "defaultAction") && length_of(seccomp, "syscalls") > 0)
		must_hold(length_of(oci_table_get(config, "seccomp"), "syscalls") >= length_of(seccomp, "syscalls"));
	json_object *resources = linux_part ? inside(linux_part, "resources", NULL) : NULL;
	size_t rules = resources ? length_of(resources, "devices") : 0,
	       made = length_of(inside(config, "cgroups", NULL), "devices");
	must_hold(made == 0 || made == rules + 9);
	for (size_t i = 0; i < rules && made == 0; i++) {
		json_object *allow = oci_table_get(json_object_array_get_idx(oci_table_get(resources, "devices"), i), "allow");

		must_hold(!json_object_get_boolean(allow));
	}
}

static void check_error(const struct error *err)
{
	must_hold(err->code == ERROR_PARAMS || err->code == ERROR_UNSUPPORTED_FIELD);
	must_hold(err->message[0] != '\0' && strlen(err->field) < sizeof(err->field));
}

static void check_blame(struct error *err, const char *prefix)
{
	check_error(err);
	error_within(err, prefix);
	oci_blame(err);
	/* Every member that is made has its row. */
	must_hold(strncmp(err->field, "spec.", 5) == 0 || strcmp(err->field, "config") == 0 || strcmp(err->field, "process") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decode_memory memory = { 0 };
	struct config_process process;
	struct config config;
	json_object *spec, *config_json, *process_json;
	struct error err = { 0 };

	if (decode_parse((const char *)data, size, &spec, &err) < 0)
		return 0;
	if (oci_convert(spec, &config_json, &process_json, &err) < 0) {
		must_hold(!config_json && !process_json);
		check_error(&err);
	} else {
		check_text(config_json);
		check_text(process_json);
		check_counts(spec, config_json, process_json);
		if (config_decode(config_json, &config, &memory, &err) < 0)
			check_blame(&err, "config");
		if (config_decode_process(process_json, &process, &memory, &err) < 0)
			check_blame(&err, "process");
	}
	json_object_put(spec);
	json_object_put(config_json);
	json_object_put(process_json);
	decode_free(&memory);
	return 0;
}
