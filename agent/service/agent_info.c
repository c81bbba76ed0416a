/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/agent_info.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/cgroups.h"

const char *const agent_info_features[] = {
	"volume.direct_block",
	"volume.image_raw_block",
	"volume.layer_raw_block",
	"volume.image_nydus_block",
	"volume.layer_nydus_block",
	"volume.image_nydus_fs",
	"volume.layer_nydus_fs",
	"volume.encrypted",
	"volume.tmpfs",
	"volume.directory",
	"volume.stats",
	"scratch",
	"scratch.swap",
	"rootfs.overlay",
	"container",
	"container.oci_spec",
	"container.user_names",
	"container.exec",
	"container.terminal",
	"container.stats",
	"container.pause",
	"container.update",
	"sandbox",
	"events",
	"layer",
	"layer.seal",
	"layer.key",
	"layer.owners",
#ifdef COFFER_FAULTS
	"test.fault",
#endif
	NULL,
};

static unsigned count_lines(const char *path)
{
	auto_file file = fopen(path, "re");
	unsigned lines = 0;
	int c;

	while (file && (c = getc(file)) != EOF)
		lines += c == '\n';
	return lines;
}

static unsigned count_entries(const char *path, bool (*counts)(const char *name))
{
	auto_dir directory = opendir(path);
	struct dirent *entry;
	unsigned count = 0;

	while (directory && (entry = readdir(directory)))
		count += entry->d_name[0] != '.' && counts(entry->d_name);
	return count;
}

static bool is_mapping(const char *name)
{
	return strncmp(name, "dm-", 3) == 0;
}

static bool is_attached_loop(const char *name)
{
	char path[300];

	return strncmp(name, "loop", 4) == 0 && text_format(path, sizeof(path), "/sys/block/%s/loop", name) == 0 &&
	       access(path, F_OK) == 0;
}

static bool is_any(const char *name)
{
	(void)name;
	return true;
}

/*
 * Kernel threads have no executable image: their command line is empty, but so is a zombie's, which still counts as gone.  So does
 * what ends between the look at the list and the look at it: kernel threads come and go all the time.
 */
static bool is_process(const char *name)
{
	char path[64], text[2];

	if (!isdigit((unsigned char)name[0]) || text_format(path, sizeof(path), "/proc/%.20s/cmdline", name) < 0)
		return false;
	long length = text_read_file(path, text, sizeof(text));

	return length > 0 || length == -EMSGSIZE;
}

static void read_memory(struct agent_info *info)
{
	auto_file file = fopen("/proc/self/smaps_rollup", "re");
	unsigned long long value;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Pss: %llu", &value) == 1)
			info->pss_kib = value;
		else if (sscanf(line, "Rss: %llu", &value) == 1)
			info->rss_kib = value;
	}
}

void agent_info_read(struct agent_info *info)
{
	struct utsname name;

	memset(info, 0, sizeof(*info));
	if (uname(&name) == 0)
		snprintf(info->kernel, sizeof(info->kernel), "%s", name.release);
	info->uptime_ms = loop_now_ms();
	read_memory(info);
	info->resources = (struct agent_info_resources){
		.mounts = count_lines("/proc/self/mountinfo"),
		.mappings = count_entries("/sys/block", is_mapping),
		.loops = count_entries("/sys/block", is_attached_loop),
		.keys = count_lines("/proc/keys"),
		.descriptors = count_entries("/proc/self/fd", is_any),
		.processes = count_entries("/proc", is_process),
		.cgroups = cgroups_count(),
	};
}
