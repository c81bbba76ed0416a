/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_CONFIG_H
#define CONTAINER_CONFIG_H

#include <json-c/json.h>

#include "base/decode.h"
#include "base/error.h"
#include "container/hooks.h"
#include "container/namespaces.h"
#include "container/network.h"
#include "container/privileges.h"
#include "container/resources.h"
#include "container/scheduling.h"
#include "container/syscall_filter.h"

/*
 * What a container is made from: libcontainer's Config (its JSON, 2016 and later shapes) and a process object with the keys
 * of libcontainer's initConfig.  docs/CONFIG.md says of every key what is done with it.  A key that is not acted on is
 * ERROR_UNSUPPORTED_FIELD, never silence.
 */

struct config_attributes { /* mount_setattr(2)'s struct mount_attr, as Go names its members */
	uint64_t set, clear, propagation;
};

struct config_mount {
	const char *source, *destination, *device, *data, *relabel;
	int64_t flags, cleared_flags, extensions;
	struct decode_list propagation_flags; /* int64_t */
	struct config_attributes recursive;
	struct decode_list premount, postmount; /* struct hooks_command */
};

#define CONFIG_MOUNTS_MAX 256u

enum { CONFIG_COPY_UP = 1 /* config_mount.extensions */ };

struct config_device {
	int64_t type; /* 'c', 'b', 'p' as a number */
	const char *path, *permissions;
	int64_t major, minor;
	uint64_t file_mode, uid, gid;
	bool allow;
};

struct config_rlimit {
	int64_t type;
	uint64_t hard, soft;
};

struct config {
	bool no_pivot_root, readonlyfs, no_new_privileges, no_new_keyring;
	int64_t root_propagation, oom_score_adj, parent_death_signal;
	uint64_t umask;
	bool has_oom_score_adj, has_umask, has_seccomp, has_time_offsets;
	const char *rootfs; /* says nothing: the root is the object that the request names */
	const char *hostname, *domainname, *version, *apparmor_profile, *process_label, *mount_label;
	struct decode_list mounts;                             /* struct config_mount */
	struct decode_list devices;                            /* struct config_device; none given: the usual six */
	struct decode_list entries;                            /* struct namespaces_entry */
	struct decode_list uid_mappings, gid_mappings;         /* struct namespaces_mapping */
	struct decode_list networks;                           /* struct network */
	struct decode_list routes;                             /* struct network_route */
	struct decode_list rlimits;                            /* struct config_rlimit */
	struct decode_list sysctl;                             /* struct decode_pair */
	struct decode_list mask_paths, readonly_paths, labels; /* const char * */
	struct resources cgroups;
	struct namespaces_offsets time_offsets;
	struct scheduling scheduling;
	struct syscall_filter seccomp;
	struct hooks hooks;
	json_object *capabilities_json;
	struct privileges_capabilities capabilities;
	struct namespaces namespaces; /* from `entries` */
};

enum config_stdio { CONFIG_STDIO_STREAM, CONFIG_STDIO_LOG, CONFIG_STDIO_NULL };

struct config_process {
	struct decode_list args, env;         /* const char * */
	struct decode_list additional_groups; /* uint64_t */
	const char *cwd, *stdio_name, *apparmor_profile;
	const char *user; /* in place of uid, gid and groups: container/users.h */
	uint64_t uid, gid, umask, console_width, console_height;
	bool terminal, has_umask;
	bool no_new_privileges, has_no_new_privileges;
	int64_t oom_score_adj;
	bool has_oom_score_adj;
	struct decode_list rlimits; /* struct config_rlimit */
	bool has_rlimits;
	json_object *capabilities_json;
	struct privileges_capabilities capabilities;
	bool has_capabilities;
	enum config_stdio stdio;
};

extern const struct decode_schema config_schema;
extern const struct decode_schema config_process_schema;

/* Decodes, and checks with container/validate.h.  Fields in errors are relative to the object. */
must_check int config_decode(json_object *json, struct config *config, struct decode_memory *memory, struct error *err);
must_check int config_decode_process(json_object *json, struct config_process *process, struct decode_memory *memory,
				     struct error *err);

#endif
