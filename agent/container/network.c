/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/links.h"
#include "sys/modules.h"
#include "sys/netlink.h"

#define FIELD(type, key, decode_kind) .name = #key, .kind = decode_kind, .offset = offsetof(struct type, key)
#define SCHEMA(fields, type)                                                                                                       \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), NULL                                                             \
	}

static const struct decode_field network_fields[] = {
	{ FIELD(network, type, DECODE_STRING), .flags = DECODE_REQUIRED | DECODE_NONZERO, .max = 16 },
	{ FIELD(network, name, DECODE_STRING), .max = 64 },
	{ FIELD(network, bridge, DECODE_STRING), .max = 64 },
	{ FIELD(network, mac_address, DECODE_STRING), .max = 64 },
	{ FIELD(network, address, DECODE_STRING), .max = 64 },
	{ FIELD(network, gateway, DECODE_STRING), .max = 64 },
	{ FIELD(network, ipv6_address, DECODE_STRING), .max = 64 },
	{ FIELD(network, ipv6_gateway, DECODE_STRING), .max = 64 },
	{ FIELD(network, mtu, DECODE_UINT), .max = 65535 },
	{ FIELD(network, txqueuelen, DECODE_UINT), .max = 1000000 },
	{ FIELD(network, host_interface_name, DECODE_STRING), .max = 64 },
	{ FIELD(network, hairpin_mode, DECODE_BOOL) },
};
const struct decode_schema network_schema = SCHEMA(network_fields, network);

static const struct decode_field route_fields[] = {
	{ FIELD(network_route, destination, DECODE_STRING), .max = 64 },
	{ FIELD(network_route, source, DECODE_STRING), .max = 64 },
	{ FIELD(network_route, gateway, DECODE_STRING), .max = 64 },
	{ FIELD(network_route, interface_name, DECODE_STRING), .max = 64 },
};
const struct decode_schema network_route_schema = SCHEMA(route_fields, network_route);

/* ---- texts ---- */

struct address {
	int family; /* 0: none */
	unsigned prefix;
	unsigned char bytes[16];
};

static size_t address_size(const struct address *address)
{
	return address->family == AF_INET ? 4 : 16;
}

static bool given(const char *text)
{
	return text && text[0];
}

/* "ADDRESS" or "ADDRESS/PREFIX". */
static bool read_address(const char *text, struct address *address)
{
	char copy[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	char *end = NULL;

	if (length == 0 || length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	address->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
	unsigned most = address->family == AF_INET ? 32 : 128;
	if (inet_pton(address->family, copy, address->bytes) != 1)
		return false;
	address->prefix = most;
	if (!slash)
		return true;
	if (slash[1] < '0' || slash[1] > '9')
		return false;
	unsigned long prefix = strtoul(slash + 1, &end, 10);
	address->prefix = (unsigned)prefix;
	return *end == '\0' && prefix <= most;
}

/* The address of one card: the kernel takes neither a group's nor none. */
static bool read_mac(const char *text, unsigned char mac[6])
{
	static const unsigned char none[6];

	for (size_t i = 0; i < 6; i++, text += 3) {
		int high = text_hex_digit(text[0]);
		int low = high < 0 ? -1 : text_hex_digit(text[1]);

		if (low < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (unsigned char)(high << 4 | low);
	}
	return !(mac[0] & 1) && memcmp(mac, none, sizeof(none)) != 0;
}

/* The kernel's dev_valid_name. */
static bool is_name(const char *text)
{
	return given(text) && strlen(text) < IF_NAMESIZE && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	       !strpbrk(text, "/: \t\n\v\f\r%");
}

/* ---- checks ---- */

static int wrong(struct error *err, const char *list, size_t index, const char *key, const char *why)
{
	char field[64];

	snprintf(field, sizeof(field), "%s[%zu].%s", list, index, key);
	return error_field(err, field, "%s", why);
}

static int check_address(const char *text, int family, bool cidr, const char *list, size_t index, const char *key,
			 struct error *err)
{
	struct address address;

	if (!given(text))
		return 0;
	if (!read_address(text, &address) || (family && address.family != family))
		return wrong(err, list, index, key, family == AF_INET6 ? "not an IPv6 address" : "not an address");
	if (cidr != (strchr(text, '/') != NULL))
		return wrong(err, list, index, key, cidr ? "needs a prefix, as in 10.0.0.2/24" : "takes no prefix");
	return 0;
}

static int check_network(const struct network *network, size_t i, struct error *err)
{
	unsigned char mac[6];
	int result = 0;

	if (strcmp(network->type, "loopback") == 0)
		return 0;
	if (strcmp(network->type, "veth") != 0)
		return wrong(err, "networks", i, "type", "must be \"loopback\" or \"veth\"");
	if (!is_name(network->name))
		return wrong(err, "networks", i, "name", "an interface's name is needed");
	if (given(network->bridge) && !is_name(network->bridge))
		return wrong(err, "networks", i, "bridge", "not an interface's name");
	if (given(network->host_interface_name) && !is_name(network->host_interface_name))
		return wrong(err, "networks", i, "host_interface_name", "not an interface's name");
	if (given(network->mac_address) && !read_mac(network->mac_address, mac))
		return wrong(err, "networks", i, "mac_address", "not the address of one card, as 02:00:00:00:00:01");
	if (network->mtu && network->mtu < 68)
		return wrong(err, "networks", i, "mtu", "must be 0 or within 68 and 65535");
	if (network->hairpin_mode && !given(network->bridge))
		return wrong(err, "networks", i, "hairpin_mode", "needs a bridge");
	result = check_address(network->address, AF_INET, true, "networks", i, "address", err);
	if (result == 0)
		result = check_address(network->gateway, AF_INET, false, "networks", i, "gateway", err);
	if (result == 0)
		result = check_address(network->ipv6_address, AF_INET6, true, "networks", i, "ipv6_address", err);
	if (result == 0)
		result = check_address(network->ipv6_gateway, AF_INET6, false, "networks", i, "ipv6_gateway", err);
	return result;
}

static int check_route(const struct network_route *route, size_t i, struct error *err)
{
	const struct {
		const char *key, *text;
	} rows[] = { { "destination", route->destination }, { "source", route->source }, { "gateway", route->gateway } };
	int family = 0;

	for (size_t row = 0; row < array_count(rows); row++) {
		struct address address;

		if (!given(rows[row].text))
			continue;
		if (!read_address(rows[row].text, &address))
			return wrong(err, "routes", i, rows[row].key, "not an address");
		if (family && address.family != family)
			return wrong(err, "routes", i, rows[row].key, "IPv4 and IPv6 in one route");
		if (row > 0 && address.prefix != address_size(&address) * 8)
			return wrong(err, "routes", i, rows[row].key, "one address is needed, not a net");
		family = address.family;
	}
	if (!family)
		return wrong(err, "routes", i, "destination", "one of destination, source and gateway is needed");
	if (given(route->interface_name) && !is_name(route->interface_name))
		return wrong(err, "routes", i, "interface_name", "not an interface's name");
	return 0;
}

int network_check(const struct decode_list *networks, const struct decode_list *routes, struct error *err)
{
	const struct network *network = networks->items;
	const struct network_route *route = routes->items;
	int result = 0;

	for (size_t i = 0; i < networks->count && result == 0; i++)
		result = check_network(&network[i], i, err);
	for (size_t i = 0; i < routes->count && result == 0; i++)
		result = check_route(&route[i], i, err);
	return result;
}

bool network_has_veth(const struct decode_list *networks)
{
	const struct network *network = networks->items;

	for (size_t i = 0; i < networks->count; i++) {
		if (strcmp(network[i].type, "veth") == 0)
			return true;
	}
	return false;
}

/* ---- in a worker ---- */

/* Context for an error of the kernel: which interface, which member. */
static int refused(struct error *err, int result, const char *what, const char *name)
{
	return result < 0 ? error_set(err, ERROR_CONTAINER, -result, "%s %s", what, name) : 0;
}

static void put_common(struct netlink *netlink, const struct network *network)
{
	if (network->mtu)
		netlink_put_u32(netlink, IFLA_MTU, (uint32_t)network->mtu);
	if (network->txqueuelen)
		netlink_put_u32(netlink, IFLA_TXQLEN, (uint32_t)network->txqueuelen);
}

/* One message makes both ends: the container's is born in its namespace, under its own name. */
static int make_pair(struct netlink *netlink, const struct network *network, const char *port, int bridge, pid_t pid,
		     struct error *err)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct ifinfomsg peer = { .ifi_family = AF_UNSPEC };
	unsigned char mac[6];

	netlink_begin(netlink, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	netlink_put_string(netlink, IFLA_IFNAME, port);
	if (bridge > 0)
		netlink_put_u32(netlink, IFLA_MASTER, (uint32_t)bridge);
	put_common(netlink, network);
	size_t info = netlink_nest(netlink, IFLA_LINKINFO, NULL, 0);
	netlink_put_string(netlink, IFLA_INFO_KIND, "veth");
	size_t data = netlink_nest(netlink, IFLA_INFO_DATA, NULL, 0);
	size_t other = netlink_nest(netlink, VETH_INFO_PEER, &peer, sizeof(peer));
	netlink_put_string(netlink, IFLA_IFNAME, network->name);
	netlink_put_u32(netlink, IFLA_NET_NS_PID, (uint32_t)pid);
	put_common(netlink, network);
	if (given(network->mac_address) && read_mac(network->mac_address, mac))
		netlink_put(netlink, IFLA_ADDRESS, mac, sizeof(mac));
	netlink_nest_end(netlink, other);
	netlink_nest_end(netlink, data);
	netlink_nest_end(netlink, info);
	return refused(err, netlink_send(netlink), "make the interface", port);
}

static int set_hairpin(const char *port, struct error *err)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/net/%s/brport/hairpin_mode", port);
	fd_auto fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return error_set(err, ERROR_CONTAINER, errno, "set the hairpin mode of %s", port);
	return 0;
}

static int plug(struct netlink *netlink, const struct network *network, pid_t pid, struct undo *undo, struct error *err)
{
	char port[IF_NAMESIZE];
	uint32_t random = 0;
	int bridge = 0, result = 0;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return error_set(err, ERROR_INTERNAL, errno, "random name");
	snprintf(port, sizeof(port), "veth%08x", random);
	if (given(network->host_interface_name))
		snprintf(port, sizeof(port), "%s", network->host_interface_name);
	if (given(network->bridge)) {
		result = undo_push(undo, UNDO_BRIDGE, network->bridge, err);
		if (result == 0)
			result = bridge = links_bridge(netlink, network->bridge, err);
		if (result < 0)
			return result;
	}
	result = make_pair(netlink, network, port, bridge, pid, err);
	/* Not before: a name that is taken already is somebody else's.  The pair goes with the container's namespace at the latest.
	 */
	if (result == 0)
		result = undo_push(undo, UNDO_LINK, port, err);
	if (result == 0 && network->hairpin_mode)
		result = set_hairpin(port, err);
	return result;
}

int network_plug(const struct decode_list *networks, pid_t pid, struct undo *undo, struct error *err)
{
	static const char *const modules[] = { "veth", "bridge", NULL };
	const struct network *network = networks->items;
	struct netlink netlink = { .fd = -1 };
	int result = 0;

	if (!network_has_veth(networks))
		return 0;
	result = modules_load(modules, err);
	if (result == 0)
		result = netlink_open(&netlink, err);
	for (size_t i = 0; i < networks->count && result == 0; i++) {
		if (strcmp(network[i].type, "veth") != 0)
			continue;
		result = plug(&netlink, &network[i], pid, undo, err);
		if (result < 0 && err->field[0] == '\0')
			snprintf(err->field, sizeof(err->field), "config.networks[%zu]", i);
	}
	netlink_close(&netlink);
	return result;
}

/* ---- in the child ---- */

static int raise_link(struct netlink *netlink, int index)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

	netlink_begin(netlink, RTM_NEWLINK, 0, &body, sizeof(body));
	return netlink_send(netlink);
}

static int add_address(struct netlink *netlink, int index, const char *text)
{
	struct address address;

	if (!given(text))
		return 0;
	if (!read_address(text, &address))
		return -EINVAL;
	struct ifaddrmsg body = {
		.ifa_family = (unsigned char)address.family,
		.ifa_prefixlen = (unsigned char)address.prefix,
		.ifa_flags = address.family == AF_INET6 ? IFA_F_NODAD : 0, /* or it could not be used for a second */
		.ifa_scope = RT_SCOPE_UNIVERSE,
		.ifa_index = (unsigned)index,
	};

	netlink_begin(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	netlink_put(netlink, IFA_LOCAL, address.bytes, address_size(&address));
	netlink_put(netlink, IFA_ADDRESS, address.bytes, address_size(&address));
	return netlink_send(netlink);
}

/* Addresses that are not given are left to the kernel. */
static int add_route(struct netlink *netlink, int index, const char *destination, const char *source, const char *gateway)
{
	struct address to = { 0 }, from = { 0 }, via = { 0 };

	if ((given(destination) && !read_address(destination, &to)) || (given(source) && !read_address(source, &from)) ||
	    (given(gateway) && !read_address(gateway, &via)))
		return -EINVAL;
	struct rtmsg body = {
		.rtm_family = (unsigned char)(to.family     ? to.family
					      : from.family ? from.family
							    : via.family),
		.rtm_dst_len = (unsigned char)to.prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = via.family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST,
	};

	netlink_begin(netlink, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	if (to.prefix)
		netlink_put(netlink, RTA_DST, to.bytes, address_size(&to));
	if (from.family)
		netlink_put(netlink, RTA_PREFSRC, from.bytes, address_size(&from));
	if (via.family)
		netlink_put(netlink, RTA_GATEWAY, via.bytes, address_size(&via));
	if (index > 0)
		netlink_put_u32(netlink, RTA_OIF, (uint32_t)index);
	return netlink_send(netlink);
}

static int configure_link(struct netlink *netlink, const struct network *network, struct error *err)
{
	bool loopback = strcmp(network->type, "loopback") == 0;
	const char *name = loopback ? "lo" : network->name;
	int index = netlink_index(netlink, name);
	int result = refused(err, index, "find the interface", name);

	if (result == 0 && !loopback)
		result = refused(err, add_address(netlink, index, network->address), "set the address of", name);
	if (result == 0 && !loopback)
		result = refused(err, add_address(netlink, index, network->ipv6_address), "set the IPv6 address of", name);
	if (result == 0)
		result = refused(err, raise_link(netlink, index), "raise", name);
	if (result == 0 && !loopback && given(network->gateway))
		result = refused(err, add_route(netlink, index, NULL, NULL, network->gateway), "set the gateway of", name);
	if (result == 0 && !loopback && given(network->ipv6_gateway))
		result =
			refused(err, add_route(netlink, index, NULL, NULL, network->ipv6_gateway), "set the IPv6 gateway of", name);
	return result;
}

static int configure_route(struct netlink *netlink, const struct network_route *route, struct error *err)
{
	int index = given(route->interface_name) ? netlink_index(netlink, route->interface_name) : 0;
	int result = refused(err, index, "find the interface", route->interface_name);

	if (result == 0)
		result = refused(err, add_route(netlink, index, route->destination, route->source, route->gateway),
				 "add a route to", given(route->destination) ? route->destination : "anywhere");
	return result;
}

int network_configure(const struct decode_list *networks, const struct decode_list *routes, struct error *err)
{
	static const struct network loopback = { .type = "loopback" };
	const struct network *network = networks->items;
	const struct network_route *route = routes->items;
	struct netlink netlink = { .fd = -1 };
	int result = netlink_open(&netlink, err);

	if (result == 0)
		result = configure_link(&netlink, &loopback, err);
	for (size_t i = 0; i < networks->count && result == 0; i++) {
		if (strcmp(network[i].type, "veth") != 0)
			continue;
		result = configure_link(&netlink, &network[i], err);
		if (result < 0)
			snprintf(err->field, sizeof(err->field), "config.networks[%zu]", i);
	}
	for (size_t i = 0; i < routes->count && result == 0; i++) {
		result = configure_route(&netlink, &route[i], err);
		if (result < 0)
			snprintf(err->field, sizeof(err->field), "config.routes[%zu]", i);
	}
	netlink_close(&netlink);
	return result;
}
