/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_VSOCK_H
#define SYS_VSOCK_H

#include "base/error.h"

/* A listening, non-blocking vsock socket on the port, any CID.  A descriptor, or a negative errno. */
must_check int vsock_listen(unsigned port, struct error *err);
/* The same on a Unix socket DIRECTORY/PORT: how tests reach an agent that is PID 1 of a namespace instead of a VM. */
must_check int vsock_listen_unix(const char *directory, unsigned port, struct error *err);

#endif
