/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/mounts.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif
_Static_assert(ARCHITECTURE != 0, "the system call filter needs this architecture's name");

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define KEPT_CAPABILITIES                                                                                                          \
	(1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID | 1u << CAP_MKNOD | 1u << CAP_SYS_ADMIN |  \
	 1u << CAP_SETFCAP)

static int refused(const char *what, struct error *err)
{
	return error_set(err, ERROR_KERNEL, errno, "%s", what);
}

/* ---- the file system ---- */

/* Copies of the mounts have the place as their top: ".." there is the sandbox's. */
static int clone_mount(int directory, uint64_t attributes, struct error *err)
{
	uint64_t set = attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;
	fd_auto mount = mounts_clone(directory, false, ERROR_KERNEL, err);

	if (mount < 0)
		return mount;
	/* How times of access are kept is a number in a field that is to be cleared first. */
	int result = mounts_set_attributes(mount, set, attributes & MOUNT_ATTR__ATIME ? MOUNT_ATTR__ATIME : 0, MS_PRIVATE, false,
					   ERROR_KERNEL, err);
	return result < 0 ? result : take_fd(&mount);
}

static int place(int root, const char *name, int mount, struct error *err)
{
	if (mkdirat(root, name, 0700) < 0)
		return refused("make a directory of the sandbox", err);
	fd_auto target = openat(root, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return refused("open a directory of the sandbox", err);
	return mounts_attach(mount, target, ERROR_KERNEL, err);
}

static int change_root(int root, struct error *err)
{
	/* The old root lands on top of the new one, and is then taken away. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return refused("pivot_root", err);
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return refused("leave the old root", err);
	return mounts_set_attributes(root, MOUNT_ATTR_RDONLY, 0, 0, false, ERROR_KERNEL, err);
}

static int enter_root(struct sandbox *sandbox, struct error *err)
{
	int result;
	/* While they are in reach: only mounts of one's own namespace can be copied. */
	fd_auto tree = clone_mount(sandbox->tree, 0, err);
	fd_auto lower =
		tree < 0 || sandbox->lower < 0 ? -1 : clone_mount(sandbox->lower, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME, err);

	if (tree < 0 || (sandbox->lower >= 0 && lower < 0))
		return tree < 0 ? tree : lower;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return refused("make namespaces", err);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return refused("make mounts private", err);
	fd_auto root = mounts_new("tmpfs", "sandbox", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,nr_inodes=8,mode=0700",
				  ERROR_KERNEL, err);
	if (root < 0)
		return root;
	fd_auto old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return refused("open the root", err);
	result = mounts_attach(root, old, ERROR_KERNEL, err);
	if (result == 0)
		result = place(root, "tree", tree, err);
	if (result == 0 && lower >= 0)
		result = place(root, "lower", lower, err);
	if (result == 0)
		result = change_root(root, err);
	if (result < 0)
		return result;
	sandbox->tree = open("/tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sandbox->tree < 0 || (lower >= 0 && (sandbox->lower = open("/lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0))
		return refused("open the tree", err);
	return 0;
}

/* 0, 1 and 2 become what nothing can be written to, as what a library has to say there would come from the archive. */
static int keep_descriptors(const struct sandbox *sandbox, struct error *err)
{
	int kept[array_count(sandbox->kept) + 3];
	size_t count = 0;
	fd_auto nothing = open("/", O_PATH | O_CLOEXEC);

	if (nothing < 0)
		return refused("open the root", err);
	kept[count++] = sandbox->tree;
	if (sandbox->lower >= 0)
		kept[count++] = sandbox->lower;
	for (size_t i = 0; i < sandbox->kept_count; i++)
		kept[count++] = sandbox->kept[i];
	kept[count++] = INT_MAX;
	for (size_t i = 1; i < count; i++) {
		for (size_t k = i; k > 0 && kept[k] < kept[k - 1]; k--) {
			int swap = kept[k];

			kept[k] = kept[k - 1];
			kept[k - 1] = swap;
		}
	}
	for (int fd = SANITIZED ? 3 : 0, i = 0; fd < 3; fd++) {
		while (kept[i] < fd)
			i++;
		if (kept[i] != fd && nothing != fd && dup3(nothing, fd, O_CLOEXEC) < 0)
			return refused("close the standard streams", err);
	}
	/* What lies between the kept ones; `nothing` may be among that, and is not closed twice. */
	if (nothing > 2)
		close_fd(&nothing);
	else
		nothing = -1;
	unsigned next = 3;
	for (size_t i = 0; i < count; i++) {
		if (kept[i] > (int)next && syscall(SYS_close_range, next, (unsigned)kept[i] - 1, 0) < 0)
			return refused("close descriptors", err);
		if (kept[i] >= (int)next)
			next = (unsigned)kept[i] + 1;
	}
	return 0;
}

/* ---- rights ---- */

static int set_limits(uint64_t memory, struct error *err)
{
	static const struct rlimit none = { 0, 0 }, descriptors = { 128, 128 };
	unsigned long pages[6] = { 0 };
	char text[128];

	if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
		return refused("set limits", err);
	if (SANITIZED)
		return 0;
	/* proc(5): the sixth number is data and stack. */
	if (text_read_file("/proc/self/statm", text, sizeof(text)) < 0 ||
	    sscanf(text, "%lu %lu %lu %lu %lu %lu", &pages[0], &pages[1], &pages[2], &pages[3], &pages[4], &pages[5]) != 6)
		return error_set(err, ERROR_KERNEL, EIO, "see how much memory is used");
	rlim_t most = pages[5] * (rlim_t)sysconf(_SC_PAGESIZE) + memory;
	if (setrlimit(RLIMIT_DATA, &(struct rlimit){ most, most }) < 0)
		return refused("limit memory", err);
	return 0;
}

static int drop_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ KEPT_CAPABILITIES, KEPT_CAPABILITIES, 0 },
		{ 0 },
	};

	for (unsigned number = 0; number < 64; number++) {
		if (number < 32 && (KEPT_CAPABILITIES & 1u << number))
			continue;
		if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0 && errno != EINVAL) /* EINVAL: the kernel has not so many */
			return refused("drop a bounding capability", err);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0)
		return refused("drop capabilities", err);
	return 0;
}

#define LOAD(member)       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define ALLOW(number)      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define UNLESS(number, n)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, n)
#define ALLOW_DATA(number) /* of memory: not executable */                                                                         \
	UNLESS(number, 4), LOAD(args[2]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1), KILL,                             \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static const struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
	KILL,
	LOAD(nr),
	/* the streams and the tree's files */
	ALLOW(SYS_read),
	ALLOW(SYS_write),
	ALLOW(SYS_pread64),
	ALLOW(SYS_pwrite64),
	ALLOW(SYS_lseek),
	ALLOW(SYS_ftruncate),
	ALLOW(SYS_close),
	ALLOW(SYS_openat),
	ALLOW(SYS_openat2),
	ALLOW(SYS_fstat),
	ALLOW(SYS_newfstatat),
	ALLOW(SYS_getdents64),
	ALLOW(SYS_fchdir),
	ALLOW(SYS_readlinkat),
	ALLOW(SYS_mkdirat),
	ALLOW(SYS_mknodat),
	ALLOW(SYS_symlinkat),
	ALLOW(SYS_linkat),
	ALLOW(SYS_unlinkat),
	ALLOW(SYS_fchownat),
	ALLOW(SYS_fchmodat),
	ALLOW(SYS_utimensat),
	ALLOW(SYS_lsetxattr),
	ALLOW(SYS_lgetxattr),
	ALLOW(SYS_llistxattr),
	ALLOW(SYS_lremovexattr),
	ALLOW(SYS_fgetxattr),
	/* fdopendir()'s, F_SETFD and F_GETFL; others make signals for other processes */
	UNLESS(SYS_fcntl, 4),
	LOAD(args[1]),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, F_GETFL, 0, 1),
	KILL,
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	/* memory: never to be executed */
	ALLOW(SYS_brk),
	ALLOW(SYS_munmap),
	ALLOW(SYS_mremap),
	ALLOW(SYS_madvise),
	ALLOW_DATA(SYS_mmap),
	ALLOW_DATA(SYS_mprotect),
	/* The C library's.  abort() is none of them: it would take the call that kills any process of root's. */
	ALLOW(SYS_futex),
	ALLOW(SYS_getrandom),
	ALLOW(SYS_clock_gettime),
	ALLOW(SYS_rt_sigprocmask),
	ALLOW(SYS_rt_sigaction),
	ALLOW(SYS_rt_sigreturn),
	ALLOW(SYS_restart_syscall),
	ALLOW(SYS_exit),
	ALLOW(SYS_exit_group),
#if SANITIZED
	ALLOW(SYS_getpid),
	ALLOW(SYS_gettid),
	ALLOW(SYS_sigaltstack),
	ALLOW(SYS_sched_yield),
	ALLOW(SYS_prlimit64),
	ALLOW(SYS_writev),
#if defined(__x86_64__)
	ALLOW(SYS_readlink),
	ALLOW(SYS_open),
	ALLOW(SYS_stat),
#endif
#endif
	KILL,
};

static int filter_system_calls(struct error *err)
{
	static const struct sock_fprog program = { array_count(filter), (struct sock_filter *)filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return refused("set no_new_privs", err);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return refused("filter system calls", err);
	return 0;
}

int sandbox_enter(struct sandbox *sandbox, struct error *err)
{
	int result = set_limits(sandbox->memory, err);

	if (result == 0)
		result = enter_root(sandbox, err);
	if (result == 0)
		result = keep_descriptors(sandbox, err);
	if (result == 0)
		result = drop_capabilities(err);
	return result < 0 ? result : filter_system_calls(err);
}
