/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <linux/vhost.h>

#include "base/cleanup.h"
#include "qemu/fail.h"
#include "qemu/state.h"

#define BRIDGE_WAIT_MS   10000
#define BRIDGE_FIRST_CID 3u /* 0..2 are the hypervisor, local and the host */
#define BRIDGE_CIDS      4096u
#define BRIDGE_LISTENS   0x10000ul /* __SO_ACCEPTCON in the Flags column of /proc/net/unix */

struct taken {
	bool cids[BRIDGE_CIDS];
};

static int note_cid(const char *name, void *context, struct error *err)
{
	struct taken *taken = context;
	struct vm vm;

	/* One without a readable state has no CID yet: the runtime lock is ours. */
	if (state_load(&vm, name, err) == 0 && vm.cid < BRIDGE_CIDS)
		taken->cids[vm.cid] = true;
	return 0;
}

static int choose_kernel_cid(struct vm *vm, int vhost, struct error *err)
{
	for (uint64_t cid = BRIDGE_FIRST_CID; cid < BRIDGE_CIDS; cid++) {
		if (ioctl(vhost, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) {
			vm->cid = (uint32_t)cid;
			return 0;
		}
		if (errno != EADDRINUSE)
			return error_set(err, ERROR_HOST, errno, "/dev/vhost-vsock: set the guest's CID");
	}
	return fail_set(err, ENOSPC, "no vsock CID is free");
}

int bridge_choose_cid(struct vm *vm, int *vhost, struct error *err)
{
	struct taken taken = { 0 };
	fd_auto kernel = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
	int result;

	*vhost = -1;
	if (kernel >= 0) {
		result = choose_kernel_cid(vm, kernel, err);
		if (result == 0)
			*vhost = take_fd(&kernel);
		return result;
	}
	result = state_each(note_cid, &taken, err);
	if (result < 0)
		return result;
	for (uint32_t cid = BRIDGE_FIRST_CID; cid < BRIDGE_CIDS; cid++) {
		if (!taken.cids[cid]) {
			vm->cid = cid;
			return 0;
		}
	}
	return fail_set(err, ENOSPC, "no vsock CID is free");
}

int bridge_argv(const struct vm *vm, struct argv *argv, struct error *err)
{
	char program[PATH_MAX], vhost[PATH_MAX], uds[PATH_MAX];
	int result = process_find("vhost-device-vsock", "COFFER_VHOST_VSOCK", "vhost-device-vsock", program, sizeof(program), err);

	if (result < 0)
		return error_wrap(err, "there is no usable /dev/vhost-vsock, and");
	result = vm_path(vm, VM_VHOST, vhost, sizeof(vhost), err);
	if (result == 0)
		result = vm_path(vm, VM_VSOCK, uds, sizeof(uds), err);
	if (result < 0)
		return result;
	argv_add(argv, program);
	argv_add(argv, "--guest-cid");
	argv_printf(argv, "%u", vm->cid);
	argv_add(argv, "--socket");
	argv_add(argv, vhost);
	argv_add(argv, "--uds-path");
	argv_add(argv, uds);
	return argv_check(argv, err);
}

/* Connecting to find out would be taken for QEMU's own connection, so the kernel's table is asked. */
static bool listens(const char *path)
{
	auto_file table = fopen("/proc/net/unix", "re");
	char line[512], name[256];
	unsigned long flags;

	while (table && fgets(line, sizeof(line), table)) {
		if (sscanf(line, "%*s %*s %*s %lx %*s %*s %*s %255s", &flags, name) == 2 && (flags & BRIDGE_LISTENS) &&
		    strcmp(name, path) == 0)
			return true;
	}
	return false;
}

int bridge_wait(const struct vm *vm, struct error *err)
{
	char path[PATH_MAX];
	int64_t end = process_now() + BRIDGE_WAIT_MS;
	int result = vm_path(vm, VM_VHOST, path, sizeof(path), err);

	if (result < 0)
		return result;
	while (!listens(path)) {
		if (!process_alive(&vm->bridge))
			return fail_set(err, ECHILD, "the vsock bridge vhost-device-vsock ended at once");
		if (process_now() > end)
			return fail_set(err, ETIMEDOUT, "the vsock bridge does not listen");
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	return 0;
}
