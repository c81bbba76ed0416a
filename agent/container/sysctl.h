/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_SYSCTL_H
#define CONTAINER_SYSCTL_H

#include "base/decode.h"
#include "base/error.h"

/*
 * Kernel parameters of a container: those, and only those, that belong to one of its own namespaces.  Keys are
 * "net.core.somaxconn", or with slashes where a part has a dot of its own ("net/ipv4/conf/eth0.1/forwarding").
 */

/* `own`: CLONE_NEW* of the namespaces that are not the agent's.  `parameters`: struct decode_pair.  Errors name the key. */
must_check int sysctl_check(const struct decode_list *parameters, unsigned long own, struct error *err);
/* In the child, in its namespaces; `proc` is a descriptor of the agent's own /proc. */
must_check int sysctl_write(const struct decode_list *parameters, int proc, struct error *err);

#endif
