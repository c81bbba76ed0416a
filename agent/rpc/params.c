/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/params.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"

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

static const struct decode_field device_fields[] = {
	{ FIELD(blockdev_name, "serial", DECODE_STRING, serial), .flags = DECODE_NONZERO, .max = COFFER_SERIAL_MAX },
	{ FIELD(blockdev_name, "path", DECODE_STRING, path), .flags = DECODE_NONZERO, .max = COFFER_PATH_MAX },
};

static int check_device(const void *object, struct error *err)
{
	const struct blockdev_name *name = object;

	return !name->serial == !name->path ? error_field(err, "", "exactly one of serial and path is needed") : 0;
}

static const struct decode_schema device_schema = { device_fields, array_count(device_fields), sizeof(struct blockdev_name),
						    check_device };

static const struct decode_field scratch_fields[] = {
	ID(params_scratch, "id", id),
	{ FIELD(params_scratch, "device", DECODE_OBJECT, device), .flags = DECODE_REQUIRED, .schema = &device_schema },
	{ FIELD(params_scratch, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST },
};
const struct decode_schema params_scratch = SCHEMA(scratch_fields, params_scratch);

static const struct decode_field id_item = {
	.kind = DECODE_STRING, .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id
};

static const struct decode_field rootfs_fields[] = {
	ID(params_rootfs, "id", id),
	{ FIELD(params_rootfs, "lower", DECODE_LIST, lower), .flags = DECODE_REQUIRED | DECODE_NONZERO, .item = &id_item,
	  .max = COFFER_LOWER_MAX },
	ID(params_rootfs, "scratch", scratch),
};
const struct decode_schema params_rootfs = SCHEMA(rootfs_fields, params_rootfs);

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
