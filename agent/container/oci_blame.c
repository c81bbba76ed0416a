/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "container/oci.h"

/*
 * Where a value of what was converted stood in the document.  "[]" is any index and is carried over.  The longer ones come before
 * their beginnings.  `whole`: what follows in the field has no counterpart there and is left out.
 */
static const struct {
	const char *converted, *document;
	bool whole;
} rows[] = {
	{ "config.version", "spec.ociVersion", true },
	{ "config.hostname", "spec.hostname", true },
	{ "config.domainname", "spec.domainname", true },
	{ "config.labels", "spec.annotations", true },
	{ "config.readonlyfs", "spec.root.readonly", true },
	{ "config.mounts[].destination", "spec.mounts[].destination", true },
	{ "config.mounts[].source", "spec.mounts[].source", true },
	{ "config.mounts[].device", "spec.mounts[].type", true },
	{ "config.mounts[].flags", "spec.mounts[].options", true },
	{ "config.mounts[].cleared_flags", "spec.mounts[].options", true },
	{ "config.mounts[].propagation_flags", "spec.mounts[].options", true },
	{ "config.mounts[].rec_attr", "spec.mounts[].options", true },
	{ "config.mounts[].extensions", "spec.mounts[].options", true },
	{ "config.mounts[].data", "spec.mounts[].options", true },
	{ "config.mounts[].id_mapping", "spec.mounts[]", true },
	{ "config.mounts", "spec.mounts", false },
	{ "config.Hooks", "spec.hooks", false },
	{ "config.capabilities.Bounding", "spec.process.capabilities.bounding", false },
	{ "config.capabilities.Effective", "spec.process.capabilities.effective", false },
	{ "config.capabilities.Inheritable", "spec.process.capabilities.inheritable", false },
	{ "config.capabilities.Permitted", "spec.process.capabilities.permitted", false },
	{ "config.capabilities.Ambient", "spec.process.capabilities.ambient", false },
	{ "config.capabilities", "spec.process.capabilities", false },
	{ "config.rlimits", "spec.process.rlimits", false },
	{ "config.no_new_privileges", "spec.process.noNewPrivileges", true },
	{ "config.apparmor_profile", "spec.process.apparmorProfile", true },
	{ "config.process_label", "spec.process.selinuxLabel", true },
	{ "config.oom_score_adj", "spec.process.oomScoreAdj", true },
	{ "config.scheduler", "spec.process.scheduler", false },
	{ "config.io_priority", "spec.process.ioPriority", false },
	{ "config.exec_cpu_affinity", "spec.process.execCPUAffinity", false },
	{ "config.namespaces", "spec.linux.namespaces", false },
	{ "config.networks", "spec.linux.namespaces", true },
	{ "config.devices[].file_mode", "spec.linux.devices[].fileMode", true },
	{ "config.devices", "spec.linux.devices", false },
	{ "config.netDevices", "spec.linux.netDevices", false },
	{ "config.uid_mappings", "spec.linux.uidMappings", true },
	{ "config.gid_mappings", "spec.linux.gidMappings", true },
	{ "config.sysctl", "spec.linux.sysctl", false },
	{ "config.seccomp.default_action", "spec.linux.seccomp.defaultAction", true },
	{ "config.seccomp.default_errno_ret", "spec.linux.seccomp.defaultErrnoRet", true },
	{ "config.seccomp.listener_path", "spec.linux.seccomp.listenerPath", true },
	{ "config.seccomp.listener_metadata", "spec.linux.seccomp.listenerMetadata", true },
	{ "config.seccomp.architectures", "spec.linux.seccomp.architectures", false },
	{ "config.seccomp.flags", "spec.linux.seccomp.flags", false },
	{ "config.seccomp.syscalls", "spec.linux.seccomp.syscalls", true }, /* one element has become many */
	{ "config.seccomp", "spec.linux.seccomp", true },
	{ "config.rootPropagation", "spec.linux.rootfsPropagation", true },
	{ "config.mask_paths", "spec.linux.maskedPaths", false },
	{ "config.readonly_paths", "spec.linux.readonlyPaths", false },
	{ "config.mount_label", "spec.linux.mountLabel", true },
	{ "config.intel_rdt", "spec.linux.intelRdt", true },
	{ "config.memory_policy", "spec.linux.memoryPolicy", false },
	{ "config.personality", "spec.linux.personality", false },
	{ "config.time_offsets", "spec.linux.timeOffsets", false },
	{ "config.cgroups.devices", "spec.linux.resources.devices", false },
	{ "config.cgroups.memory", "spec.linux.resources.memory.limit", true },
	{ "config.cgroups.memory_reservation", "spec.linux.resources.memory.reservation", true },
	{ "config.cgroups.memory_swap", "spec.linux.resources.memory.swap", true },
	{ "config.cgroups.kernel_memory", "spec.linux.resources.memory.kernel", true },
	{ "config.cgroups.kernel_memory_tcp", "spec.linux.resources.memory.kernelTCP", true },
	{ "config.cgroups.memory_swappiness", "spec.linux.resources.memory.swappiness", true },
	{ "config.cgroups.oom_kill_disable", "spec.linux.resources.memory.disableOOMKiller", true },
	{ "config.cgroups.memory_check_before_update", "spec.linux.resources.memory.checkBeforeUpdate", true },
	{ "config.cgroups.cpu_shares", "spec.linux.resources.cpu.shares", true },
	{ "config.cgroups.cpu_quota", "spec.linux.resources.cpu.quota", true },
	{ "config.cgroups.cpu_burst", "spec.linux.resources.cpu.burst", true },
	{ "config.cgroups.cpu_period", "spec.linux.resources.cpu.period", true },
	{ "config.cgroups.cpu_rt_quota", "spec.linux.resources.cpu.realtimeRuntime", true },
	{ "config.cgroups.cpu_rt_period", "spec.linux.resources.cpu.realtimePeriod", true },
	{ "config.cgroups.cpuset_cpus", "spec.linux.resources.cpu.cpus", true },
	{ "config.cgroups.cpuset_mems", "spec.linux.resources.cpu.mems", true },
	{ "config.cgroups.cpu_idle", "spec.linux.resources.cpu.idle", true },
	{ "config.cgroups.pids_limit", "spec.linux.resources.pids.limit", true },
	{ "config.cgroups.blkio_weight", "spec.linux.resources.blockIO.weight", true },
	{ "config.cgroups.blkio_leaf_weight", "spec.linux.resources.blockIO.leafWeight", true },
	{ "config.cgroups.blkio_weight_device", "spec.linux.resources.blockIO.weightDevice", false },
	{ "config.cgroups.blkio_throttle_read_bps_device", "spec.linux.resources.blockIO.throttleReadBpsDevice", false },
	{ "config.cgroups.blkio_throttle_write_bps_device", "spec.linux.resources.blockIO.throttleWriteBpsDevice", false },
	{ "config.cgroups.blkio_throttle_read_iops_device", "spec.linux.resources.blockIO.throttleReadIOPSDevice", false },
	{ "config.cgroups.blkio_throttle_write_iops_device", "spec.linux.resources.blockIO.throttleWriteIOPSDevice", false },
	{ "config.cgroups.hugetlb_limit[].page_size", "spec.linux.resources.hugepageLimits[].pageSize", true },
	{ "config.cgroups.hugetlb_limit", "spec.linux.resources.hugepageLimits", false },
	{ "config.cgroups.net_cls_classid_u", "spec.linux.resources.network.classID", true },
	{ "config.cgroups.net_prio_ifpriomap", "spec.linux.resources.network.priorities", true },
	{ "config.cgroups.rdma", "spec.linux.resources.rdma", true },
	{ "config.cgroups.unified", "spec.linux.resources.unified", false },
	{ "config.cgroups", "spec.linux.resources", true },
	{ "process.args", "spec.process.args", false },
	{ "process.env", "spec.process.env", false },
	{ "process.cwd", "spec.process.cwd", false },
	{ "process.uid", "spec.process.user.uid", true },
	{ "process.gid", "spec.process.user.gid", true },
	{ "process.umask", "spec.process.user.umask", true },
	{ "process.additional_groups", "spec.process.user.additionalGids", false },
	{ "process.terminal", "spec.process.terminal", true },
	{ "process.stdio", "stdio", true }, /* beside the spec */
	{ "process.console_width", "spec.process.consoleSize.width", true },
	{ "process.console_height", "spec.process.consoleSize.height", true },
};

struct match {
	const char *index; /* the first "[N]" that stands for "[]" */
	size_t index_length;
	const char *rest;
};

/* "[12]": its length; 0: none. */
static size_t index_length(const char *text)
{
	size_t length = 1;

	if (text[0] != '[')
		return 0;
	while (isdigit((unsigned char)text[length]))
		length++;
	return length > 1 && text[length] == ']' ? length + 1 : 0;
}

static bool matches(const char *pattern, const char *field, struct match *match)
{
	*match = (struct match){ 0 };
	while (*pattern) {
		if (strncmp(pattern, "[]", 2) == 0) {
			match->index = field;
			match->index_length = index_length(field);
			if (match->index_length == 0)
				return false;
			field += match->index_length;
			pattern += 2;
		} else if (*pattern++ != *field++) {
			return false;
		}
	}
	match->rest = field;
	return *field == '\0' || *field == '.' || *field == '[';
}

static void replace(struct error *err, const char *document, const struct match *match, bool whole)
{
	char field[sizeof(err->field)] = "";
	const char *hole = strstr(document, "[]");
	int head = hole ? (int)(hole - document) : (int)strlen(document);

	/* A path that is too long stays as it is. */
	if (text_format(field, sizeof(field), "%.*s%.*s%s%s", head, document, (int)match->index_length,
			match->index ? match->index : "", hole ? hole + 2 : "", whole ? "" : match->rest) == 0)
		memcpy(err->field, field, sizeof(field));
}

void oci_blame(struct error *err)
{
	char field[sizeof(err->field)];
	struct match match;
	bool found = false;

	if (strncmp(err->field, "config", 6) != 0 && strncmp(err->field, "process", 7) != 0)
		return;
	memcpy(field, err->field, sizeof(field));
	for (size_t i = 0; i < array_count(rows) && !found; i++) {
		found = matches(rows[i].converted, field, &match);
		if (found)
			replace(err, rows[i].document, &match, rows[i].whole);
	}
	/* A name that has stayed the same needs no second one. */
	const char *dot = strchr(field, '.');
	bool same = strcmp(err->field + strcspn(err->field, "."), dot ? dot : "") == 0 || strcmp(err->field + 5, field) == 0;
	if (!found || !same)
		error_wrap(err, "as %s of the converted config", field);
}
