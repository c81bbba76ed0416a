/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/connect.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "qemu/fail.h"
#include "qemu/lines.h"

int connect_unix(const char *path, int *fd, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	fd_auto made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (made < 0)
		return error_set(err, ERROR_HOST, errno, "socket");
	if (text_format(address.sun_path, sizeof(address.sun_path), "%s", path) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", path);
	if (connect(made, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_HOST, errno, "connect to %s", path);
	*fd = take_fd(&made);
	return 0;
}

static int connect_cid(uint32_t cid, uint32_t port, int64_t end, int *fd, struct error *err)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	fd_auto made = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int failure = 0;

	if (made < 0)
		return error_set(err, ERROR_HOST, errno, "vsock socket (is the module vhost_vsock loaded?)");
	if (connect(made, (struct sockaddr *)&address, sizeof(address)) < 0) {
		socklen_t size = sizeof(failure);

		if (errno != EINPROGRESS)
			return error_set(err, ERROR_HOST, errno, "connect to vsock %u:%u", cid, port);
		if (lines_wait(made, POLLOUT, end, err) < 0)
			return error_wrap(err, "connect to vsock %u:%u", cid, port);
		if (getsockopt(made, SOL_SOCKET, SO_ERROR, &failure, &size) < 0)
			failure = errno;
	}
	if (failure)
		return error_set(err, ERROR_HOST, failure, "connect to vsock %u:%u", cid, port);
	*fd = take_fd(&made);
	return 0;
}

/* The answer is read byte by byte: what follows its newline belongs to whoever asked for the connection. */
static int read_ok(int fd, int64_t end, struct error *err)
{
	char line[64];
	size_t used = 0;

	do {
		int result = lines_wait(fd, POLLIN, end, err);

		if (result < 0)
			return result;
		ssize_t got = recv(fd, &line[used], 1, 0);
		if (got < 0)
			return error_set(err, ERROR_HOST, errno, "read");
		if (got == 0)
			return fail_set(err, ECONNREFUSED, "nobody listens in the guest");
	} while (line[used++] != '\n' && used < sizeof(line));
	line[used - 1] = '\0';
	return strncmp(line, "OK ", 3) == 0 ? 0 : fail_set(err, EPROTO, "the bridge answers '%s'", line);
}

static int connect_hybrid(const struct vm *vm, uint32_t port, int64_t end, int *fd, struct error *err)
{
	char path[PATH_MAX], line[32];
	fd_auto made = -1;
	int result = vm_path(vm, VM_VSOCK, path, sizeof(path), err);

	if (result == 0)
		result = connect_unix(path, &made, err);
	if (result < 0)
		return result;
	int length = snprintf(line, sizeof(line), "CONNECT %u\n", port);
	result = lines_write(made, line, (size_t)length, end, err);
	if (result == 0)
		result = read_ok(made, end, err);
	if (result < 0)
		return error_wrap(err, "vsock port %u of the VM %s", port, vm->name);
	*fd = take_fd(&made);
	return 0;
}

int connect_vm(const struct vm *vm, uint32_t port, int64_t end, int *fd, struct error *err)
{
	return vm->bridge.pid ? connect_hybrid(vm, port, end, fd, err) : connect_cid(vm->cid, port, end, fd, err);
}
