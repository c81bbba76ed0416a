/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_USAGE_H
#define CONTAINER_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What a container has used, from the files of its cgroup: small reads that the kernel answers from memory. */

#define USAGE_DEVICES_MAX 64
#define USAGE_NONE        UINT64_MAX /* no limit, or a number that this kernel or cgroup version does not have */

struct usage_device {
	uint32_t major, minor;
	uint64_t rbytes, wbytes, rios, wios;
};

struct usage {
	uint64_t cpu_us, user_us, system_us, periods, throttled, throttled_us;
	uint64_t memory, peak, swap, memory_limit, anon, file, kernel, oom, oom_kills; /* bytes; counts */
	uint64_t pids, pids_limit;
	struct usage_device devices[USAGE_DEVICES_MAX]; /* further ones are left out */
	size_t device_count;
};

/* `group` as in sys/cgroups.h.  Numbers whose file is missing are USAGE_NONE. */
must_check int usage_read(const char *group, struct usage *usage, struct error *err);

/* Kills by the OOM killer in the group so far; USAGE_NONE: not known. */
uint64_t usage_oom_kills(const char *group);

#endif
