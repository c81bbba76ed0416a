/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_RESOURCES_H
#define CONTAINER_RESOURCES_H

#include <json-c/json.h>

#include "base/decode.h"
#include "base/error.h"

/*
 * The `cgroups` object of libcontainer's Config: where the cgroup lies (which says nothing here: the agent names it), which devices
 * may be reached, and the limits.  Numbers are those of cgroup v1, as the config has them; container/limits.h converts.
 * docs/CONFIG.md says of every key what is done with it on either cgroup version.
 */

/* A device rule.  The last one that covers a device and an access decides. */
struct resources_rule {
	int64_t type; /* 'a', 'b', 'c' as a number; 'a': both kinds, every number */
	const char *path, *permissions;
	int64_t major, minor; /* -1: any */
	uint64_t file_mode, uid, gid;
	bool allow;
};

struct resources_weight {
	uint64_t major, minor, weight, leaf_weight;
};

struct resources_throttle {
	uint64_t major, minor, rate; /* rate 0: no limit */
};

struct resources_hugetlb {
	const char *page_size;
	uint64_t limit;
};

struct resources_priority {
	const char *interface;
	uint64_t priority;
};

struct resources {
	const char *name, *parent, *path, *scope_prefix;
	struct decode_list paths; /* struct decode_pair */
	bool allow_all_devices, has_allow_all_devices;
	struct decode_list allowed_devices, denied_devices, devices; /* struct resources_rule */
	/* -1: no limit; 0: as the kernel has it */
	int64_t memory, memory_reservation, memory_swap, kernel_memory, kernel_memory_tcp;
	int64_t cpu_quota, cpu_rt_quota, pids_limit;
	uint64_t cpu_shares, cpu_period, cpu_rt_period, cpu_weight, cpu_burst;
	bool has_cpu_burst;
	const char *cpu_max, *cpuset_cpus, *cpuset_mems;
	int64_t cpu_idle;
	bool has_cpu_idle;
	uint64_t blkio_weight, blkio_leaf_weight;
	struct decode_list blkio_weight_device;                        /* struct resources_weight */
	struct decode_list read_bps, write_bps, read_iops, write_iops; /* struct resources_throttle */
	const char *freezer;
	struct decode_list hugetlb_limit; /* struct resources_hugetlb */
	bool oom_kill_disable, memory_check_before_update;
	int64_t memory_swappiness; /* -1: as the kernel has it */
	bool has_memory_swappiness;
	struct decode_list net_prio_ifpriomap; /* struct resources_priority */
	uint64_t net_cls_classid;
	json_object *rdma;          /* {device: {hca_handles, hca_objects}}, checked */
	struct decode_list unified; /* struct decode_pair */
	bool systemd, rootless;
	int64_t owner_uid;
	bool has_owner_uid;
};

extern const struct decode_schema resources_schema;

/* Does it say anything about devices? */
bool resources_has_rules(const struct resources *resources);

/* One device of `rdma`: its limits; -1: not given. */
void resources_rdma(json_object *device, int64_t *handles, int64_t *objects);

#endif
