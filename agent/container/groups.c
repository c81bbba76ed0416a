/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "container/device_filter.h"
#include "sys/cgroups.h"

unsigned groups_weight_from_shares(uint64_t shares)
{
	if (shares <= 2)
		return 1;
	if (shares >= 262144)
		return 10000;
	double l = log2((double)shares);

	return (unsigned)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

static int write_text(const char *path, const char *file, const char *text, const char *field, struct error *err)
{
	if (cgroups_write(path, file, text, err) < 0) {
		snprintf(err->field, sizeof(err->field), "config.cgroups.%s", field);
		return error_step(err, "set the cgroup's limits");
	}
	return 0;
}

/* -1 is "max" in the config's language; 0 leaves the kernel's default. */
static int write_limit(const char *path, const char *file, int64_t value, const char *field, struct error *err)
{
	char text[32];

	if (value == 0)
		return 0;
	snprintf(text, sizeof(text), "%" PRId64, value);
	return write_text(path, file, value < 0 ? "max" : text, field, err);
}

static int write_cpu(const char *path, const struct config_cgroup *limits, struct error *err)
{
	char text[64];
	int result = 0;

	if (limits->cpu_shares) {
		snprintf(text, sizeof(text), "%u", groups_weight_from_shares(limits->cpu_shares));
		result = write_text(path, "cpu.weight", text, "cpu_shares", err);
	}
	if (result == 0 && (limits->cpu_quota || limits->cpu_period)) {
		uint64_t period = limits->cpu_period ? limits->cpu_period : 100000;

		if (limits->cpu_quota > 0)
			snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, limits->cpu_quota, period);
		else
			snprintf(text, sizeof(text), "max %" PRIu64, period);
		result = write_text(path, "cpu.max", text, limits->cpu_quota ? "cpu_quota" : "cpu_period", err);
	}
	return result;
}

static int write_limits(const char *path, const struct config_cgroup *limits, struct error *err)
{
	/* v1's swap limit counts memory too, v2's does not. */
	int64_t swap = limits->memory_swap > 0 ? limits->memory_swap - limits->memory : limits->memory_swap;
	int result = write_limit(path, "memory.max", limits->memory, "memory", err);

	if (result == 0)
		result = write_limit(path, "memory.low", limits->memory_reservation, "memory_reservation", err);
	if (result == 0 && limits->memory_swap > 0 && swap == 0)
		result = write_text(path, "memory.swap.max", "0", "memory_swap", err);
	else if (result == 0)
		result = write_limit(path, "memory.swap.max", swap, "memory_swap", err);
	if (result == 0)
		result = write_limit(path, "pids.max", limits->pids_limit, "pids_limit", err);
	if (result == 0)
		result = write_cpu(path, limits, err);
	return result;
}

int groups_create(const char *path, const struct config_cgroup *limits, struct undo *undo, struct error *err)
{
	int result = undo_push(undo, UNDO_CGROUP, path, err);

	if (result < 0)
		return result;
	if (mkdir(path, 0755) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "make the cgroup %s", path);
	result = write_limits(path, limits, err);
	if (result < 0)
		return result;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open the cgroup %s", path);
	return fd;
}

int groups_confine(int cgroup, struct error *err)
{
	return device_filter_attach(cgroup, err);
}
