/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_VSOCK_H
#define SYS_VSOCK_H

#include "base/error.h"

/*
 * What is sent in one call at most, bytes.  Linux 6.12 gives the device a packet that does not fit into 32
 * KiB with the kernel's own data in several pieces; vhost-device-vsock 0.3, which takes one, loses it.
 */
#define VSOCK_SEND_MAX (28u * 1024u)

/* A listening, non-blocking vsock socket on the port, any CID.  A descriptor, or a negative errno. */
must_check int vsock_listen(unsigned port, struct error *err);
/* The same on a Unix socket DIRECTORY/PORT: how tests reach an agent that is PID 1 of a namespace instead of a VM. */
must_check int vsock_listen_unix(const char *directory, unsigned port, struct error *err);

#endif
