/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/params.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "sys/device_ways.h"
#include "sys/labels.h"

#define FIELD(type, key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct type, member)
#define SCHEMA(fields, type)                                                                                                       \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), NULL                                                             \
	}

#define TIMEOUT_MOST 600000

/* Every object is named in the same way. */
#define ID(type, key, member)                                                                                                      \
	{                                                                                                                          \
		FIELD(type, key, DECODE_STRING, member), .flags = DECODE_REQUIRED, .max = COFFER_ID_MAX, .check = decode_check_id  \
	}
#define EXEC(type)                                                                                                                 \
	{                                                                                                                          \
		FIELD(type, "exec", DECODE_STRING, exec), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id  \
	}

const struct decode_schema params_none = { NULL, 0, sizeof(struct params_none), NULL };

static const struct decode_field shutdown_fields[] = { { FIELD(params_shutdown, "reboot", DECODE_BOOL, reboot) } };
const struct decode_schema params_shutdown = SCHEMA(shutdown_fields, params_shutdown);

static const struct decode_field id_fields[] = { ID(params_id, "id", id) };
const struct decode_schema params_id = SCHEMA(id_fields, params_id);

static const struct decode_field volume_fields[] = {
	ID(params_volume, "id", id),
	{ FIELD(params_volume, "volume", DECODE_RAW, volume_json), .flags = DECODE_REQUIRED },
	{ FIELD(params_volume, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST },
};
const struct decode_schema params_volume = SCHEMA(volume_fields, params_volume);

#define DEVICE_TEXT(key)                                                                                                           \
	{                                                                                                                          \
		FIELD(blockdev_name, #key, DECODE_STRING, key), .flags = DECODE_NONZERO, .max = COFFER_PATH_MAX                    \
	}

static const struct decode_field device_fields[] = {
	{ FIELD(blockdev_name, "serial", DECODE_STRING, serial), .flags = DECODE_NONZERO, .max = COFFER_SERIAL_MAX },
	DEVICE_TEXT(path),
	DEVICE_TEXT(pci),
	DEVICE_TEXT(scsi),
	DEVICE_TEXT(hyperv),
	{ FIELD(blockdev_name, "partition", DECODE_UINT, partition), .min = 1, .max = DEVICE_WAYS_PARTITION_MAX },
	DEVICE_TEXT(partuuid),
};

static int check_device(const void *object, struct error *err)
{
	struct device_wanted wanted;

	return device_ways_read(object, &wanted, err);
}

const struct decode_schema params_device = { device_fields, array_count(device_fields), sizeof(struct blockdev_name),
					     check_device };

static int check_use(const char *string, struct error *err)
{
	return scratch_plan_find_use(string) < SCRATCH_USES ? 0 : error_field(err, "", "neither filesystem nor swap");
}

static int check_cipher(const char *string, struct error *err)
{
	char known[128] = "";

	if (integrity_layout_find(string))
		return 0;
	for (const struct integrity_layout *row = integrity_scratch; row->name; row++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), " %s", row->name);
	return error_field(err, "", "none of:%s", known);
}

static int check_scratch(const void *object, struct error *err)
{
	const struct params_scratch *params = object;

	return params->size % INTEGRITY_SECTOR != 0 ? error_field(err, "size", "a multiple of %u is needed", INTEGRITY_SECTOR) : 0;
}

static const struct decode_field scratch_fields[] = {
	ID(params_scratch, "id", id),
	{ FIELD(params_scratch, "device", DECODE_OBJECT, device), .flags = DECODE_REQUIRED, .schema = &params_device },
	{ FIELD(params_scratch, "use", DECODE_STRING, use), .flags = DECODE_NONZERO, .max = 16, .check = check_use },
	{ FIELD(params_scratch, "cipher", DECODE_STRING, cipher), .flags = DECODE_NONZERO, .max = 32, .check = check_cipher },
	{ FIELD(params_scratch, "size", DECODE_UINT, size), .min = INTEGRITY_SMALLEST, .max = INTEGRITY_LARGEST },
	{ FIELD(params_scratch, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST },
};
const struct decode_schema params_scratch = { scratch_fields, array_count(scratch_fields), sizeof(struct params_scratch),
					      check_scratch };

/* ---- encrypted volumes ---- */

static const struct decode_field key_file_fields[] = {
	ID(key_file, "volume", volume),
	{ FIELD(key_file, "path", DECODE_STRING, path), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = COFFER_PATH_MAX },
	{ FIELD(key_file, "passphrase", DECODE_BOOL, passphrase) },
};
static const struct decode_schema key_file_schema = SCHEMA(key_file_fields, key_file);

static int check_key_service(const void *object, struct error *err)
{
	const struct key_service_request *service = object;

	if (!service->unix_path == !service->port)
		return error_field(err, "port", "exactly one of port and unix is needed");
	return service->unix_path && service->cid ? error_field(err, "cid", "goes with a port") : 0;
}

static const struct decode_field key_service_fields[] = {
	{ FIELD(key_service_request, "key_id", DECODE_STRING, id), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 256 },
	{ FIELD(key_service_request, "unix", DECODE_STRING, unix_path), .flags = DECODE_NONZERO, .max = 107,
	  .check = decode_check_absolute },
	{ FIELD(key_service_request, "cid", DECODE_UINT, cid), .min = 1, .max = UINT32_MAX - 1 },
	{ FIELD(key_service_request, "port", DECODE_UINT, port), .min = 1, .max = UINT32_MAX - 1 },
	{ FIELD(key_service_request, "attempts", DECODE_UINT, attempts), .min = 1, .max = KEY_SERVICE_ATTEMPTS },
};
static const struct decode_schema key_service_schema = { key_service_fields, array_count(key_service_fields),
							 sizeof(struct key_service_request), check_key_service };

/* Nothing of the value goes into an error. */
static int check_key(const void *object, struct error *err)
{
	const struct key_request *key = object;
	int ways = (key->passphrase != NULL) + (key->raw != NULL) + key->has_file + key->has_service;

	return ways != 1 ? error_field(err, "", "exactly one of passphrase, raw, file and service is needed") : 0;
}

static const struct decode_field key_fields[] = {
	{ FIELD(key_request, "passphrase", DECODE_STRING, passphrase), .flags = DECODE_NONZERO, .max = COFFER_PASSPHRASE_MAX },
	{ FIELD(key_request, "raw", DECODE_STRING, raw), .flags = DECODE_NONZERO, .max = 88 },
	{ FIELD(key_request, "file", DECODE_OBJECT, file), .present = offsetof(struct key_request, has_file),
	  .schema = &key_file_schema },
	{ FIELD(key_request, "service", DECODE_OBJECT, service), .present = offsetof(struct key_request, has_service),
	  .schema = &key_service_schema },
};
const struct decode_schema params_key = { key_fields, array_count(key_fields), sizeof(struct key_request), check_key };

static int check_ext4(const char *string, struct error *err)
{
	return strcmp(string, "ext4") == 0 ? 0 : error_field(err, "", "only ext4 is made");
}

int params_check_sum(const char *string, struct error *err)
{
	return strspn(string, "0123456789abcdef") == 64 && string[64] == '\0' ? 0
									      : error_field(err, "", "64 hex digits in lower case");
}

#define KEY(type, key, member)                                                                                                     \
	{                                                                                                                          \
		FIELD(type, key, DECODE_OBJECT, member), .flags = DECODE_REQUIRED, .schema = &params_key                           \
	}
#define DEVICE(type)                                                                                                               \
	{                                                                                                                          \
		FIELD(type, "device", DECODE_OBJECT, device), .flags = DECODE_REQUIRED, .schema = &params_device                   \
	}
#define TIMEOUT(type)                                                                                                              \
	{                                                                                                                          \
		FIELD(type, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST                                  \
	}

static const struct decode_field encrypted_create_fields[] = {
	ID(params_encrypted, "id", id),
	DEVICE(params_encrypted),
	KEY(params_encrypted, "key", key),
	{ FIELD(params_encrypted, "fs_type", DECODE_STRING, fs_type), .max = 16, .check = check_ext4 },
	{ FIELD(params_encrypted, "force", DECODE_BOOL, force) },
	TIMEOUT(params_encrypted),
};
const struct decode_schema params_encrypted_create = SCHEMA(encrypted_create_fields, params_encrypted);

static const struct decode_field encrypted_open_fields[] = {
	ID(params_encrypted, "id", id),
	DEVICE(params_encrypted),
	KEY(params_encrypted, "key", key),
	{ FIELD(params_encrypted, "header_sha256", DECODE_STRING, header_sha256), .flags = DECODE_NONZERO, .max = 64,
	  .check = params_check_sum },
	{ FIELD(params_encrypted, "read_only", DECODE_BOOL, read_only) },
	TIMEOUT(params_encrypted),
};
const struct decode_schema params_encrypted_open = SCHEMA(encrypted_open_fields, params_encrypted);

static const struct decode_field change_key_fields[] = {
	{ FIELD(params_change_key, "id", DECODE_STRING, id), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX,
	  .check = decode_check_id },
	{ FIELD(params_change_key, "device", DECODE_OBJECT, device), .present = offsetof(struct params_change_key, has_device),
	  .schema = &params_device },
	KEY(params_change_key, "key", key),
	KEY(params_change_key, "new_key", new_key),
	TIMEOUT(params_change_key),
};

static int check_change_key(const void *object, struct error *err)
{
	const struct params_change_key *params = object;

	return !params->id == !params->has_device ? error_field(err, "id", "exactly one of id and device is needed") : 0;
}

const struct decode_schema params_change_key = { change_key_fields, array_count(change_key_fields),
						 sizeof(struct params_change_key), check_change_key };

static const struct decode_field volume_resize_fields[] = {
	ID(params_volume_resize, "id", id),
	{ FIELD(params_volume_resize, "key", DECODE_OBJECT, key), .schema = &params_key },
};
const struct decode_schema params_volume_resize = SCHEMA(volume_resize_fields, params_volume_resize);

#define VOLUME(key, decode_kind, member) FIELD(volumes_create, key, decode_kind, member)

static const struct decode_field volume_create_fields[] = {
	ID(volumes_create, "id", id),
	{ VOLUME("type", DECODE_STRING, type), .flags = DECODE_REQUIRED, .max = 16 },
	{ VOLUME("scratch", DECODE_STRING, scratch), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id },
	{ VOLUME("size", DECODE_UINT, size), .min = VOLUMES_TMPFS_LEAST, .max = INT64_MAX },
	{ VOLUME("mode", DECODE_UINT, mode), .max = 07777 },
	{ VOLUME("uid", DECODE_UINT, uid), .max = UINT32_MAX - 1 },
	{ VOLUME("gid", DECODE_UINT, gid), .max = UINT32_MAX - 1 },
	{ VOLUME("noexec", DECODE_BOOL, noexec) },
};
const struct decode_schema params_volume_create = SCHEMA(volume_create_fields, volumes_create);

static const struct decode_field id_item = {
	.kind = DECODE_STRING, .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id
};

static const struct decode_field rootfs_fields[] = {
	ID(params_rootfs, "id", id),
	{ FIELD(params_rootfs, "lower", DECODE_LIST, lower), .flags = DECODE_NONZERO, .item = &id_item, .max = COFFER_LOWER_MAX },
	{ FIELD(params_rootfs, "scratch", DECODE_STRING, scratch), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX,
	  .check = decode_check_id },
	{ FIELD(params_rootfs, "label", DECODE_STRING, label), .flags = DECODE_NONZERO, .max = LABELS_MAX },
	{ FIELD(params_rootfs, "layer", DECODE_STRING, layer), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX,
	  .check = decode_check_id },
};

/* Volumes with a scratch above them, or a layer that is mounted. */
static int check_rootfs(const void *object, struct error *err)
{
	const struct params_rootfs *params = object;

	if (params->layer)
		return params->scratch || params->lower.count ? error_field(err, "layer", "stands alone: it is a whole tree")
		       : params->label                        ? error_field(err, "label", "is layer.get's for a layer")
							      : 0;
	if (!params->lower.count)
		return error_field(err, "lower", "is required, unless there is a `layer`");
	return params->scratch ? 0 : error_field(err, "scratch", "is required, unless there is a `layer`");
}

const struct decode_schema params_rootfs = { rootfs_fields, array_count(rootfs_fields), sizeof(struct params_rootfs),
					     check_rootfs };

static const struct decode_field container_fields[] = {
	ID(params_container, "id", id),
	ID(params_container, "rootfs", rootfs),
	{ FIELD(params_container, "config", DECODE_RAW, config) },
	{ FIELD(params_container, "process", DECODE_RAW, process) },
	{ FIELD(params_container, "spec", DECODE_RAW, spec) },
	{ FIELD(params_container, "stdio", DECODE_STRING, stdio), .max = 16 },
};

/* libcontainer's two objects, or OCI's one. */
static int check_container(const void *object, struct error *err)
{
	const struct params_container *params = object;

	if (params->spec && (params->config || params->process))
		return error_field(err, params->config ? "config" : "process", "`spec` holds that already: one or the other");
	if (!params->spec && !params->config)
		return error_field(err, "config", "is required, unless there is a `spec`");
	if (!params->spec && !params->process)
		return error_field(err, "process", "is required, unless there is a `spec`");
	if (!params->spec && params->stdio)
		return error_field(err, "stdio", "stands in `process`, unless there is a `spec`");
	return 0;
}

const struct decode_schema params_container = { container_fields, array_count(container_fields), sizeof(struct params_container),
						check_container };

static const struct decode_field sandbox_fields[] = {
	ID(params_container, "id", id),
	{ FIELD(params_container, "config", DECODE_RAW, config), .flags = DECODE_REQUIRED },
};
const struct decode_schema params_sandbox = SCHEMA(sandbox_fields, params_container);

static const struct decode_field exec_fields[] = {
	ID(params_container, "id", id),
	ID(params_container, "exec", exec),
	{ FIELD(params_container, "process", DECODE_RAW, process), .flags = DECODE_REQUIRED },
};
const struct decode_schema params_exec = SCHEMA(exec_fields, params_container);

static const struct decode_field signal_fields[] = {
	ID(params_signal, "id", id),
	EXEC(params_signal),
	{ FIELD(params_signal, "signal", DECODE_RAW, signal), .flags = DECODE_REQUIRED },
	{ FIELD(params_signal, "all", DECODE_BOOL, all) },
};
const struct decode_schema params_signal = SCHEMA(signal_fields, params_signal);

static const struct decode_field wait_fields[] = { ID(params_wait, "id", id), EXEC(params_wait) };
const struct decode_schema params_wait = SCHEMA(wait_fields, params_wait);

static const struct decode_field resize_fields[] = {
	ID(params_resize, "id", id),
	EXEC(params_resize),
	{ FIELD(params_resize, "width", DECODE_UINT, width), .flags = DECODE_REQUIRED, .max = UINT16_MAX },
	{ FIELD(params_resize, "height", DECODE_UINT, height), .flags = DECODE_REQUIRED, .max = UINT16_MAX },
};
const struct decode_schema params_resize = SCHEMA(resize_fields, params_resize);

static const struct decode_field remove_fields[] = {
	ID(params_remove, "id", id),
	{ FIELD(params_remove, "force", DECODE_BOOL, force) },
};
const struct decode_schema params_remove = SCHEMA(remove_fields, params_remove);

static const struct decode_field fault_fields[] = {
	{ FIELD(params_fault, "after", DECODE_UINT, after), .flags = DECODE_REQUIRED, .max = 1000 },
};
const struct decode_schema params_fault = SCHEMA(fault_fields, params_fault);
