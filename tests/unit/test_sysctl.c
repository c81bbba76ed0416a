/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/container/sysctl.c agent/sys/paths.c -Wl,--wrap=fstatfs */
/* Which kernel parameters are a container's own, and that nothing else is ever written. */
#include "unit/test.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "container/sysctl.h"
#include "sys/paths.h"

int __real_fstatfs(int fd, struct statfs *status);
int __wrap_fstatfs(int fd, struct statfs *status);

static char top[] = "/tmp/coffer-test-XXXXXX";
static bool pretend_proc;
static struct error err;

/* The fake tree is said to be a proc. */
int __wrap_fstatfs(int fd, struct statfs *status)
{
	int result = __real_fstatfs(fd, status);

	if (result == 0 && pretend_proc)
		status->f_type = PROC_SUPER_MAGIC;
	return result;
}

static int fresh(void **state)
{
	(void)state;
	pretend_proc = true;
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	if (!mkdtemp(top) || chdir(top) < 0)
		return -1;
	if (paths_mkdirs("sys/net/ipv4/conf/eth0.1", 0755, &err) < 0 || paths_mkdirs("sys/kernel", 0755, &err) < 0 ||
	    paths_mkdirs("outside", 0755, &err) < 0)
		return -1;
	return 0;
}

static int clean(void **state)
{
	(void)state;
	return chdir("/") == 0 && paths_remove_tree(-1, top, true, &err) == 0 ? 0 : -1;
}

static int check(const char *key, const char *value, unsigned long own)
{
	struct decode_pair pair = { key, value };
	const struct decode_list list = { &pair, 1 };

	memset(&err, 0, sizeof(err));
	return sysctl_check(&list, own, &err);
}

#define ALL (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP)

static void each_parameter_has_its_namespace(void **state)
{
	static const struct {
		const char *key;
		unsigned long owner;
	} rows[] = {
		{ "net.core.somaxconn", CLONE_NEWNET },
		{ "net/core/somaxconn", CLONE_NEWNET },
		{ "net.ipv4.ip_forward", CLONE_NEWNET },
		{ "net.ipv4.conf.eth0/1.forwarding", CLONE_NEWNET }, /* sysctl(8): the dot of a name, among dots */
		{ "net/ipv4/conf/eth0.1/forwarding", CLONE_NEWNET },
		{ "net.ipv6.conf.all.disable_ipv6", CLONE_NEWNET },
		{ "net.ipv4.conf.my-link_2.arp_ignore", CLONE_NEWNET },
		{ "fs.mqueue.msg_max", CLONE_NEWIPC },
		{ "kernel.msgmax", CLONE_NEWIPC },
		{ "kernel.msgmnb", CLONE_NEWIPC },
		{ "kernel.msgmni", CLONE_NEWIPC },
		{ "kernel.sem", CLONE_NEWIPC },
		{ "kernel/sem", CLONE_NEWIPC },
		{ "kernel.shmall", CLONE_NEWIPC },
		{ "kernel.shmmax", CLONE_NEWIPC },
		{ "kernel.shmmni", CLONE_NEWIPC },
		{ "kernel.shm_rmid_forced", CLONE_NEWIPC },
		{ "kernel.domainname", CLONE_NEWUTS },
		{ "user.max_net_namespaces", CLONE_NEWUSER },
	};
	static const unsigned long each[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,   CLONE_NEWUSER,
					      CLONE_NEWNS,  CLONE_NEWPID, CLONE_NEWCGROUP };
	static const char *const names[] = { "NEWNET", "NEWIPC", "NEWUTS", "NEWUSER" };

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char field[100];

		snprintf(field, sizeof(field), "sysctl.%s", rows[i].key);
		for (size_t n = 0; n < array_count(each); n++) {
			int result = check(rows[i].key, "1", each[n]);

			check_row((result == 0) == (each[n] == rows[i].owner), "%s with %lx", rows[i].key, each[n]);
		}
		assert_failed(check(rows[i].key, "1", ALL & ~rows[i].owner), &err, ERROR_PARAMS, field);
		for (size_t n = 0; n < array_count(names); n++)
			check_row((strstr(err.message, names[n]) != NULL) == (each[n] == rows[i].owner), "%s: %s", rows[i].key,
				  err.message);
		assert_failed(check(rows[i].key, "1", 0), &err, ERROR_PARAMS, field);
	}
}

static void what_no_container_has(void **state)
{
	static const char *const rows[] = {
		/* The whole VM's. */
		"kernel.core_pattern", "kernel.modprobe", "kernel.panic", "kernel.sysrq", "kernel.randomize_va_space",
		"kernel.kptr_restrict", "vm.overcommit_memory", "vm/drop_caches", "fs.file-max", "fs.suid_dumpable",
		"fs.binfmt_misc.register", "dev.cdrom.info", "kernel.pid_max", "kernel.ns_last_pid", "kernel.yama.ptrace_scope",
		"abi.vsyscall32", "debug.exception-trace", "kernel.keys.maxkeys", "sunrpc.nfs_debug",
		/* Near a name that some have. */
		"kernel", "net", "user", "fs", "kernel.sem.x", "kernel.semx", "kernel.se", "kernel.shmmaxx", "kernel.msgmax.",
		"fs.mqueuex.y", "fs.mqueue", "nets.x", "users.x", "kernel.domainnamex", "Net.core.somaxconn", "kernel.SEM",
		/* The config has a member for it. */
		"kernel.hostname", "kernel/hostname",
		/* Not names. */
		"", ".", "/", "..", "net.", "net/", ".net", "/net", "net..core", "net//core", "net.core.", "/proc/sys/net/core/x",
		"net.core.somaxconn ", " net.core.somaxconn", "net.core.some thing", "net.core.x\n", "net.core.x=1", "net.core.*",
		"net.core.\303\244", "net\\core", "net:core",
		/* Ways through the tree, in both notations. */
		"net/../kernel/core_pattern", "net/..", "net/.", "net/./core", "../kernel/core_pattern", "net/...",
		"net.//.kernel.core_pattern", "net.//", "net./.x", "net.core.//.//.kernel.core_pattern", "net/.hidden",
		"net/ipv4/conf/../../../kernel/core_pattern", "user/../kernel/modprobe", "fs.mqueue.//.file-max"
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		check_row(check(rows[i], "1", ALL) < 0, "taken: \"%s\"", rows[i]);
		check_row(err.code == ERROR_PARAMS && strncmp(err.field, "sysctl.", 7) == 0 && err.message[0], "\"%s\": %s",
			  rows[i], err.field);
	}
	/* Not "the whole VM's". */
	assert_true(check("kernel.hostname", "x", ALL) < 0);
	assert_non_null(strstr(err.message, "`hostname`"));
}

static void long_names_and_lines(void **state)
{
	char key[300] = "net.";

	(void)state;
	memset(key + 4, 'a', 251);
	assert_worked(check(key, "1", ALL), &err);
	key[255] = 'a';
	assert_true(check(key, "1", ALL) < 0);
	assert_worked(check("net.core.x", "", ALL), &err);
	assert_worked(check("net.core.x", "1 2\t3", ALL), &err);
	assert_failed(check("net.core.x", "1\n", ALL), &err, ERROR_PARAMS, "sysctl.net.core.x");
	assert_failed(check("net.core.x", "1\n2", ALL), &err, ERROR_PARAMS, "sysctl.net.core.x");
}

static void one_that_is_wrong_is_found_among_others(void **state)
{
	struct decode_pair pairs[] = { { "net.core.x", "1" }, { "kernel.sem", "1" }, { "kernel.panic", "1" } };
	struct decode_list list = { pairs, 3 };

	(void)state;
	assert_failed(sysctl_check(&list, ALL, &err), &err, ERROR_PARAMS, "sysctl.kernel.panic");
	list.count = 2;
	assert_worked(sysctl_check(&list, ALL, &err), &err);
	list.count = 0;
	assert_worked(sysctl_check(&list, 0, &err), &err);
}

/* ---- writing ---- */

static void put(const char *path)
{
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	check_row(fd >= 0, "%s", path);
}

static void assert_content(const char *path, const char *wanted)
{
	char got[64] = "";
	fd_auto fd = open(path, O_RDONLY);

	check_row(fd >= 0, "%s", path);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_string_equal(got, wanted);
}

static int write_pairs(struct decode_pair *pairs, size_t count)
{
	const struct decode_list list = { pairs, count };
	fd_auto proc = open(top, O_PATH | O_DIRECTORY);

	memset(&err, 0, sizeof(err));
	return sysctl_write(&list, proc, &err);
}

static void values_reach_their_files(void **state)
{
	struct decode_pair pairs[] = { { "net.ipv4.conf.eth0/1.forwarding", "1" },
				       { "net/ipv4/conf/eth0.1/arp", "2" },
				       { "kernel.sem", "250 32000 100 128" } };

	(void)state;
	put("sys/net/ipv4/conf/eth0.1/forwarding");
	put("sys/net/ipv4/conf/eth0.1/arp");
	put("sys/kernel/sem");
	assert_worked(write_pairs(pairs, 3), &err);
	assert_content("sys/net/ipv4/conf/eth0.1/forwarding", "1");
	assert_content("sys/net/ipv4/conf/eth0.1/arp", "2");
	assert_content("sys/kernel/sem", "250 32000 100 128");
}

static void nothing_is_made_and_no_link_followed(void **state)
{
	static const struct {
		const char *key;
		int result;
	} rows[] = {
		{ "kernel.none", -ENOENT },           { "kernel.link", -ELOOP },     { "net.away.file", -ELOOP },
		{ "net/../../outside/file", -EXDEV }, { "kernel/absolute", -ELOOP }, { "kernel", -EISDIR },
	};

	(void)state;
	put("outside/file");
	put("sys/kernel/sem");
	assert_int_equal(symlink("sem", "sys/kernel/link"), 0);
	assert_int_equal(symlink("/etc/hostname", "sys/kernel/absolute"), 0);
	assert_int_equal(symlink("../../outside", "sys/net/away"), 0);
	for (size_t i = 0; i < array_count(rows); i++) {
		struct decode_pair pairs[] = { { rows[i].key, "evil" }, { "kernel.sem", "later" } };
		char field[100];
		int result = write_pairs(pairs, 2);

		check_row(result == rows[i].result, "%s: %d", rows[i].key, result);
		snprintf(field, sizeof(field), "config.sysctl.%s", rows[i].key);
		assert_failed(result, &err, ERROR_CONTAINER, field);
		/* The first failure ends it. */
		assert_content("sys/kernel/sem", "");
	}
	assert_content("outside/file", "");
	assert_int_equal(access("sys/kernel/none", F_OK), -1);
}

/* What is mounted over /proc/sys in the container is not the kernel's. */
static void only_a_proc_is_written_to(void **state)
{
	struct decode_pair pairs[] = { { "kernel.sem", "1" } };

	(void)state;
	put("sys/kernel/sem");
	pretend_proc = false;
	assert_int_equal(write_pairs(pairs, 1), -ENODEV);
	assert_int_equal(err.code, ERROR_CONTAINER);
	assert_content("sys/kernel/sem", "");
	assert_worked(write_pairs(NULL, 0), &err);
	pretend_proc = true;
	assert_int_equal(rename("sys", "real"), 0);
	assert_int_equal(symlink("real", "sys"), 0);
	assert_true(write_pairs(pairs, 1) < 0);
	assert_content("real/kernel/sem", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_parameter_has_its_namespace),
		cmocka_unit_test(what_no_container_has),
		cmocka_unit_test(long_names_and_lines),
		cmocka_unit_test(one_that_is_wrong_is_found_among_others),
		cmocka_unit_test_setup_teardown(values_reach_their_files, fresh, clean),
		cmocka_unit_test_setup_teardown(nothing_is_made_and_no_link_followed, fresh, clean),
		cmocka_unit_test_setup_teardown(only_a_proc_is_written_to, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
