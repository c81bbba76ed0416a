/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_SANDBOX_H
#define LAYER_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Where a forked child takes a layer apart: namespaces of its own (mounts, network, IPC, host name), a root that is an empty
 * read-only tmpfs with the tree in it and, read-only, what is below, no descriptor that leads out, the capabilities that ownership
 * and overlayfs' marks need, no_new_privs, a lid on memory, and an allow-list of system calls that kills what leaves it. Libraries
 * must be open before.  One way: only for a child that ends in _exit.
 */

struct sandbox {
	int tree, lower; /* before: the caller's (lower may be -1); after: the same directories, O_RDONLY, in the sandbox */
	int kept[4];     /* the descriptors that stay; all others are closed */
	size_t kept_count;
	uint64_t memory; /* bytes above what the process has; sanitizers want too much for a lid, and get none */
};

/* ERROR_KERNEL. */
must_check int sandbox_enter(struct sandbox *sandbox, struct error *err);

#endif
