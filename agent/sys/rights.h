/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_RIGHTS_H
#define SYS_RIGHTS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* Messages between processes of the agent that may carry a descriptor (SCM_RIGHTS, unix(7)). */

/* `fd` -1: none; it stays the caller's.  0 or a negative errno. */
must_check int rights_send(int socket, const void *bytes, size_t size, int fd);
/* The message's size, 0 at the end, or a negative errno; *fd is the caller's, or -1.  `flags` as for recvmsg(2). */
must_check ssize_t rights_receive(int socket, void *bytes, size_t size, int flags, int *fd);

#endif
