/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/cgroups.h"

#define TEXT_SIZE   16384
#define FOLDER_SIZE 512
#define TICK_US     10000 /* of cpuacct.stat: USER_HZ is 100 on every architecture that the agent runs on */

/* A number that stands alone; USAGE_NONE for "max" too, and for v1's "no limit", which is all pages that a counter can hold. */
static uint64_t number(const char *folder, const char *file)
{
	char text[64], *end;

	if (cgroups_read(folder, file, text, sizeof(text)) <= 0)
		return USAGE_NONE;
	uint64_t value = strtoull(text, &end, 10);
	return end == text || value >= (uint64_t)INT64_MAX / 4096 * 4096 ? USAGE_NONE : value;
}

struct word {
	const char *name;
	uint64_t *value;
};

/* "name value" lines. */
static void words(const char *folder, const char *file, const struct word *wanted)
{
	char text[TEXT_SIZE], *save = NULL;

	if (cgroups_read(folder, file, text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *space = strchr(line, ' ');

		if (!space)
			continue;
		*space = '\0';
		for (const struct word *word = wanted; word->name; word++) {
			if (strcmp(word->name, line) == 0)
				*word->value = strtoull(space + 1, NULL, 10);
		}
	}
}

static struct usage_device *device_of(struct usage *usage, unsigned major, unsigned minor)
{
	for (size_t i = 0; i < usage->device_count; i++) {
		if (usage->devices[i].major == major && usage->devices[i].minor == minor)
			return &usage->devices[i];
	}
	if (usage->device_count == USAGE_DEVICES_MAX)
		return NULL;
	usage->devices[usage->device_count] = (struct usage_device){ .major = major, .minor = minor };
	return &usage->devices[usage->device_count++];
}

/* "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" */
static void read_io_v2(const char *folder, struct usage *usage)
{
	char text[TEXT_SIZE], *lines = NULL, *fields = NULL;
	unsigned major, minor;

	if (cgroups_read(folder, "io.stat", text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
		struct usage_device *device = sscanf(line, "%u:%u", &major, &minor) == 2 ? device_of(usage, major, minor) : NULL;

		for (char *word = device ? strtok_r(line, " ", &fields) : NULL; word; word = strtok_r(NULL, " ", &fields)) {
			if (strncmp(word, "rbytes=", 7) == 0)
				device->rbytes = strtoull(word + 7, NULL, 10);
			else if (strncmp(word, "wbytes=", 7) == 0)
				device->wbytes = strtoull(word + 7, NULL, 10);
			else if (strncmp(word, "rios=", 5) == 0)
				device->rios = strtoull(word + 5, NULL, 10);
			else if (strncmp(word, "wios=", 5) == 0)
				device->wios = strtoull(word + 5, NULL, 10);
		}
	}
}

/* "254:0 Read 4096" */
static void read_io_v1(const char *folder, const char *file, bool bytes, struct usage *usage)
{
	char text[TEXT_SIZE], *lines = NULL, kind[16];
	unsigned major, minor;
	unsigned long long value;

	if (cgroups_read(folder, file, text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &lines); line; line = strtok_r(NULL, "\n", &lines)) {
		if (sscanf(line, "%u:%u %15s %llu", &major, &minor, kind, &value) != 4)
			continue;
		struct usage_device *device = device_of(usage, major, minor);
		if (!device)
			continue;
		if (strcmp(kind, "Read") == 0)
			*(bytes ? &device->rbytes : &device->rios) = value;
		else if (strcmp(kind, "Write") == 0)
			*(bytes ? &device->wbytes : &device->wios) = value;
	}
}

static void read_v2(const char *folder, struct usage *usage)
{
	const struct word cpu[] = { { "usage_usec", &usage->cpu_us },
				    { "user_usec", &usage->user_us },
				    { "system_usec", &usage->system_us },
				    { "nr_periods", &usage->periods },
				    { "nr_throttled", &usage->throttled },
				    { "throttled_usec", &usage->throttled_us },
				    { NULL, NULL } };
	const struct word memory[] = {
		{ "anon", &usage->anon }, { "file", &usage->file }, { "kernel", &usage->kernel }, { NULL, NULL }
	};
	const struct word events[] = { { "oom", &usage->oom }, { "oom_kill", &usage->oom_kills }, { NULL, NULL } };

	words(folder, "cpu.stat", cpu);
	words(folder, "memory.stat", memory);
	words(folder, "memory.events", events);
	usage->memory = number(folder, "memory.current");
	usage->peak = number(folder, "memory.peak");
	usage->swap = number(folder, "memory.swap.current");
	usage->memory_limit = number(folder, "memory.max");
	usage->pids = number(folder, "pids.current");
	usage->pids_limit = number(folder, "pids.max");
	read_io_v2(folder, usage);
}

static bool find(const char *group, const char *controller, char *folder)
{
	struct error ignored;

	return cgroups_path(group, controller, folder, FOLDER_SIZE, &ignored) == 0;
}

static void read_cpu_v1(const char *folder, struct usage *usage)
{
	uint64_t throttled_ns = USAGE_NONE, nanoseconds = number(folder, "cpuacct.usage");
	const struct word shares[] = { { "user", &usage->user_us }, { "system", &usage->system_us }, { NULL, NULL } };
	const struct word cpu[] = { { "nr_periods", &usage->periods },
				    { "nr_throttled", &usage->throttled },
				    { "throttled_time", &throttled_ns },
				    { NULL, NULL } };

	words(folder, "cpuacct.stat", shares);
	words(folder, "cpu.stat", cpu);
	usage->cpu_us = nanoseconds == USAGE_NONE ? nanoseconds : nanoseconds / 1000;
	usage->throttled_us = throttled_ns == USAGE_NONE ? throttled_ns : throttled_ns / 1000;
	if (usage->user_us != USAGE_NONE)
		usage->user_us *= TICK_US;
	if (usage->system_us != USAGE_NONE)
		usage->system_us *= TICK_US;
}

static void read_memory_v1(const char *folder, struct usage *usage)
{
	const struct word memory[] = { { "total_rss", &usage->anon }, { "total_cache", &usage->file }, { NULL, NULL } };
	const struct word events[] = { { "oom_kill", &usage->oom_kills }, { NULL, NULL } };
	uint64_t both = number(folder, "memory.memsw.usage_in_bytes");

	words(folder, "memory.stat", memory);
	words(folder, "memory.oom_control", events);
	usage->memory = number(folder, "memory.usage_in_bytes");
	usage->peak = number(folder, "memory.max_usage_in_bytes");
	usage->memory_limit = number(folder, "memory.limit_in_bytes");
	usage->kernel = number(folder, "memory.kmem.usage_in_bytes");
	/* Two files at two moments: the sum may have been read before memory grew. */
	if (both != USAGE_NONE && usage->memory != USAGE_NONE)
		usage->swap = both > usage->memory ? both - usage->memory : 0;
}

static void read_v1(const char *group, struct usage *usage)
{
	char folder[FOLDER_SIZE];

	if (find(group, "cpuacct", folder))
		read_cpu_v1(folder, usage);
	if (find(group, "memory", folder))
		read_memory_v1(folder, usage);
	if (find(group, "pids", folder)) {
		usage->pids = number(folder, "pids.current");
		usage->pids_limit = number(folder, "pids.max");
	}
	if (find(group, "blkio", folder)) {
		read_io_v1(folder, "blkio.throttle.io_service_bytes_recursive", true, usage);
		read_io_v1(folder, "blkio.throttle.io_serviced_recursive", false, usage);
	}
}

int usage_read(const char *group, struct usage *usage, struct error *err)
{
	char folder[FOLDER_SIZE];

	/* USAGE_NONE in every number. */
	memset(usage, 0xff, offsetof(struct usage, devices));
	usage->device_count = 0;
	int result = cgroups_path(group, "freezer", folder, sizeof(folder), err);
	if (result < 0)
		return result;
	if (access(folder, F_OK) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "the cgroup %s", folder);
	if (cgroups_version() == CGROUPS_V1)
		read_v1(group, usage);
	else
		read_v2(folder, usage);
	return 0;
}

uint64_t usage_oom_kills(const char *group)
{
	uint64_t kills = USAGE_NONE;
	const struct word events[] = { { "oom_kill", &kills }, { NULL, NULL } };
	char folder[FOLDER_SIZE];

	if (find(group, "memory", folder))
		words(folder, cgroups_version() == CGROUPS_V1 ? "memory.oom_control" : "memory.events", events);
	return kills;
}
