/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/oci_mounts.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define EXTENSION_COPY_UP 1 /* libcontainer: a tmpfs begins with what the directory had */

static const struct oci_table_row id_rows[] = {
	{ .name = "containerID", .kind = OCI_UINT, .to = "container_id", .max = UINT32_MAX, .flags = OCI_REQUIRED },
	{ .name = "hostID", .kind = OCI_UINT, .to = "host_id", .max = UINT32_MAX, .flags = OCI_REQUIRED },
	{ .name = "size", .kind = OCI_UINT, .to = "size", .min = 1, .max = UINT32_MAX, .flags = OCI_REQUIRED },
};
const struct oci_table oci_mounts_id_table = { id_rows, array_count(id_rows), NULL };

const struct oci_table_word oci_mounts_propagation[] = {
	{ .name = "private", .number = MS_PRIVATE },
	{ .name = "rprivate", .number = MS_PRIVATE | MS_REC },
	{ .name = "slave", .number = MS_SLAVE },
	{ .name = "rslave", .number = MS_SLAVE | MS_REC },
	{ .name = "shared", .number = MS_SHARED },
	{ .name = "rshared", .number = MS_SHARED | MS_REC },
	{ .name = "unbindable", .number = MS_UNBINDABLE },
	{ .name = "runbindable", .number = MS_UNBINDABLE | MS_REC },
	{ .name = NULL },
};

enum option_kind { OPTION_FLAG, OPTION_ATTRIBUTE, OPTION_EXTENSION, OPTION_ID_MAPPING };

static const struct {
	const char *name;
	enum option_kind kind;
	bool clears;
	uint32_t bits;
} options[] = {
	{ "async", OPTION_FLAG, true, MS_SYNCHRONOUS },
	{ "atime", OPTION_FLAG, true, MS_NOATIME },
	{ "bind", OPTION_FLAG, false, MS_BIND },
	{ "defaults", OPTION_FLAG, false, 0 },
	{ "dev", OPTION_FLAG, true, MS_NODEV },
	{ "diratime", OPTION_FLAG, true, MS_NODIRATIME },
	{ "dirsync", OPTION_FLAG, false, MS_DIRSYNC },
	{ "exec", OPTION_FLAG, true, MS_NOEXEC },
	{ "iversion", OPTION_FLAG, false, MS_I_VERSION },
	{ "lazytime", OPTION_FLAG, false, MS_LAZYTIME },
	{ "loud", OPTION_FLAG, true, MS_SILENT },
	{ "mand", OPTION_FLAG, false, MS_MANDLOCK },
	{ "noatime", OPTION_FLAG, false, MS_NOATIME },
	{ "nodev", OPTION_FLAG, false, MS_NODEV },
	{ "nodiratime", OPTION_FLAG, false, MS_NODIRATIME },
	{ "noexec", OPTION_FLAG, false, MS_NOEXEC },
	{ "noiversion", OPTION_FLAG, true, MS_I_VERSION },
	{ "nolazytime", OPTION_FLAG, true, MS_LAZYTIME },
	{ "nomand", OPTION_FLAG, true, MS_MANDLOCK },
	{ "norelatime", OPTION_FLAG, true, MS_RELATIME },
	{ "nostrictatime", OPTION_FLAG, true, MS_STRICTATIME },
	{ "nosuid", OPTION_FLAG, false, MS_NOSUID },
	{ "nosymfollow", OPTION_FLAG, false, MS_NOSYMFOLLOW },
	{ "rbind", OPTION_FLAG, false, MS_BIND | MS_REC },
	{ "relatime", OPTION_FLAG, false, MS_RELATIME },
	{ "remount", OPTION_FLAG, false, MS_REMOUNT },
	{ "ro", OPTION_FLAG, false, MS_RDONLY },
	{ "rw", OPTION_FLAG, true, MS_RDONLY },
	{ "silent", OPTION_FLAG, false, MS_SILENT },
	{ "strictatime", OPTION_FLAG, false, MS_STRICTATIME },
	{ "suid", OPTION_FLAG, true, MS_NOSUID },
	{ "symfollow", OPTION_FLAG, true, MS_NOSYMFOLLOW },
	{ "sync", OPTION_FLAG, false, MS_SYNCHRONOUS },
	{ "rro", OPTION_ATTRIBUTE, false, MOUNT_ATTR_RDONLY },
	{ "rrw", OPTION_ATTRIBUTE, true, MOUNT_ATTR_RDONLY },
	{ "rnosuid", OPTION_ATTRIBUTE, false, MOUNT_ATTR_NOSUID },
	{ "rsuid", OPTION_ATTRIBUTE, true, MOUNT_ATTR_NOSUID },
	{ "rnodev", OPTION_ATTRIBUTE, false, MOUNT_ATTR_NODEV },
	{ "rdev", OPTION_ATTRIBUTE, true, MOUNT_ATTR_NODEV },
	{ "rnoexec", OPTION_ATTRIBUTE, false, MOUNT_ATTR_NOEXEC },
	{ "rexec", OPTION_ATTRIBUTE, true, MOUNT_ATTR_NOEXEC },
	{ "rnodiratime", OPTION_ATTRIBUTE, false, MOUNT_ATTR_NODIRATIME },
	{ "rdiratime", OPTION_ATTRIBUTE, true, MOUNT_ATTR_NODIRATIME },
	{ "rrelatime", OPTION_ATTRIBUTE, false, MOUNT_ATTR_RELATIME },
	{ "rnorelatime", OPTION_ATTRIBUTE, true, MOUNT_ATTR_RELATIME },
	{ "rnoatime", OPTION_ATTRIBUTE, false, MOUNT_ATTR_NOATIME },
	{ "ratime", OPTION_ATTRIBUTE, true, MOUNT_ATTR_NOATIME },
	{ "rstrictatime", OPTION_ATTRIBUTE, false, MOUNT_ATTR_STRICTATIME },
	{ "rnostrictatime", OPTION_ATTRIBUTE, true, MOUNT_ATTR_STRICTATIME },
	{ "rnosymfollow", OPTION_ATTRIBUTE, false, MOUNT_ATTR_NOSYMFOLLOW },
	{ "rsymfollow", OPTION_ATTRIBUTE, true, MOUNT_ATTR_NOSYMFOLLOW },
	{ "tmpcopyup", OPTION_EXTENSION, false, EXTENSION_COPY_UP },
	{ "idmap", OPTION_ID_MAPPING, false, 0 },
	{ "ridmap", OPTION_ID_MAPPING, false, 1 },
};

struct parsed {
	uint32_t flags, cleared, set_attributes, clear_attributes, extensions;
	bool has_attributes, id_mapping, recursive_mapping;
	json_object *propagation; /* NULL: none */
	struct buf data;
	size_t data_index; /* of the first option that went to data */
};

/* The times of access are one field of the kernel's, not bits: to set one is to clear all of it first. */
static void add_attribute(struct parsed *parsed, bool clears, uint32_t bits)
{
	uint32_t field = (bits & ~(uint32_t)MOUNT_ATTR__ATIME) ? bits : MOUNT_ATTR__ATIME;
	bool is_time = field == MOUNT_ATTR__ATIME;

	parsed->has_attributes = true;
	parsed->set_attributes &= ~field;
	parsed->clear_attributes &= ~field;
	if (clears || is_time)
		parsed->clear_attributes |= field;
	if (!clears)
		parsed->set_attributes |= bits;
}

static void add_flag(struct parsed *parsed, bool clears, uint32_t bits)
{
	parsed->flags = clears ? parsed->flags & ~bits : parsed->flags | bits;
	parsed->cleared = clears ? parsed->cleared | bits : parsed->cleared & ~bits;
}

static int add_data(struct parsed *parsed, const char *option, size_t index, struct error *err)
{
	size_t held = buf_length(&parsed->data);
	int result = held ? buf_append(&parsed->data, ",", 1) : 0;

	if (!held)
		parsed->data_index = index;
	if (result == 0)
		result = buf_append(&parsed->data, option, strlen(option));
	return result < 0 ? error_set(err, ERROR_INTERNAL, -result, "mount options") : 0;
}

static int add_propagation(struct parsed *parsed, int64_t flags, struct error *err)
{
	if (!parsed->propagation)
		parsed->propagation = json_object_new_array();
	if (!parsed->propagation)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "mount options");
	return oci_table_append(parsed->propagation, json_object_new_int64(flags), err);
}

static int add_option(struct parsed *parsed, const char *option, size_t index, struct error *err)
{
	for (const struct oci_table_word *word = oci_mounts_propagation; word->name; word++) {
		if (strcmp(word->name, option) == 0)
			return add_propagation(parsed, word->number, err);
	}
	for (size_t i = 0; i < array_count(options); i++) {
		if (strcmp(options[i].name, option) != 0)
			continue;
		switch (options[i].kind) {
		case OPTION_FLAG:
			add_flag(parsed, options[i].clears, options[i].bits);
			break;
		case OPTION_ATTRIBUTE:
			add_attribute(parsed, options[i].clears, options[i].bits);
			break;
		case OPTION_EXTENSION:
			parsed->extensions |= options[i].bits;
			break;
		case OPTION_ID_MAPPING:
			parsed->id_mapping = true;
			parsed->recursive_mapping = options[i].bits != 0;
			break;
		}
		return 0;
	}
	/* An empty one says nothing. */
	return option[0] ? add_data(parsed, option, index, err) : 0;
}

static int parse_options(json_object *list, struct parsed *parsed, struct error *err)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		if (add_option(parsed, json_object_get_string(json_object_array_get_idx(list, i)), i, err) < 0)
			return oci_table_within(err, "options", i);
	}
	return 0;
}

/* Go's struct of mount_setattr(2), as libcontainer writes it. */
static int put_attributes(const struct parsed *parsed, json_object *out, struct error *err)
{
	json_object *attributes = json_object_new_object();
	int result = oci_table_put(out, "rec_attr", attributes, err);

	if (result == 0)
		result = oci_table_put_int(attributes, "Attr_set", parsed->set_attributes, err);
	if (result == 0)
		result = oci_table_put_int(attributes, "Attr_clr", parsed->clear_attributes, err);
	if (result == 0)
		result = oci_table_put_int(attributes, "Propagation", 0, err);
	return result == 0 ? oci_table_put_int(attributes, "Userns_fd", 0, err) : result;
}

/* The mappings were put into `out` by their rows, and go where libcontainer has them. */
static int put_id_mapping(const struct parsed *parsed, json_object *out, struct error *err)
{
	static const char *const keys[] = { "uid_mappings", "gid_mappings" };
	json_object *mapping = json_object_new_object();
	int result = oci_table_put(out, "id_mapping", mapping, err);

	if (result == 0)
		result = oci_table_put(mapping, "recursive", json_object_new_boolean(parsed->recursive_mapping), err);
	for (size_t i = 0; i < array_count(keys) && result == 0; i++) {
		json_object *list = oci_table_get(out, keys[i]);

		if (list)
			result = oci_table_put(mapping, keys[i], json_object_get(list), err);
		json_object_object_del(out, keys[i]);
	}
	return result;
}

static int put_parsed(const struct parsed *parsed, const char *type, json_object *out, struct error *err)
{
	bool is_bind = parsed->flags & MS_BIND;
	int result = oci_table_put_text(out, "device", is_bind ? "bind" : type, err);

	if (result == 0)
		result = oci_table_put_int(out, "flags", parsed->flags, err);
	/* Elsewhere a flag that is cleared is one that was never set. */
	if (result == 0 && is_bind && parsed->cleared)
		result = oci_table_put_int(out, "cleared_flags", parsed->cleared, err);
	if (result == 0 && parsed->propagation)
		result = oci_table_put(out, "propagation_flags", json_object_get(parsed->propagation), err);
	if (result == 0 && buf_length(&parsed->data) > 0)
		result = oci_table_put(out, "data",
				       json_object_new_string_len(buf_bytes(&parsed->data), (int)buf_length(&parsed->data)), err);
	if (result == 0 && parsed->extensions)
		result = oci_table_put_int(out, "extensions", parsed->extensions, err);
	if (result == 0 && parsed->has_attributes)
		result = put_attributes(parsed, out, err);
	bool mapped = parsed->id_mapping || oci_table_get(out, "uid_mappings") || oci_table_get(out, "gid_mappings");
	return result == 0 && mapped ? put_id_mapping(parsed, out, err) : result;
}

static int finish_mount(const struct oci_table_output *output, json_object *value, json_object *out, struct error *err)
{
	struct parsed parsed = { 0 };
	const char *type = oci_table_text(value, "type");
	int result = parse_options(oci_table_get(value, "options"), &parsed, err);

	(void)output;
	if (result == 0 && !(parsed.flags & MS_BIND) && !type[0])
		result = error_field(err, "type", "is needed, unless an option says bind or rbind");
	if (result == 0 && (parsed.flags & MS_BIND) && buf_length(&parsed.data) > 0) {
		error_field(err, "", "a bind mount takes no option of a file system");
		result = oci_table_within(err, "options", parsed.data_index);
	}
	if (result == 0)
		result = put_parsed(&parsed, type, out, err);
	json_object_put(parsed.propagation);
	buf_free(&parsed.data);
	return result;
}

static const struct oci_table_row mount_rows[] = {
	{ .name = "destination", .kind = OCI_STRING, .to = "destination", .flags = OCI_REQUIRED | OCI_NONEMPTY },
	{ .name = "type", .kind = OCI_STRING },
	{ .name = "source", .kind = OCI_STRING, .to = "source" },
	{ .name = "options", .kind = OCI_STRINGS, .most = 256 },
	{ .name = "uidMappings", .kind = OCI_LIST, .to = "uid_mappings", .table = &oci_mounts_id_table },
	{ .name = "gidMappings", .kind = OCI_LIST, .to = "gid_mappings", .table = &oci_mounts_id_table },
};
const struct oci_table oci_mounts_table = { mount_rows, array_count(mount_rows), finish_mount };
