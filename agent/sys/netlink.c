/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/netlink.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

int netlink_open(struct netlink *netlink, struct error *err)
{
	netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	netlink->sequence = 0;
	netlink->length = 0;
	return netlink->fd >= 0 ? 0 : error_set(err, ERROR_KERNEL, errno, "open a netlink socket");
}

void netlink_close(struct netlink *netlink)
{
	close_fd(&netlink->fd);
}

/* Past the end nothing is written, and the length keeps growing: netlink_send sees it. */
static void append(struct netlink *netlink, const void *bytes, size_t size)
{
	if (netlink->length + size <= sizeof(netlink->message) && size)
		memcpy(netlink->message + netlink->length, bytes, size);
	netlink->length += size;
	while (netlink->length % NLMSG_ALIGNTO) {
		if (netlink->length < sizeof(netlink->message))
			netlink->message[netlink->length] = '\0';
		netlink->length++;
	}
}

void netlink_begin(struct netlink *netlink, unsigned type, unsigned flags, const void *body, size_t size)
{
	struct nlmsghdr header = {
		.nlmsg_type = (uint16_t)type,
		.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK),
		.nlmsg_seq = ++netlink->sequence,
	};

	netlink->length = 0;
	append(netlink, &header, sizeof(header));
	append(netlink, body, size);
}

void netlink_put(struct netlink *netlink, unsigned attribute, const void *value, size_t size)
{
	struct rtattr header = { .rta_len = (unsigned short)RTA_LENGTH(size), .rta_type = (unsigned short)attribute };

	append(netlink, &header, sizeof(header));
	append(netlink, value, size);
}

void netlink_put_string(struct netlink *netlink, unsigned attribute, const char *value)
{
	netlink_put(netlink, attribute, value, strlen(value) + 1);
}

void netlink_put_u32(struct netlink *netlink, unsigned attribute, uint32_t value)
{
	netlink_put(netlink, attribute, &value, sizeof(value));
}

size_t netlink_nest(struct netlink *netlink, unsigned attribute, const void *body, size_t size)
{
	size_t nest = netlink->length;

	netlink_put(netlink, attribute, body, size);
	return nest;
}

void netlink_nest_end(struct netlink *netlink, size_t nest)
{
	unsigned short length = (unsigned short)(netlink->length - nest);

	if (nest + sizeof(struct rtattr) <= sizeof(netlink->message))
		memcpy(netlink->message + nest + offsetof(struct rtattr, rta_len), &length, sizeof(length));
}

/* Not NLMSG_NEXT, which takes the padding from `left` even when the last message has none. */
static struct nlmsghdr *next_message(struct nlmsghdr *header, size_t *left)
{
	size_t step = NLMSG_ALIGN(header->nlmsg_len);

	step = step < *left ? step : *left;
	*left -= step;
	return (struct nlmsghdr *)(void *)((char *)header + step);
}

/* Reads until the answer to the last request: its error code (0: done).  RTM_NEWLINK answers leave their index in *index. */
static int read_answer(struct netlink *netlink, int *index)
{
	char bytes[8192] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		struct sockaddr_nl from = { 0 };
		socklen_t size = sizeof(from);
		ssize_t got = recvfrom(netlink->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		/* Not the kernel's: whoever has CAP_NET_ADMIN in this namespace may send here too. */
		if (from.nl_pid != 0)
			continue;
		size_t left = (size_t)got;
		for (struct nlmsghdr *header = (struct nlmsghdr *)(void *)bytes; NLMSG_OK(header, left);
		     header = next_message(header, &left)) {
			if (header->nlmsg_seq != netlink->sequence)
				continue;
			if (header->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
			if (header->nlmsg_type == RTM_NEWLINK && index)
				*index = ((const struct ifinfomsg *)NLMSG_DATA(header))->ifi_index;
		}
	}
}

static int exchange(struct netlink *netlink, int *index)
{
	uint32_t length = (uint32_t)netlink->length;

	if (netlink->length > sizeof(netlink->message))
		return -EMSGSIZE;
	memcpy(netlink->message + offsetof(struct nlmsghdr, nlmsg_len), &length, sizeof(length));
	if (send(netlink->fd, netlink->message, netlink->length, 0) < 0)
		return -errno;
	return read_answer(netlink, index);
}

int netlink_send(struct netlink *netlink)
{
	return exchange(netlink, NULL);
}

int netlink_index(struct netlink *netlink, const char *name)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
	int index = -ENODEV;

	netlink_begin(netlink, RTM_GETLINK, 0, &body, sizeof(body));
	netlink_put_string(netlink, IFLA_IFNAME, name);
	int result = exchange(netlink, &index);
	return result < 0 ? result : index;
}
