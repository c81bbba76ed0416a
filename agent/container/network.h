/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_NETWORK_H
#define CONTAINER_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/decode.h"
#include "base/error.h"
#include "base/undo.h"

/*
 * A container's own network: loopback, veth pairs whose other end is a port of a bridge inside the VM, and routes.
 *
 * A bridge that does not exist is made (and goes when its last port does): it connects containers of one VM, and nothing outside.
 * With "loopback" the members other than type say nothing, as in libcontainer; loopback is raised in every new namespace anyway.
 */

struct network {
	const char *type; /* "loopback", "veth" */
	const char *name; /* in the container */
	const char *bridge, *mac_address;
	const char *address, *ipv6_address; /* "10.1.2.3/24" */
	const char *gateway, *ipv6_gateway;
	const char *host_interface_name; /* of the bridge's port; empty: a name is made up */
	uint64_t mtu, txqueuelen;        /* 0: the kernel's own */
	bool hairpin_mode;
};

struct network_route {
	const char *destination, *source, *gateway, *interface_name;
};

extern const struct decode_schema network_schema, network_route_schema;

/* Lists of the two structs.  Errors name "networks[N].KEY" and "routes[N].KEY". */
must_check int network_check(const struct decode_list *networks, const struct decode_list *routes, struct error *err);
/* Does any of them need the kernel's veth and bridge? */
bool network_has_veth(const struct decode_list *networks);
/* In a worker, in the agent's namespace: makes the pairs, with one end in the namespace of process `pid`. */
must_check int network_plug(const struct decode_list *networks, pid_t pid, struct undo *undo, struct error *err);
/* In the child, in its namespace. */
must_check int network_configure(const struct decode_list *networks, const struct decode_list *routes, struct error *err);

#endif
