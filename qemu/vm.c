/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "qemu/fail.h"
#include "qemu/state.h"

#define VM_SHOWN_LINES 15

int vm_path(const struct vm *vm, const char *file, char *path, size_t size, struct error *err)
{
	const size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	const char *ending = strrchr(file, '.');

	if (text_format(path, size, "%s/%s", vm->folder, file) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s/%s", vm->folder, file);
	/* The bridge appends "_PORT" to its socket for what the guest connects to. */
	if (ending && strcmp(ending, ".sock") == 0 && strlen(path) + 6 > most)
		return error_set(err, ERROR_HOST, ENAMETOOLONG,
				 "socket %s: Unix sockets have at most %zu bytes; use a shorter COFFER_RUNTIME_DIR or VM name",
				 path, most - 6);
	return 0;
}

bool vm_alive(const struct vm *vm)
{
	return process_alive(&vm->qemu) && (vm->bridge.pid == 0 || process_alive(&vm->bridge));
}

int vm_destroy(const struct vm *vm, struct error *err)
{
	/* The bridge dies with QEMU (PR_SET_PDEATHSIG); it is killed by hand for the case that it did not get that far. */
	if (!process_kill(&vm->qemu))
		return fail_set(err, ETIMEDOUT, "QEMU (pid %d) does not die; see /proc/%d/stack", (int)vm->qemu.pid,
				(int)vm->qemu.pid);
	if (!process_kill(&vm->bridge))
		return fail_set(err, ETIMEDOUT, "the vsock bridge (pid %d) does not die", (int)vm->bridge.pid);
	return state_remove(vm, err);
}

static void print_tail(const struct vm *vm, const char *file)
{
	char path[PATH_MAX], text[4096];
	struct error ignored;

	if (vm_path(vm, file, path, sizeof(path), &ignored) < 0)
		return;
	fd_auto fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	off_t offset = st.st_size > (off_t)sizeof(text) - 1 ? st.st_size - ((off_t)sizeof(text) - 1) : 0;
	ssize_t length = pread(fd, text, sizeof(text) - 1, offset);
	if (length <= 0)
		return;
	while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
		length--;
	text[length] = '\0';
	char *from = text + length;
	for (int lines = 0; from > text; from--) {
		if (from[-1] == '\n' && ++lines == VM_SHOWN_LINES)
			break;
	}
	char *rest = NULL;
	for (char *line = strtok_r(from, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		/* The guest's text: it must not steer the terminal. */
		for (char *c = line; *c; c++) {
			if ((unsigned char)*c < 0x20 || *c == 0x7f)
				*c = ' ';
		}
		fprintf(stderr, "  | %s\n", line);
	}
}

void vm_print_console(const struct vm *vm)
{
	print_tail(vm, VM_QEMU_LOG);
	print_tail(vm, VM_CONSOLE);
}

int vm_find(const char *name, struct vm *vm, struct error *err)
{
	enum state_health health;
	int result = state_look(vm, name, &health, err);

	if (result < 0)
		return result;
	if (health == STATE_RUNNING)
		return 0;
	if (health == STATE_BUSY)
		return fail_set(err, EBUSY, "the VM %s is being started or stopped by another coffer command", name);
	if (health == STATE_DEAD) {
		fprintf(stderr, "coffer: the VM %s has ended by itself; the last lines of its console:\n", name);
		vm_print_console(vm);
		result = state_clean(name, err);
		if (result < 0)
			return result;
	}
	return fail_set(err, ENOENT, "there is no VM named %s; `coffer vm list` shows those that run", name);
}
