/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_NETLINK_H
#define SYS_NETLINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * One rtnetlink(7) request at a time: begin, put attributes, send, which waits for the kernel's answer.  The socket belongs to the
 * network namespace that the process was in when it was opened.
 */
struct netlink {
	int fd;
	uint32_t sequence;
	size_t length;
	char message[2048];
};

must_check int netlink_open(struct netlink *netlink, struct error *err);
void netlink_close(struct netlink *netlink);

/* `body` is the type's fixed part (struct ifinfomsg, ...). */
void netlink_begin(struct netlink *netlink, unsigned type, unsigned flags, const void *body, size_t size);
void netlink_put(struct netlink *netlink, unsigned attribute, const void *value, size_t size);
void netlink_put_string(struct netlink *netlink, unsigned attribute, const char *value);
void netlink_put_u32(struct netlink *netlink, unsigned attribute, uint32_t value);
/* A nested attribute; to be handed to netlink_nest_end.  `body` may be NULL. */
size_t netlink_nest(struct netlink *netlink, unsigned attribute, const void *body, size_t size);
void netlink_nest_end(struct netlink *netlink, size_t nest);
/* 0, or a negative errno: the kernel's own, or -EMSGSIZE when what was put did not fit. */
must_check int netlink_send(struct netlink *netlink);

/* The index of an interface in the socket's namespace, or a negative errno. */
must_check int netlink_index(struct netlink *netlink, const char *name);

#endif
