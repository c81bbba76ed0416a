/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_AGENT_INFO_H
#define SERVICE_AGENT_INFO_H

#include "agent.h"

/* What the kernel holds for the guest, counted: with no objects, the numbers of after boot. */
struct agent_info_resources {
	unsigned mounts, mappings, loops, keys, descriptors, processes, cgroups;
};

struct agent_info {
	char kernel[65];
	uint64_t uptime_ms, pss_kib, rss_kib;
	struct agent_info_resources resources;
};

/* Reads /proc and /sys; what cannot be read counts as 0. */
void agent_info_read(struct agent_info *info);

/* NULL-terminated: what this agent can do, for the hello. */
extern const char *const agent_info_features[];

#endif
