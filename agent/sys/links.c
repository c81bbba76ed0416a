/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/links.h"

#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define ALIAS "made by coffer-agent"

static int make_bridge(struct netlink *netlink, const char *name)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

	netlink_begin(netlink, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	netlink_put_string(netlink, IFLA_IFNAME, name);
	size_t info = netlink_nest(netlink, IFLA_LINKINFO, NULL, 0);
	netlink_put_string(netlink, IFLA_INFO_KIND, "bridge");
	netlink_nest_end(netlink, info);
	int result = netlink_send(netlink);
	if (result < 0)
		return result == -EEXIST ? 0 : result; /* another container's worker was first */
	/* The kernel takes no alias with a new link. */
	netlink_begin(netlink, RTM_NEWLINK, 0, &body, sizeof(body));
	netlink_put_string(netlink, IFLA_IFNAME, name);
	netlink_put(netlink, IFLA_IFALIAS, ALIAS, strlen(ALIAS));
	return netlink_send(netlink);
}

int links_bridge(struct netlink *netlink, const char *name, struct error *err)
{
	char path[64];
	int index = netlink_index(netlink, name);

	if (index == -ENODEV) {
		int result = make_bridge(netlink, name);

		if (result < 0)
			return error_set(err, ERROR_CONTAINER, -result, "make the bridge %s", name);
		index = netlink_index(netlink, name);
	}
	if (index < 0)
		return error_set(err, ERROR_CONTAINER, -index, "find the bridge %s", name);
	if (text_format(path, sizeof(path), "/sys/class/net/%s/bridge", name) < 0 || access(path, F_OK) < 0)
		return error_set(err, ERROR_CONTAINER, EEXIST, "%s is not a bridge", name);
	return index;
}

int links_remove(const char *name, struct error *err)
{
	struct ifinfomsg body = { .ifi_family = AF_UNSPEC };
	struct netlink netlink;
	int result = netlink_open(&netlink, err);

	if (result < 0)
		return result;
	netlink_begin(&netlink, RTM_DELLINK, 0, &body, sizeof(body));
	netlink_put_string(&netlink, IFLA_IFNAME, name);
	result = netlink_send(&netlink);
	netlink_close(&netlink);
	return result < 0 && result != -ENODEV ? error_set(err, ERROR_TEARDOWN, -result, "remove the interface %s", name) : 0;
}

static bool has_ports(const char *name)
{
	char path[64];
	struct dirent *entry;
	bool found = false;

	if (text_format(path, sizeof(path), "/sys/class/net/%s/brif", name) < 0)
		return true;
	auto_dir ports = opendir(path);
	while (ports && !found && (entry = readdir(ports)))
		found = entry->d_name[0] != '.';
	return found;
}

int links_remove_bridge(const char *name, struct error *err)
{
	char path[64], alias[64];

	if (text_format(path, sizeof(path), "/sys/class/net/%s/ifalias", name) < 0)
		return error_set(err, ERROR_TEARDOWN, ENAMETOOLONG, "bridge %s", name);
	if (text_read_file(path, alias, sizeof(alias)) < 0)
		return 0;
	alias[strcspn(alias, "\n")] = '\0';
	return strcmp(alias, ALIAS) == 0 && !has_ports(name) ? links_remove(name, err) : 0;
}
