/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_PARAMS_H
#define RPC_PARAMS_H

#include "base/decode.h"
#include "service/resize.h"
#include "service/storage.h"
#include "service/volumes.h"

/* The `params` of each method as structs, and the tables that decode them. */

struct params_none {
	char nothing;
};

struct params_shutdown {
	bool reboot;
};

struct params_id {
	const char *id;
};

struct params_volume {
	const char *id;
	json_object *volume_json;
	uint64_t timeout_ms;
	struct volume_attach request; /* filled from the others */
};

struct params_scratch {
	const char *id, *use, *cipher;
	struct blockdev_name device;
	uint64_t timeout_ms, size;
	struct scratch_create request;
};

/* To create and to open. */
struct params_encrypted {
	const char *id, *fs_type, *header_sha256;
	struct blockdev_name device;
	struct key_request key;
	uint64_t timeout_ms;
	bool force, read_only;
	struct encrypted_request request;
};

struct params_change_key {
	const char *id;
	struct blockdev_name device;
	bool has_device;
	struct key_request key, new_key;
	uint64_t timeout_ms;
	struct encrypted_change request;
};

struct params_volume_resize {
	const char *id;
	struct key_request key;
	struct resize_request request;
};

struct params_rootfs {
	const char *id, *scratch, *layer, *label;
	struct decode_list lower;
	struct rootfs_create request;
};

struct params_container {
	const char *id, *rootfs, *exec, *stdio;
	json_object *config, *process, *spec;
};

struct params_signal {
	const char *id, *exec;
	json_object *signal;
	bool all;
};

struct params_wait {
	const char *id, *exec;
};

struct params_resize {
	const char *id, *exec;
	uint64_t width, height;
};

struct params_remove {
	const char *id;
	bool force;
};

struct params_fault {
	uint64_t after;
};

extern const struct decode_schema params_none, params_shutdown, params_id, params_volume, params_scratch, params_rootfs,
	params_container, params_sandbox, params_exec, params_signal, params_wait, params_resize, params_remove, params_fault,
	params_encrypted_create, params_encrypted_open, params_change_key, params_volume_resize;
/* A number that is 0 when the request does not say it, and at most UINT_MAX. */
static inline unsigned params_or(uint64_t asked, unsigned usual)
{
	return asked ? (unsigned)asked : usual;
}

/* A header_sha256. */
int params_check_sum(const char *string, struct error *err);
/* Of struct volumes_create, struct key_request and struct blockdev_name. */
extern const struct decode_schema params_volume_create, params_key, params_device;

#endif
