/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/vsock.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

/* A small backlog refuses the sixth of several connections that come at once. */
#define BACKLOG 512

static int listen_on(const void *address, socklen_t size, int family, struct error *err)
{
	fd_auto fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, address, size) < 0 || listen(fd, BACKLOG) < 0)
		return error_set(err, ERROR_KERNEL, errno, "listen on %s", family == AF_VSOCK ? "vsock" : "a Unix socket");
	return take_fd(&fd);
}

int vsock_listen(unsigned port, struct error *err)
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port };

	return listen_on(&address, sizeof(address), AF_VSOCK, err);
}

int vsock_listen_unix(const char *directory, unsigned port, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (text_format(address.sun_path, sizeof(address.sun_path), "%s/%u", directory, port) < 0)
		return error_set(err, ERROR_KERNEL, ENAMETOOLONG, "socket in %s", directory);
	unlink(address.sun_path);
	return listen_on(&address, sizeof(address), AF_UNIX, err);
}
