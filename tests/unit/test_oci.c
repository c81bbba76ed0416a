/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/oci.c agent/container/oci_table.c agent/container/oci_mounts.c agent/container/oci_resources.c */
/* links: agent/container/oci_seccomp.c agent/container/oci_blame.c */
/*
 * An OCI runtime spec becomes a libcontainer config and a process: every row of the tables has a golden case, and every word that a
 * row knows; what is refused is refused by its path in the document; and an error of the converted config is traced back to it.
 */
#include "unit/test.h"

#include <sys/mount.h>

#include "base/decode.h"
#include "container/oci.h"

static struct {
	json_object *spec, *config, *process;
	struct error err;
} t;

static int clean(void **state)
{
	(void)state;
	json_object_put(t.spec);
	json_object_put(t.config);
	json_object_put(t.process);
	memset(&t, 0, sizeof(t));
	return 0;
}

static const char base[] = "{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/\"},\"root\":{\"path\":\"rootfs\"}}";

static json_object *parse(const char *text)
{
	struct error err;
	json_object *json;

	if (decode_parse(text, strlen(text), &json, &err) < 0)
		fail_msg("%s: %s", text, err.message);
	return json;
}

/* Puts a value at a path of keys, making the objects on the way. */
static void put(json_object *object, const char *path, json_object *value)
{
	char key[64];
	size_t length = strcspn(path, ".");
	json_object *child;

	snprintf(key, sizeof(key), "%.*s", (int)length, path);
	if (path[length] == '\0') {
		json_object_object_add(object, key, value);
		return;
	}
	if (!json_object_object_get_ex(object, key, &child)) {
		child = json_object_new_object();
		json_object_object_add(object, key, child);
	}
	put(child, path + length + 1, value);
}

static json_object *find(json_object *object, const char *path)
{
	char key[64];
	size_t length = strcspn(path, ".");
	json_object *child;

	snprintf(key, sizeof(key), "%.*s", (int)length, path);
	if (!json_object_object_get_ex(object, key, &child))
		return NULL;
	return path[length] ? find(child, path + length + 1) : child;
}

/* The base document with one value in it, or without it for NULL. */
static int convert_with(const char *path, const char *value)
{
	clean(NULL);
	t.spec = parse(base);
	if (value) {
		put(t.spec, path, parse(value));
	} else {
		char parent[64] = "";
		const char *dot = strrchr(path, '.');

		snprintf(parent, sizeof(parent), "%.*s", dot ? (int)(dot - path) : 0, path);
		json_object_object_del(parent[0] ? find(t.spec, parent) : t.spec, dot ? dot + 1 : path);
	}
	return oci_convert(t.spec, &t.config, &t.process, &t.err);
}

#define NODE(path, major, minor)                                                                                                   \
	"{\"type\":99,\"path\":\"/dev/" path "\",\"major\":" #major ",\"minor\":" #minor ",\"file_mode\":438}"
#define RULE(major, minor) "{\"type\":99,\"major\":" #major ",\"minor\":" #minor ",\"permissions\":\"rwm\",\"allow\":true}"
#define USUAL_RULES                                                                                                                \
	RULE(1, 3)                                                                                                                 \
	"," RULE(1, 5) "," RULE(1, 7) "," RULE(1, 8) "," RULE(1, 9) "," RULE(5, 0) "," RULE(136, -1) "," RULE(5, 2) "," RULE(5, 1)
#define HOOK_IN  "[{\"path\":\"/h\",\"args\":[\"h\",\"1\"],\"env\":[\"A=b\"],\"timeout\":3},{\"path\":\"/i\"}]"
#define HOOK_OUT "[{\"path\":\"/h\",\"args\":[\"h\",\"1\"],\"env\":[\"A=b\"],\"timeout\":3000000000},{\"path\":\"/i\"}]"
#define MAP_IN   "[{\"containerID\":0,\"hostID\":100000,\"size\":65536},{\"containerID\":70000,\"hostID\":5,\"size\":1}]"
#define MAP_OUT  "[{\"container_id\":0,\"host_id\":100000,\"size\":65536},{\"container_id\":70000,\"host_id\":5,\"size\":1}]"
#define RATE_IN  "[{\"major\":8,\"minor\":0,\"rate\":18446744073709551615}]"
#define R        "linux.resources."
#define C        "config.cgroups."

static const struct golden {
	const char *at, *value;      /* in the document */
	const char *where, *becomes; /* NULL: nothing */
	const char *blame;           /* where an error of it is traced to; NULL: to `at` */
} goldens[] = {
	{ "ociVersion", "\"1.0.2-dev\"", "config.version", "\"1.0.2-dev\"", NULL },
	{ "hostname", "\"h\"", "config.hostname", "\"h\"", NULL },
	{ "domainname", "\"d.e\"", "config.domainname", "\"d.e\"", NULL },
	{ "root.path", "\"/somewhere/else\"", "config.rootfs", NULL, "" },
	{ "root.readonly", "true", "config.readonlyfs", "true", NULL },
	{ "annotations", "{\"a\":\"b=c\",\"d\":\"\"}", "config.labels", "[\"a=b=c\",\"d=\"]", NULL },
	{ "mounts",
	  "[{\"destination\":\"/m\",\"type\":\"tmpfs\",\"source\":\"s\",\"options\":[\"size=1k\",\"ro\",\"mode=7\",\"\"]},"
	  "{\"destination\":\"/n\",\"type\":\"none\",\"source\":\"/s\",\"options\":[\"rbind\",\"idmap\"],\"uidMappings\":" MAP_IN
	  ",\"gidMappings\":" MAP_IN "}]",
	  "config.mounts",
	  "[{\"destination\":\"/m\",\"source\":\"s\",\"device\":\"tmpfs\",\"flags\":1,\"data\":\"size=1k,mode=7\"},"
	  "{\"destination\":\"/n\",\"source\":\"/s\",\"device\":\"bind\",\"flags\":20480,\"id_mapping\":{\"recursive\":false,"
	  "\"uid_mappings\":" MAP_OUT ",\"gid_mappings\":" MAP_OUT "}}]",
	  NULL },
	{ "hooks.prestart", HOOK_IN, "config.Hooks.prestart", HOOK_OUT, NULL },
	{ "hooks.createRuntime", HOOK_IN, "config.Hooks.createRuntime", HOOK_OUT, NULL },
	{ "hooks.createContainer", HOOK_IN, "config.Hooks.createContainer", HOOK_OUT, NULL },
	{ "hooks.startContainer", HOOK_IN, "config.Hooks.startContainer", HOOK_OUT, NULL },
	{ "hooks.poststart", HOOK_IN, "config.Hooks.poststart", HOOK_OUT, NULL },
	{ "hooks.poststop", HOOK_IN, "config.Hooks.poststop", HOOK_OUT, NULL },

	{ "process.terminal", "true", "process.terminal", "true", NULL },
	{ "process.consoleSize", "{\"height\":24,\"width\":80}", "process.console_height", "24", "process.consoleSize.height" },
	{ "process.consoleSize", "{\"height\":24,\"width\":80}", "process.console_width", "80", "process.consoleSize.width" },
	{ "process.user.uid", "4294967294", "process.uid", "4294967294", NULL },
	{ "process.user.gid", "7", "process.gid", "7", NULL },
	{ "process.user.umask", "63", "process.umask", "63", NULL },
	{ "process.user.additionalGids", "[1,2]", "process.additional_groups", "[1,2]", NULL },
	{ "process.user.username", "\"\"", "process.username", NULL, "" },
	{ "process.args", "[\"a\",\"\",\"b c\"]", "process.args", "[\"a\",\"\",\"b c\"]", NULL },
	{ "process.commandLine", "\"\"", "process.commandLine", NULL, "" },
	{ "process.env", "[\"A=1\"]", "process.env", "[\"A=1\"]", NULL },
	{ "process.cwd", "\"/w\"", "process.cwd", "\"/w\"", NULL },
	{ "process.capabilities",
	  "{\"bounding\":[\"CAP_A\"],\"effective\":[\"CAP_B\"],\"inheritable\":[\"CAP_C\"],\"permitted\":[\"CAP_D\"],\"ambient\":[]"
	  "}",
	  "config.capabilities",
	  "{\"Bounding\":[\"CAP_A\"],\"Effective\":[\"CAP_B\"],\"Inheritable\":[\"CAP_C\"],\"Permitted\":[\"CAP_D\"],\"Ambient\":[]"
	  "}",
	  NULL },
	{ "process.rlimits",
	  "[{\"type\":\"RLIMIT_CPU\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_FSIZE\",\"hard\":18446744073709551615,\"soft\":0},"
	  "{\"type\":\"RLIMIT_DATA\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_STACK\",\"hard\":2,\"soft\":1},"
	  "{\"type\":\"RLIMIT_CORE\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_RSS\",\"hard\":2,\"soft\":1},"
	  "{\"type\":\"RLIMIT_NPROC\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_NOFILE\",\"hard\":2,\"soft\":1},"
	  "{\"type\":\"RLIMIT_MEMLOCK\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_AS\",\"hard\":2,\"soft\":1},"
	  "{\"type\":\"RLIMIT_LOCKS\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_SIGPENDING\",\"hard\":2,\"soft\":1},"
	  "{\"type\":\"RLIMIT_MSGQUEUE\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_NICE\",\"hard\":2,\"soft\":1},"
	  "{\"type\":\"RLIMIT_RTPRIO\",\"hard\":2,\"soft\":1},{\"type\":\"RLIMIT_RTTIME\",\"hard\":2,\"soft\":1}]",
	  "config.rlimits",
	  "[{\"type\":0,\"hard\":2,\"soft\":1},{\"type\":1,\"hard\":18446744073709551615,\"soft\":0},{\"type\":2,\"hard\":2,"
	  "\"soft\":1},"
	  "{\"type\":3,\"hard\":2,\"soft\":1},{\"type\":4,\"hard\":2,\"soft\":1},{\"type\":5,\"hard\":2,\"soft\":1},"
	  "{\"type\":6,\"hard\":2,\"soft\":1},{\"type\":7,\"hard\":2,\"soft\":1},{\"type\":8,\"hard\":2,\"soft\":1},"
	  "{\"type\":9,\"hard\":2,\"soft\":1},{\"type\":10,\"hard\":2,\"soft\":1},{\"type\":11,\"hard\":2,\"soft\":1},"
	  "{\"type\":12,\"hard\":2,\"soft\":1},{\"type\":13,\"hard\":2,\"soft\":1},{\"type\":14,\"hard\":2,\"soft\":1},"
	  "{\"type\":15,\"hard\":2,\"soft\":1}]",
	  NULL },
	{ "process.noNewPrivileges", "true", "config.no_new_privileges", "true", NULL },
	{ "process.apparmorProfile", "\"p\"", "config.apparmor_profile", "\"p\"", NULL },
	{ "process.selinuxLabel", "\"l\"", "config.process_label", "\"l\"", NULL },
	{ "process.oomScoreAdj", "-1000", "config.oom_score_adj", "-1000", NULL },
	{ "process.scheduler",
	  "{\"policy\":\"SCHED_DEADLINE\",\"nice\":-20,\"priority\":99,\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\",\"SCHED_FLAG_"
	  "RECLAIM\","
	  "\"SCHED_FLAG_DL_OVERRUN\",\"SCHED_FLAG_KEEP_POLICY\",\"SCHED_FLAG_KEEP_PARAMS\",\"SCHED_FLAG_UTIL_CLAMP_MIN\","
	  "\"SCHED_FLAG_UTIL_CLAMP_MAX\"],\"runtime\":1,\"deadline\":2,\"period\":3}",
	  "config.scheduler",
	  "{\"policy\":\"SCHED_DEADLINE\",\"nice\":-20,\"priority\":99,\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\",\"SCHED_FLAG_"
	  "RECLAIM\","
	  "\"SCHED_FLAG_DL_OVERRUN\",\"SCHED_FLAG_KEEP_POLICY\",\"SCHED_FLAG_KEEP_PARAMS\",\"SCHED_FLAG_UTIL_CLAMP_MIN\","
	  "\"SCHED_FLAG_UTIL_CLAMP_MAX\"],\"runtime\":1,\"deadline\":2,\"period\":3}",
	  NULL },
	{ "process.scheduler", "{\"policy\":\"SCHED_OTHER\"}", "config.scheduler", "{\"policy\":\"SCHED_OTHER\"}", NULL },
	{ "process.scheduler", "{\"policy\":\"SCHED_FIFO\"}", "config.scheduler", "{\"policy\":\"SCHED_FIFO\"}", NULL },
	{ "process.scheduler", "{\"policy\":\"SCHED_RR\"}", "config.scheduler", "{\"policy\":\"SCHED_RR\"}", NULL },
	{ "process.scheduler", "{\"policy\":\"SCHED_BATCH\"}", "config.scheduler", "{\"policy\":\"SCHED_BATCH\"}", NULL },
	{ "process.scheduler", "{\"policy\":\"SCHED_ISO\"}", "config.scheduler", "{\"policy\":\"SCHED_ISO\"}", NULL },
	{ "process.scheduler", "{\"policy\":\"SCHED_IDLE\"}", "config.scheduler", "{\"policy\":\"SCHED_IDLE\"}", NULL },
	{ "process.ioPriority", "{\"class\":\"IOPRIO_CLASS_RT\",\"priority\":7}", "config.io_priority",
	  "{\"class\":\"IOPRIO_CLASS_RT\",\"priority\":7}", NULL },
	{ "process.ioPriority", "{\"class\":\"IOPRIO_CLASS_BE\"}", "config.io_priority", "{\"class\":\"IOPRIO_CLASS_BE\"}", NULL },
	{ "process.ioPriority", "{\"class\":\"IOPRIO_CLASS_IDLE\"}", "config.io_priority", "{\"class\":\"IOPRIO_CLASS_IDLE\"}",
	  NULL },
	{ "process.execCPUAffinity", "{\"initial\":\"0-3\",\"final\":\"1\"}", "config.exec_cpu_affinity",
	  "{\"initial\":\"0-3\",\"final\":\"1\"}", NULL },

	{ "linux.uidMappings", MAP_IN, "config.uid_mappings", MAP_OUT, NULL },
	{ "linux.gidMappings", MAP_IN, "config.gid_mappings", MAP_OUT, NULL },
	{ "linux.sysctl", "{\"net.core.somaxconn\":\"256\"}", "config.sysctl", "{\"net.core.somaxconn\":\"256\"}", NULL },
	{ "linux.cgroupsPath", "\"/a/b\"", "config.cgroups", NULL, "" },
	{ R "devices", "[{\"allow\":false,\"access\":\"rwm\"}]", "config.cgroups", NULL, "" },
	{ R "devices", "[]", C "devices", NULL, NULL },
	{ R "devices", "[{\"allow\":false,\"access\":\"rw\"}]", C "devices",
	  "[{\"allow\":false,\"permissions\":\"rw\",\"type\":97,\"major\":-1,\"minor\":-1}," USUAL_RULES "]", NULL },
	{ R "devices", "[{\"allow\":false,\"type\":\"b\",\"access\":\"rwm\"}]", C "devices",
	  "[{\"allow\":false,\"type\":98,\"permissions\":\"rwm\",\"major\":-1,\"minor\":-1}," USUAL_RULES "]", NULL },
	{ "linux.namespaces",
	  "[{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/n\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
	  "{\"type\":\"user\"},{\"type\":\"cgroup\"},{\"type\":\"time\"}]",
	  "config.namespaces",
	  "[{\"type\":\"NEWPID\"},{\"type\":\"NEWNET\",\"path\":\"/"
	  "n\"},{\"type\":\"NEWNS\"},{\"type\":\"NEWIPC\"},{\"type\":\"NEWUTS\"},"
	  "{\"type\":\"NEWUSER\"},{\"type\":\"NEWCGROUP\"},{\"type\":\"NEWTIME\"}]",
	  NULL },
	{ "linux.namespaces", "[{\"type\":\"network\",\"path\":\"/n\"}]", "config.networks", NULL, NULL },
	{ "linux.namespaces", "[{\"type\":\"network\"}]", "config.networks", "[{\"type\":\"loopback\"}]", NULL },
	{ "linux.devices", "[]", "config.devices",
	  "[" NODE("null", 1, 3) "," NODE("zero", 1, 5) "," NODE("full", 1, 7) "," NODE("random", 1, 8) "," NODE(
		  "urandom", 1, 9) "," NODE("tty", 5, 0) "]",
	  NULL },
	{ "linux.devices",
	  "[{\"path\":\"/dev/fuse\",\"type\":\"c\",\"major\":10,\"minor\":229,\"fileMode\":8576,\"uid\":1,\"gid\":2},"
	  "{\"path\":\"/dev/null\",\"type\":\"u\",\"major\":1,\"minor\":3,\"fileMode\":256},"
	  "{\"path\":\"/dev/sda\",\"type\":\"b\",\"major\":8,\"minor\":0},{\"path\":\"/dev/initctl\",\"type\":\"p\"}]",
	  "config.devices",
	  "[{\"path\":\"/dev/fuse\",\"type\":99,\"major\":10,\"minor\":229,\"uid\":1,\"gid\":2,\"file_mode\":384},"
	  "{\"path\":\"/dev/null\",\"type\":99,\"major\":1,\"minor\":3,\"file_mode\":256},"
	  "{\"path\":\"/dev/sda\",\"type\":98,\"major\":8,\"minor\":0,\"file_mode\":438},"
	  "{\"path\":\"/dev/initctl\",\"type\":112,\"file_mode\":438}," NODE("zero", 1, 5) "," NODE("full", 1, 7) "," NODE(
		  "random", 1, 8) "," NODE("urandom", 1, 9) "," NODE("tty", 5, 0) "]",
	  NULL },
	{ "linux.netDevices", "{\"eth0\":{\"name\":\"c0\"},\"eth1\":{}}", "config.netDevices",
	  "{\"eth0\":{\"name\":\"c0\"},\"eth1\":{}}", NULL },
	{ "linux.rootfsPropagation", "\"private\"", "config.rootPropagation", "262144", NULL },
	{ "linux.rootfsPropagation", "\"rprivate\"", "config.rootPropagation", "278528", NULL },
	{ "linux.rootfsPropagation", "\"slave\"", "config.rootPropagation", "524288", NULL },
	{ "linux.rootfsPropagation", "\"rslave\"", "config.rootPropagation", "540672", NULL },
	{ "linux.rootfsPropagation", "\"shared\"", "config.rootPropagation", "1048576", NULL },
	{ "linux.rootfsPropagation", "\"rshared\"", "config.rootPropagation", "1064960", NULL },
	{ "linux.rootfsPropagation", "\"unbindable\"", "config.rootPropagation", "131072", NULL },
	{ "linux.rootfsPropagation", "\"runbindable\"", "config.rootPropagation", "147456", NULL },
	{ "linux.maskedPaths", "[\"/proc/kcore\"]", "config.mask_paths", "[\"/proc/kcore\"]", NULL },
	{ "linux.readonlyPaths", "[\"/proc/sys\"]", "config.readonly_paths", "[\"/proc/sys\"]", NULL },
	{ "linux.mountLabel", "\"l\"", "config.mount_label", "\"l\"", NULL },
	{ "linux.intelRdt",
	  "{\"closID\":\"c\",\"schemata\":[\"s\"],\"l3CacheSchema\":\"l\",\"memBwSchema\":\"m\",\"enableMonitoring\":true,"
	  "\"enableCMT\":true,"
	  "\"enableMBM\":true}",
	  "config.intel_rdt",
	  "{\"closID\":\"c\",\"schemata\":[\"s\"],\"l3_cache_schema\":\"l\",\"memBwSchema\":\"m\",\"enableMonitoring\":true,"
	  "\"enableCMT\":true,"
	  "\"enableMBM\":true}",
	  NULL },
	{ "linux.memoryPolicy",
	  "{\"mode\":\"MPOL_BIND\",\"nodes\":\"0-1\",\"flags\":[\"MPOL_F_STATIC_NODES\",\"MPOL_F_RELATIVE_NODES\",\"MPOL_F_NUMA_"
	  "BALANCING\"]}",
	  "config.memory_policy", "{\"mode\":2,\"nodes\":\"0-1\",\"flags\":57344}", NULL },
	{ "linux.memoryPolicy", "{\"mode\":\"MPOL_DEFAULT\"}", "config.memory_policy", "{\"mode\":0}", NULL },
	{ "linux.memoryPolicy", "{\"mode\":\"MPOL_PREFERRED\"}", "config.memory_policy", "{\"mode\":1}", NULL },
	{ "linux.memoryPolicy", "{\"mode\":\"MPOL_INTERLEAVE\"}", "config.memory_policy", "{\"mode\":3}", NULL },
	{ "linux.memoryPolicy", "{\"mode\":\"MPOL_LOCAL\"}", "config.memory_policy", "{\"mode\":4}", NULL },
	{ "linux.memoryPolicy", "{\"mode\":\"MPOL_PREFERRED_MANY\"}", "config.memory_policy", "{\"mode\":5}", NULL },
	{ "linux.memoryPolicy", "{\"mode\":\"MPOL_WEIGHTED_INTERLEAVE\"}", "config.memory_policy", "{\"mode\":6}", NULL },
	{ "linux.personality", "{\"domain\":\"LINUX\",\"flags\":[]}", "config.personality", "{\"domain\":0}", NULL },
	{ "linux.personality", "{\"domain\":\"LINUX32\"}", "config.personality", "{\"domain\":8}", NULL },
	{ "linux.timeOffsets", "{\"monotonic\":{\"secs\":-5,\"nanosecs\":999999999},\"boottime\":{\"secs\":7,\"nanosecs\":1}}",
	  "config.time_offsets", "{\"monotonic\":{\"secs\":-5,\"nanosecs\":999999999},\"boottime\":{\"secs\":7,\"nanosecs\":1}}",
	  NULL },

	{ "linux.seccomp", "{\"defaultAction\":\"\",\"syscalls\":[]}", "config.seccomp", NULL, NULL },
	{ "linux.seccomp", "{}", "config.seccomp", NULL, NULL },
	{ "linux.seccomp",
	  "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"architectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_X86_64\","
	  "\"SCMP_ARCH_X32\",\"SCMP_ARCH_ARM\",\"SCMP_ARCH_AARCH64\",\"SCMP_ARCH_MIPS\",\"SCMP_ARCH_MIPS64\",\"SCMP_ARCH_"
	  "MIPS64N32\","
	  "\"SCMP_ARCH_MIPSEL\",\"SCMP_ARCH_MIPSEL64\",\"SCMP_ARCH_MIPSEL64N32\",\"SCMP_ARCH_PPC\",\"SCMP_ARCH_PPC64\","
	  "\"SCMP_ARCH_PPC64LE\",\"SCMP_ARCH_S390\",\"SCMP_ARCH_S390X\",\"SCMP_ARCH_RISCV64\",\"SCMP_ARCH_LOONGARCH64\"],"
	  "\"flags\":[\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\","
	  "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],\"listenerPath\":\"/l\",\"listenerMetadata\":\"m\","
	  "\"syscalls\":[{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_ALLOW\"},{\"names\":[\"clone\"],\"action\":\"SCMP_"
	  "ACT_TRACE\","
	  "\"errnoRet\":5,\"args\":[{\"index\":0,\"value\":18446744073709551615,\"valueTwo\":3,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}",
	  "config.seccomp",
	  "{\"default_action\":2,\"default_errno_ret\":38,\"architectures\":[\"x86\",\"amd64\",\"x32\",\"arm\",\"arm64\",\"mips\","
	  "\"mips64\","
	  "\"mips64n32\",\"mipsel\",\"mipsel64\",\"mipsel64n32\",\"ppc\",\"ppc64\",\"ppc64le\",\"s390\",\"s390x\",\"riscv64\","
	  "\"loong64\"],"
	  "\"flags\":[\"SECCOMP_FILTER_FLAG_TSYNC\",\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\","
	  "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],\"listener_path\":\"/l\",\"listener_metadata\":\"m\","
	  "\"syscalls\":[{\"name\":\"read\",\"action\":4},{\"name\":\"write\",\"action\":4},{\"name\":\"clone\",\"action\":5,"
	  "\"errnoRet\":5,"
	  "\"args\":[{\"index\":0,\"value\":18446744073709551615,\"value_two\":3,\"op\":7}]}]}",
	  NULL },
	{ "linux.seccomp",
	  "{\"defaultAction\":\"SCMP_ACT_KILL\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_KILL\"},"
	  "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ERRNO\"},{\"names\":[\"a\"],\"action\":\"SCMP_ACT_TRAP\"},"
	  "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\"},{\"names\":[\"a\"],\"action\":\"SCMP_ACT_NOTIFY\"},"
	  "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_KILL_THREAD\"},{\"names\":[\"a\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
	  "{\"names\":[\"b\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},"
	  "{\"index\":1,\"value\":1,\"op\":\"SCMP_CMP_NE\"},{\"index\":2,\"value\":1,\"op\":\"SCMP_CMP_GT\"},"
	  "{\"index\":3,\"value\":1,\"op\":\"SCMP_CMP_GE\"},{\"index\":4,\"value\":1,\"op\":\"SCMP_CMP_LT\"},"
	  "{\"index\":5,\"value\":1,\"op\":\"SCMP_CMP_LE\"}]}]}",
	  "config.seccomp",
	  "{\"default_action\":1,\"syscalls\":[{\"name\":\"a\",\"action\":1},{\"name\":\"a\",\"action\":2},{\"name\":\"a\","
	  "\"action\":3},"
	  "{\"name\":\"a\",\"action\":6},{\"name\":\"a\",\"action\":7},{\"name\":\"a\",\"action\":8},{\"name\":\"a\",\"action\":9},"
	  "{\"name\":\"b\",\"action\":4,\"args\":[{\"index\":0,\"value\":1,\"op\":1},{\"index\":1,\"value\":1,\"op\":2},"
	  "{\"index\":2,\"value\":1,\"op\":3},{\"index\":3,\"value\":1,\"op\":4},{\"index\":4,\"value\":1,\"op\":5},"
	  "{\"index\":5,\"value\":1,\"op\":6}]}]}",
	  NULL },
	{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", "config.seccomp", "{\"default_action\":4}", NULL },
	{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_TRAP\"}", "config.seccomp", "{\"default_action\":3}", NULL },
	{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_TRACE\"}", "config.seccomp", "{\"default_action\":5}", NULL },
	{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_LOG\"}", "config.seccomp", "{\"default_action\":6}", NULL },
	{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}", "config.seccomp", "{\"default_action\":7}", NULL },
	{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_KILL_THREAD\"}", "config.seccomp", "{\"default_action\":8}", NULL },
	{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\"}", "config.seccomp", "{\"default_action\":9}", NULL },

	{ R "devices",
	  "[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"c\",\"major\":10,\"minor\":229,\"access\":\"r\"},"
	  "{\"allow\":true,\"type\":\"b\",\"major\":8,\"access\":\"m\"},{\"type\":\"a\",\"access\":\"w\"}]",
	  C "devices",
	  "[{\"allow\":false,\"permissions\":\"rwm\",\"type\":97,\"major\":-1,\"minor\":-1},"
	  "{\"allow\":true,\"type\":99,\"major\":10,\"minor\":229,\"permissions\":\"r\"},"
	  "{\"allow\":true,\"type\":98,\"major\":8,\"permissions\":\"m\",\"minor\":-1},"
	  "{\"type\":97,\"permissions\":\"w\",\"major\":-1,\"minor\":-1,\"allow\":false}," USUAL_RULES "]",
	  NULL },
	{ R "memory.limit", "-1", C "memory", "-1", NULL },
	{ R "memory.reservation", "1", C "memory_reservation", "1", NULL },
	{ R "memory.swap", "2", C "memory_swap", "2", NULL },
	{ R "memory.kernel", "3", C "kernel_memory", "3", NULL },
	{ R "memory.kernelTCP", "4", C "kernel_memory_tcp", "4", NULL },
	{ R "memory.swappiness", "100", C "memory_swappiness", "100", NULL },
	{ R "memory.disableOOMKiller", "true", C "oom_kill_disable", "true", NULL },
	{ R "memory.useHierarchy", "true", C "useHierarchy", NULL, R "memory.useHierarchy" },
	{ R "memory.checkBeforeUpdate", "true", C "memory_check_before_update", "true", NULL },
	{ R "cpu.shares", "18446744073709551615", C "cpu_shares", "18446744073709551615", NULL },
	{ R "cpu.quota", "-1", C "cpu_quota", "-1", NULL },
	{ R "cpu.burst", "1", C "cpu_burst", "1", NULL },
	{ R "cpu.period", "2", C "cpu_period", "2", NULL },
	{ R "cpu.realtimeRuntime", "3", C "cpu_rt_quota", "3", NULL },
	{ R "cpu.realtimePeriod", "4", C "cpu_rt_period", "4", NULL },
	{ R "cpu.cpus", "\"0-1\"", C "cpuset_cpus", "\"0-1\"", NULL },
	{ R "cpu.mems", "\"0\"", C "cpuset_mems", "\"0\"", NULL },
	{ R "cpu.idle", "1", C "cpu_idle", "1", NULL },
	{ R "pids.limit", "-1", C "pids_limit", "-1", NULL },
	{ R "blockIO.weight", "10", C "blkio_weight", "10", NULL },
	{ R "blockIO.leafWeight", "11", C "blkio_leaf_weight", "11", NULL },
	{ R "blockIO.weightDevice", "[{\"major\":8,\"minor\":1,\"weight\":2,\"leafWeight\":3}]", C "blkio_weight_device",
	  "[{\"major\":8,\"minor\":1,\"weight\":2,\"leafWeight\":3}]", NULL },
	{ R "blockIO.throttleReadBpsDevice", RATE_IN, C "blkio_throttle_read_bps_device", RATE_IN, NULL },
	{ R "blockIO.throttleWriteBpsDevice", RATE_IN, C "blkio_throttle_write_bps_device", RATE_IN, NULL },
	{ R "blockIO.throttleReadIOPSDevice", RATE_IN, C "blkio_throttle_read_iops_device", RATE_IN, NULL },
	{ R "blockIO.throttleWriteIOPSDevice", RATE_IN, C "blkio_throttle_write_iops_device", RATE_IN, NULL },
	{ R "hugepageLimits", "[{\"pageSize\":\"2MB\",\"limit\":9}]", C "hugetlb_limit", "[{\"page_size\":\"2MB\",\"limit\":9}]",
	  NULL },
	{ R "network.classID", "4294967295", C "net_cls_classid_u", "4294967295", NULL },
	{ R "network.priorities", "[{\"name\":\"eth0\",\"priority\":5}]", C "net_prio_ifpriomap",
	  "[{\"interface\":\"eth0\",\"priority\":5}]", NULL },
	{ R "rdma", "{\"mlx\":{\"hcaHandles\":1,\"hcaObjects\":2}}", C "rdma", "{\"mlx\":{\"hca_handles\":1,\"hca_objects\":2}}",
	  NULL },
	{ R "unified", "{\"memory.high\":\"1\"}", C "unified", "{\"memory.high\":\"1\"}", NULL },
	{ "solaris", "{}", "config.solaris", NULL, "" },
	{ "windows", "{}", "config.windows", NULL, "" },
	{ "zos", "{}", "config.zos", NULL, "" },
	{ "freebsd", "{}", "config.freebsd", NULL, "" },
	{ "vm", "{}", "config.vm", NULL, "" },
};

static json_object *result_of(const char *where)
{
	const char *dot = strchr(where, '.');

	return find(where[0] == 'c' ? t.config : t.process, dot + 1);
}

static void test_goldens(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(goldens); i++) {
		const struct golden *g = &goldens[i];

		check_row(convert_with(g->at, g->value) == 0, "%s = %s: %s: %s", g->at, g->value, t.err.field, t.err.message);
		json_object *found = result_of(g->where), *wanted = g->becomes ? parse(g->becomes) : NULL;
		check_row(json_object_equal(found, wanted), "%s: %s is %s, not %s", g->at, g->where,
			  json_object_to_json_string(found), g->becomes ? g->becomes : "absent");
		json_object_put(wanted);
	}
}

/* Nothing but what was asked for is in the results. */
static void test_the_smallest_document(void **state)
{
	(void)state;
	assert_worked(convert_with("process.terminal", "false"), &t.err);
	json_object *config = parse("{\"version\":\"1.2.0\"}");
	json_object *process = parse("{\"args\":[\"x\"],\"cwd\":\"/\",\"terminal\":false}");
	assert_true(json_object_equal(t.config, config));
	assert_true(json_object_equal(t.process, process));
	json_object_put(config);
	json_object_put(process);
}

static void test_errors_are_traced_back(void **state)
{
	char wanted[160];

	(void)state;
	for (size_t i = 0; i < array_count(goldens); i++) {
		const struct golden *g = &goldens[i];

		if (g->blame && !g->blame[0])
			continue;
		if (!g->becomes && g->blame)
			continue;
		error_field(&t.err, g->where, "bad");
		oci_blame(&t.err);
		snprintf(wanted, sizeof(wanted), "spec.%s", g->blame ? g->blame : g->at);
		check_row(strcmp(t.err.field, wanted) == 0, "%s is traced to %s, not %s", g->where, t.err.field, wanted);
		check_row(strstr(t.err.message, "bad") != NULL, "%s: %s", g->where, t.err.message);
	}
}

static void test_traces_carry_indices_and_say_what_was_converted(void **state)
{
	static const struct {
		const char *converted, *document, *message;
	} rows[] = {
		{ "config.mounts[12].flags", "spec.mounts[12].options", "as config.mounts[12].flags of the converted config: bad" },
		{ "config.mounts[0].propagation_flags[1]", "spec.mounts[0].options",
		  "as config.mounts[0].propagation_flags[1] of the converted config: bad" },
		{ "config.mounts[3]", "spec.mounts[3]", "bad" },
		{ "config.mounts[3].device", "spec.mounts[3].type", NULL },
		{ "config.mounts[3].destination", "spec.mounts[3].destination", "bad" },
		{ "config.mounts[3].source", "spec.mounts[3].source", "bad" },
		{ "config.mounts[3].data", "spec.mounts[3].options", NULL },
		{ "config.mounts[3].cleared_flags", "spec.mounts[3].options", NULL },
		{ "config.mounts[3].rec_attr.Attr_set", "spec.mounts[3].options", NULL },
		{ "config.mounts[3].extensions", "spec.mounts[3].options", NULL },
		{ "config.mounts[3].id_mapping.recursive", "spec.mounts[3]", NULL },
		{ "config.mounts[x].flags", "spec.mounts[x].flags", NULL },
		{ "config.namespaces[2].path", "spec.linux.namespaces[2].path", NULL },
		{ "config.namespaces", "spec.linux.namespaces", NULL },
		{ "config.rlimits[0].soft", "spec.process.rlimits[0].soft", NULL },
		{ "config.devices[7].file_mode", "spec.linux.devices[7].fileMode", NULL },
		{ "config.devices[7].major", "spec.linux.devices[7].major", NULL },
		{ "config.capabilities.Bounding[2]", "spec.process.capabilities.bounding[2]", NULL },
		{ "config.capabilities.Ambient", "spec.process.capabilities.ambient", NULL },
		{ "config.seccomp.syscalls[900].name", "spec.linux.seccomp.syscalls", NULL },
		{ "config.seccomp.flags[1]", "spec.linux.seccomp.flags[1]", NULL },
		{ "config.cgroups.hugetlb_limit[1].page_size", "spec.linux.resources.hugepageLimits[1].pageSize", NULL },
		{ "config.cgroups.memory_swap", "spec.linux.resources.memory.swap", NULL },
		{ "config.sysctl.kernel.domainname", "spec.linux.sysctl.kernel.domainname", NULL },
		{ "process.args[0]", "spec.process.args[0]", "bad" },
		{ "process.env[9]", "spec.process.env[9]", "bad" },
		{ "config.something_new", "config.something_new", "as config.something_new of the converted config: bad" },
		{ "rootfs", "rootfs", "bad" },
		{ "spec.mounts[0]", "spec.mounts[0]", "bad" },
		{ "", "", "bad" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		error_field(&t.err, rows[i].converted, "bad");
		t.err.code = ERROR_UNSUPPORTED_FIELD;
		oci_blame(&t.err);
		check_row(strcmp(t.err.field, rows[i].document) == 0, "%s: %s, not %s", rows[i].converted, t.err.field,
			  rows[i].document);
		check_row(!rows[i].message || strcmp(t.err.message, rows[i].message) == 0, "%s: %s", rows[i].converted,
			  t.err.message);
		assert_int_equal(t.err.code, ERROR_UNSUPPORTED_FIELD);
	}
}

/* ---- is every row of the tables, and every word, in a golden case? ---- */

/* The value at a path with "[]" for any element and "{}" for any member; does `wanted` (NULL: anything) stand there? */
static bool stands(json_object *json, const char *path, const char *wanted)
{
	char key[64];
	json_object *child;

	if (*path == '\0')
		return json && (!wanted ||
				(json_object_is_type(json, json_type_string) && strcmp(json_object_get_string(json), wanted) == 0));
	if (strncmp(path, "[]", 2) == 0) {
		for (size_t i = 0; json_object_is_type(json, json_type_array) && i < json_object_array_length(json); i++) {
			if (stands(json_object_array_get_idx(json, i), path + 2, wanted))
				return true;
		}
		return false;
	}
	if (*path == '.')
		path++;
	if (!json_object_is_type(json, json_type_object))
		return false;
	if (strncmp(path, "{}", 2) == 0) {
		json_object_object_foreach (json, name, member) {
			(void)name;
			if (stands(member, path + 2, wanted))
				return true;
		}
		return false;
	}
	size_t length = strcspn(path, ".[");
	snprintf(key, sizeof(key), "%.*s", (int)length, path);
	return json_object_object_get_ex(json, key, &child) && stands(child, path + length, wanted);
}

static bool has_case(const char *path, const char *wanted)
{
	bool found = false;

	for (size_t i = 0; i < array_count(goldens) && !found; i++) {
		json_object *document = json_object_new_object();

		put(document, goldens[i].at, parse(goldens[i].value));
		found = stands(document, path, wanted);
		json_object_put(document);
	}
	return found;
}

static unsigned walk(const struct oci_table *table, const char *prefix)
{
	unsigned rows = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct oci_table_row *row = &table->rows[i];
		char path[160];

		snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", row->name);
		check_row(has_case(path, NULL), "no case has %s", path);
		rows++;
		for (const struct oci_table_word *word = row->words; word && word->name; word++) {
			char list[176];

			snprintf(list, sizeof(list), "%s%s", path, row->kind == OCI_WORD ? "" : "[]");
			check_row(word->refused || has_case(list, word->name), "no case has %s = %s", list, word->name);
			rows++;
		}
		if (row->kind == OCI_LIST)
			strcat(path, "[]");
		if (row->kind == OCI_OBJECTS)
			strcat(path, ".{}");
		if (row->table)
			rows += walk(row->table, path);
	}
	return rows;
}

static void test_every_row_has_a_case(void **state)
{
	(void)state;
	assert_true(walk(&oci_table, "") > 250);
}

/* ---- mount options ---- */

static void test_mount_options(void **state)
{
	static const struct {
		const char *options;
		int64_t flags, cleared;
		const char *more; /* the other members, in JSON */
	} rows[] = {
		{ "\"rw\"", 0, 1, "{}" },
		{ "\"ro\"", 1, 0, "{}" },
		{ "\"suid\"", 0, 2, "{}" },
		{ "\"nosuid\"", 2, 0, "{}" },
		{ "\"dev\"", 0, 4, "{}" },
		{ "\"nodev\"", 4, 0, "{}" },
		{ "\"exec\"", 0, 8, "{}" },
		{ "\"noexec\"", 8, 0, "{}" },
		{ "\"async\"", 0, 16, "{}" },
		{ "\"sync\"", 16, 0, "{}" },
		{ "\"remount\"", 32, 0, "{}" },
		{ "\"mand\"", 64, 0, "{}" },
		{ "\"nomand\"", 0, 64, "{}" },
		{ "\"dirsync\"", 128, 0, "{}" },
		{ "\"nosymfollow\"", 256, 0, "{}" },
		{ "\"symfollow\"", 0, 256, "{}" },
		{ "\"atime\"", 0, 1024, "{}" },
		{ "\"noatime\"", 1024, 0, "{}" },
		{ "\"diratime\"", 0, 2048, "{}" },
		{ "\"nodiratime\"", 2048, 0, "{}" },
		{ "\"silent\"", 32768, 0, "{}" },
		{ "\"loud\"", 0, 32768, "{}" },
		{ "\"relatime\"", 2097152, 0, "{}" },
		{ "\"norelatime\"", 0, 2097152, "{}" },
		{ "\"iversion\"", 8388608, 0, "{}" },
		{ "\"noiversion\"", 0, 8388608, "{}" },
		{ "\"strictatime\"", 16777216, 0, "{}" },
		{ "\"nostrictatime\"", 0, 16777216, "{}" },
		{ "\"lazytime\"", 33554432, 0, "{}" },
		{ "\"nolazytime\"", 0, 33554432, "{}" },
		{ "\"defaults\"", 0, 0, "{}" },
		{ "\"bind\"", 4096, 0, "{}" },
		{ "\"rbind\"", 20480, 0, "{}" },
		{ "\"ro\",\"rw\"", 0, 1, "{}" },
		{ "\"rw\",\"ro\"", 1, 0, "{}" },
		{ "\"private\",\"rslave\"", 0, 0, "{\"propagation_flags\":[262144,540672]}" },
		{ "\"rprivate\"", 0, 0, "{\"propagation_flags\":[278528]}" },
		{ "\"slave\"", 0, 0, "{\"propagation_flags\":[524288]}" },
		{ "\"shared\"", 0, 0, "{\"propagation_flags\":[1048576]}" },
		{ "\"rshared\"", 0, 0, "{\"propagation_flags\":[1064960]}" },
		{ "\"unbindable\"", 0, 0, "{\"propagation_flags\":[131072]}" },
		{ "\"runbindable\"", 0, 0, "{\"propagation_flags\":[147456]}" },
		{ "\"tmpcopyup\"", 0, 0, "{\"extensions\":1}" },
		{ "\"idmap\"", 0, 0, "{\"id_mapping\":{\"recursive\":false}}" },
		{ "\"ridmap\"", 0, 0, "{\"id_mapping\":{\"recursive\":true}}" },
#define ATTRIBUTES(option, set, clear)                                                                                             \
	{ option, 0, 0, "{\"rec_attr\":{\"Attr_set\":" #set ",\"Attr_clr\":" #clear ",\"Propagation\":0,\"Userns_fd\":0}}" }
		ATTRIBUTES("\"rro\"", 1, 0),
		ATTRIBUTES("\"rrw\"", 0, 1),
		ATTRIBUTES("\"rnosuid\"", 2, 0),
		ATTRIBUTES("\"rsuid\"", 0, 2),
		ATTRIBUTES("\"rnodev\"", 4, 0),
		ATTRIBUTES("\"rdev\"", 0, 4),
		ATTRIBUTES("\"rnoexec\"", 8, 0),
		ATTRIBUTES("\"rexec\"", 0, 8),
		ATTRIBUTES("\"rrelatime\"", 0, 112),
		ATTRIBUTES("\"rnorelatime\"", 0, 112),
		ATTRIBUTES("\"rnoatime\"", 16, 112),
		ATTRIBUTES("\"ratime\"", 0, 112),
		ATTRIBUTES("\"rstrictatime\"", 32, 112),
		ATTRIBUTES("\"rnostrictatime\"", 0, 112),
		ATTRIBUTES("\"rnodiratime\"", 128, 0),
		ATTRIBUTES("\"rdiratime\"", 0, 128),
		ATTRIBUTES("\"rnosymfollow\"", 2097152, 0),
		ATTRIBUTES("\"rsymfollow\"", 0, 2097152),
		ATTRIBUTES("\"rnoatime\",\"rstrictatime\",\"rro\"", 33, 112),
		ATTRIBUTES("\"rro\",\"rrw\",\"rnosuid\"", 2, 1),
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char text[512];

		/* With bind before it, so that cleared flags are seen; what follows does not depend on it. */
		snprintf(text, sizeof(text), "[{\"destination\":\"/m\",\"options\":[\"bind\",%s]}]", rows[i].options);
		check_row(convert_with("mounts", text) == 0, "%s: %s: %s", rows[i].options, t.err.field, t.err.message);
		json_object *mount = json_object_array_get_idx(find(t.config, "mounts"), 0), *wanted = parse(rows[i].more);
		json_object_object_add(wanted, "destination", json_object_new_string("/m"));
		json_object_object_add(wanted, "device", json_object_new_string("bind"));
		json_object_object_add(wanted, "flags", json_object_new_int64(rows[i].flags | MS_BIND));
		if (rows[i].cleared)
			json_object_object_add(wanted, "cleared_flags", json_object_new_int64(rows[i].cleared));
		check_row(json_object_equal(mount, wanted), "%s: %s", rows[i].options, json_object_to_json_string(mount));
		json_object_put(wanted);
	}
	/* Elsewhere a flag that is cleared says nothing. */
	assert_worked(
		convert_with("mounts", "[{\"destination\":\"/m\",\"type\":\"tmpfs\",\"options\":[\"nosuid\",\"suid\",\"rw\"]}]"),
		&t.err);
	json_object *mount = json_object_array_get_idx(find(t.config, "mounts"), 0);
	assert_string_equal(json_object_to_json_string_ext(mount, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			    "{\"destination\":\"/m\",\"device\":\"tmpfs\",\"flags\":0}");
}

/* ---- errors ---- */

static void test_errors(void **state)
{
	static const struct {
		const char *at, *value, *field;
		enum error_code code; /* 0: ERROR_PARAMS */
	} rows[] = {
		{ "nonsense", "1", "nonsense", 0 },
		{ "nonsense", "null", "nonsense", 0 },
		{ "ociVersion", NULL, "ociVersion", 0 },
		{ "ociVersion", "null", "ociVersion", 0 },
		{ "ociVersion", "\"2.0.0\"", "ociVersion", 0 },
		{ "ociVersion", "\"1\"", "ociVersion", 0 },
		{ "ociVersion", "1", "ociVersion", 0 },
		{ "root", NULL, "root", 0 },
		{ "root", "{}", "root.path", 0 },
		{ "root.path", "\"\"", "root.path", 0 },
		{ "root.path", "5", "root.path", 0 },
		{ "root.readonly", "\"yes\"", "root.readonly", 0 },
		{ "root.writable", "true", "root.writable", 0 },
		{ "process", NULL, "process", 0 },
		{ "process", "[]", "process", 0 },
		{ "process.args", NULL, "process.args", 0 },
		{ "process.args", "\"sh\"", "process.args", 0 },
		{ "process.args", "[\"a\",5]", "process.args[1]", 0 },
		{ "process.args", "[\"a\",null]", "process.args[1]", 0 },
		{ "process.cwd", NULL, "process.cwd", 0 },
		{ "process.cwd", "\"\"", "process.cwd", 0 },
		{ "process.env", "{\"A\":\"b\"}", "process.env", 0 },
		{ "process.user.uid", "-1", "process.user.uid", 0 },
		{ "process.user.uid", "4294967295", "process.user.uid", 0 },
		{ "process.user.uid", "1.0", "process.user.uid", 0 },
		{ "process.user.uid", "\"0\"", "process.user.uid", 0 },
		{ "process.user.umask", "512", "process.user.umask", 0 },
		{ "process.user.additionalGids", "[1,-2]", "process.user.additionalGids[1]", 0 },
		{ "process.user.username", "\"root\"", "process.user.username", ERROR_UNSUPPORTED_FIELD },
		{ "process.user.name", "\"root\"", "process.user.name", 0 },
		{ "process.commandLine", "\"cmd\"", "process.commandLine", ERROR_UNSUPPORTED_FIELD },
		{ "process.terminal", "1", "process.terminal", 0 },
		{ "process.consoleSize", "{\"height\":1}", "process.consoleSize.width", 0 },
		{ "process.consoleSize", "{\"height\":65536,\"width\":1}", "process.consoleSize.height", 0 },
		{ "process.capabilities", "[\"CAP_CHOWN\"]", "process.capabilities", 0 },
		{ "process.capabilities.bounding", "[7]", "process.capabilities.bounding[0]", 0 },
		{ "process.capabilities.all", "[]", "process.capabilities.all", 0 },
		{ "process.rlimits", "[{\"type\":\"RLIMIT_X\",\"hard\":1,\"soft\":1}]", "process.rlimits[0].type", 0 },
		{ "process.rlimits", "[{\"type\":7,\"hard\":1,\"soft\":1}]", "process.rlimits[0].type", 0 },
		{ "process.rlimits", "[{\"type\":\"RLIMIT_CPU\",\"soft\":1}]", "process.rlimits[0].hard", 0 },
		{ "process.rlimits", "[{\"type\":\"RLIMIT_CPU\",\"hard\":-1,\"soft\":1}]", "process.rlimits[0].hard", 0 },
		{ "process.rlimits",
		  "[{\"type\":\"RLIMIT_CPU\",\"hard\":1,\"soft\":1},{\"type\":\"RLIMIT_CPU\",\"hard\":1,\"soft\":1}]",
		  "process.rlimits[1].type", 0 },
		{ "process.rlimits", "[null]", "process.rlimits[0]", 0 },
		{ "process.oomScoreAdj", "1001", "process.oomScoreAdj", 0 },
		{ "process.scheduler", "{\"nice\":1}", "process.scheduler.policy", 0 },
		{ "process.scheduler", "{\"policy\":\"SCHED_X\"}", "process.scheduler.policy", 0 },
		{ "process.scheduler", "{\"policy\":\"SCHED_RR\",\"flags\":[\"X\"]}", "process.scheduler.flags[0]", 0 },
		{ "process.scheduler", "{\"policy\":\"SCHED_RR\",\"nice\":20}", "process.scheduler.nice", 0 },
		{ "process.ioPriority", "{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8}", "process.ioPriority.priority", 0 },
		{ "mounts", "{}", "mounts", 0 },
		{ "mounts", "[{\"type\":\"tmpfs\"}]", "mounts[0].destination", 0 },
		{ "mounts", "[{\"destination\":\"/a\"}]", "mounts[0].type", 0 },
		{ "mounts", "[{\"destination\":\"/a\",\"type\":\"x\",\"option\":[]}]", "mounts[0].option", 0 },
		{ "mounts", "[{\"destination\":\"/a\",\"type\":\"x\",\"options\":[\"ro\",3]}]", "mounts[0].options[1]", 0 },
		{ "mounts",
		  "[{\"destination\":\"/a\",\"type\":\"x\"},{\"destination\":\"/b\",\"options\":[\"bind\",\"ro\",\"size=4\"]}]",
		  "mounts[1].options[2]", 0 },
		{ "mounts",
		  "[{\"destination\":\"/a\",\"type\":\"x\",\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":0}]}]",
		  "mounts[0].uidMappings[0].size", 0 },
		{ "hooks.prestart", "[{}]", "hooks.prestart[0].path", 0 },
		{ "hooks.poststop", "[{\"path\":\"/x\",\"timeout\":0}]", "hooks.poststop[0].timeout", 0 },
		{ "hooks.poststop", "[{\"path\":\"/x\",\"timeout\":9223372037}]", "hooks.poststop[0].timeout", 0 },
		{ "hooks.whenever", "[]", "hooks.whenever", 0 },
		{ "annotations", "{\"a\":1}", "annotations.a", 0 },
		{ "annotations", "{\"a\":null}", "annotations.a", 0 },
		{ "annotations", "[]", "annotations", 0 },
		{ "solaris", "{\"milestone\":\"m\"}", "solaris", ERROR_UNSUPPORTED_FIELD },
		{ "windows", "{\"layerFolders\":[\"a\"]}", "windows", ERROR_UNSUPPORTED_FIELD },
		{ "zos", "{\"namespaces\":[{\"type\":\"pid\"}]}", "zos", ERROR_UNSUPPORTED_FIELD },
		{ "freebsd", "{\"jail\":{\"parent\":\"p\"}}", "freebsd", ERROR_UNSUPPORTED_FIELD },
		{ "vm", "{\"kernel\":{\"path\":\"/k\"}}", "vm", ERROR_UNSUPPORTED_FIELD },
		{ "linux", "[]", "linux", 0 },
		{ "linux.windows", "1", "linux.windows", 0 },
		{ "linux.namespaces", "[{\"type\":\"mnt\"}]", "linux.namespaces[0].type", 0 },
		{ "linux.namespaces", "[{\"path\":\"/x\"}]", "linux.namespaces[0].type", 0 },
		{ "linux.namespaces", "[{\"type\":\"pid\"},{\"type\":\"ipc\"},{\"type\":\"pid\"}]", "linux.namespaces[2].type", 0 },
		{ "linux.uidMappings", "[{\"containerID\":0,\"size\":1}]", "linux.uidMappings[0].hostID", 0 },
		{ "linux.sysctl", "{\"a\":5}", "linux.sysctl.a", 0 },
		{ "linux.devices", "[{\"path\":\"/dev/x\",\"type\":\"x\"}]", "linux.devices[0].type", 0 },
		{ "linux.devices", "[{\"path\":\"/dev/x\",\"type\":\"a\"}]", "linux.devices[0].type", 0 },
		{ "linux.devices", "[{\"type\":\"c\"}]", "linux.devices[0].path", 0 },
		{ "linux.rootfsPropagation", "\"rw\"", "linux.rootfsPropagation", 0 },
		{ "linux.maskedPaths", "[1]", "linux.maskedPaths[0]", 0 },
		{ "linux.netDevices", "{\"e\":{\"name\":\"sixteen-letters-\"}}", "linux.netDevices.e.name", 0 },
		{ "linux.netDevices", "{\"e\":null}", "linux.netDevices.e", 0 },
		{ "linux.memoryPolicy", "{\"mode\":\"MPOL_X\"}", "linux.memoryPolicy.mode", 0 },
		{ "linux.memoryPolicy", "{\"mode\":\"MPOL_BIND\",\"flags\":[\"X\"]}", "linux.memoryPolicy.flags[0]", 0 },
		{ "linux.personality", "{\"domain\":\"BSD\"}", "linux.personality.domain", 0 },
		{ "linux.personality", "{\"domain\":\"LINUX\",\"flags\":[\"X\"]}", "linux.personality.flags",
		  ERROR_UNSUPPORTED_FIELD },
		{ "linux.timeOffsets", "{\"realtime\":{}}", "linux.timeOffsets.realtime", 0 },
		{ "linux.timeOffsets", "{\"boottime\":{\"nanosecs\":1000000000}}", "linux.timeOffsets.boottime.nanosecs", 0 },
		{ "linux.seccomp", "5", "linux.seccomp", 0 },
		{ "linux.seccomp", "{\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
		  "linux.seccomp.defaultAction", 0 },
		{ "linux.seccomp", "{\"defaultAction\":\"ALLOW\"}", "linux.seccomp.defaultAction", 0 },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"amd64\"]}",
		  "linux.seccomp.architectures[0]", 0 },
		{ "linux.seccomp",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86\",\"SCMP_ARCH_PARISC\"]}",
		  "linux.seccomp.architectures[1]", ERROR_UNSUPPORTED_FIELD },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_PARISC64\"]}",
		  "linux.seccomp.architectures[0]", ERROR_UNSUPPORTED_FIELD },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_M68K\"]}",
		  "linux.seccomp.architectures[0]", ERROR_UNSUPPORTED_FIELD },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_SH\"]}",
		  "linux.seccomp.architectures[0]", ERROR_UNSUPPORTED_FIELD },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_SHEB\"]}",
		  "linux.seccomp.architectures[0]", ERROR_UNSUPPORTED_FIELD },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"LOG\"]}", "linux.seccomp.flags[0]", 0 },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", "linux.seccomp.syscalls", 0 },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[null]}", "linux.seccomp.syscalls[0]", 0 },
		{ "linux.seccomp",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_LOG\"}]}",
		  "linux.seccomp.syscalls[0].names", 0 },
		{ "linux.seccomp",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\",\"\"],\"action\":\"SCMP_ACT_LOG\"}]}",
		  "linux.seccomp.syscalls[0].names[1]", 0 },
		{ "linux.seccomp", "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"]}]}",
		  "linux.seccomp.syscalls[0].action", 0 },
		{ "linux.seccomp",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"name\":\"a\",\"action\":\"SCMP_ACT_LOG\"}]}",
		  "linux.seccomp.syscalls[0].name", 0 },
		{ "linux.seccomp",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{"
		  "\"index\":6,"
		  "\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}",
		  "linux.seccomp.syscalls[0].args[0].index", 0 },
		{ "linux.seccomp",
		  "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{"
		  "\"index\":0,"
		  "\"value\":1,\"op\":\"EQ\"}]}]}",
		  "linux.seccomp.syscalls[0].args[0].op", 0 },
		{ R "devices", "[{\"allow\":true}]", R "devices[0].access", 0 },
		{ R "devices", "[{\"allow\":true,\"access\":\"\"}]", R "devices[0].access", 0 },
		{ R "devices", "[{\"allow\":true,\"access\":\"rx\"}]", R "devices[0].access", 0 },
		{ R "devices", "[{\"allow\":true,\"access\":\"r\",\"type\":\"p\"}]", R "devices[0].type", 0 },
		{ R "memory.limit", "-2", R "memory.limit", 0 },
		{ R "memory.swappiness", "101", R "memory.swappiness", 0 },
		{ R "memory.max", "1", R "memory.max", 0 },
		{ R "cpu.cpus", "0", R "cpu.cpus", 0 },
		{ R "pids", "5", R "pids", 0 },
		{ R "blockIO.weight", "65536", R "blockIO.weight", 0 },
		{ R "blockIO.throttleReadBpsDevice", "[{\"major\":1,\"minor\":1}]", R "blockIO.throttleReadBpsDevice[0].rate", 0 },
		{ R "hugepageLimits", "[{\"limit\":1}]", R "hugepageLimits[0].pageSize", 0 },
		{ R "rdma", "{\"m\":{\"handles\":1}}", R "rdma.m.handles", 0 },
		{ R "unified", "{\"a\":1}", R "unified.a", 0 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = convert_with(rows[i].at, rows[i].value);
		enum error_code code = rows[i].code ? rows[i].code : ERROR_PARAMS;

		check_row(result < 0, "%s = %s was accepted", rows[i].at, rows[i].value);
		check_row(strcmp(t.err.field, rows[i].field) == 0 && t.err.code == code && t.err.message[0],
			  "%s = %s: %s: \"%s\": %s", rows[i].at, rows[i].value, error_wire_name(t.err.code), t.err.field,
			  t.err.message);
		check_row(!t.config && !t.process, "%s: something came out", rows[i].at);
	}
}

static void test_a_document_that_is_none(void **state)
{
	static const char *const texts[] = { "[]", "5", "\"x\"", "true", "{}" };

	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		clean(NULL);
		t.spec = parse(texts[i]);
		check_row(oci_convert(t.spec, &t.config, &t.process, &t.err) < 0, "%s", texts[i]);
		assert_int_equal(t.err.code, ERROR_PARAMS);
	}
}

/* The value of a variable may be a secret. */
static void test_no_value_of_env_is_quoted(void **state)
{
	(void)state;
	assert_true(convert_with("process.env", "[\"KEY=hidden\",7]") < 0);
	assert_null(strstr(t.err.message, "hidden"));
}

/* A small document must not become a large config: the rules of all names share their arguments, and their number is bounded. */
static void test_many_rules_are_bounded(void **state)
{
	static char text[64 * 1024];
	size_t length = 0;

	(void)state;
	length += (size_t)sprintf(text + length, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[");
	for (int rule = 0; rule < 5; rule++) {
		length += (size_t)sprintf(text + length, "%s{\"action\":\"SCMP_ACT_LOG\",\"names\":[", rule ? "," : "");
		for (int name = 0; name < 1000; name++)
			length += (size_t)sprintf(text + length, "%s\"a\"", name ? "," : "");
		length += (size_t)sprintf(text + length, "]}");
	}
	sprintf(text + length, "]}");
	assert_failed(convert_with("linux.seccomp", text), &t.err, ERROR_PARAMS, "linux.seccomp.syscalls[4].names");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_goldens, clean),
		cmocka_unit_test_teardown(test_the_smallest_document, clean),
		cmocka_unit_test_teardown(test_every_row_has_a_case, clean),
		cmocka_unit_test_teardown(test_mount_options, clean),
		cmocka_unit_test_teardown(test_errors_are_traced_back, clean),
		cmocka_unit_test_teardown(test_traces_carry_indices_and_say_what_was_converted, clean),
		cmocka_unit_test_teardown(test_errors, clean),
		cmocka_unit_test_teardown(test_a_document_that_is_none, clean),
		cmocka_unit_test_teardown(test_no_value_of_env_is_quoted, clean),
		cmocka_unit_test_teardown(test_many_rules_are_bounded, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
