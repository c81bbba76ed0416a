/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_LINKS_H
#define SYS_LINKS_H

#include "base/error.h"
#include "sys/netlink.h"

/* Network interfaces in the agent's namespace.  A bridge of ours has an alias that says so. */

/* The index of the bridge, which is made and raised if it does not exist; or a negative errno. */
must_check int links_bridge(struct netlink *netlink, const char *name, struct error *err);
/* Absent is success. */
must_check int links_remove(const char *name, struct error *err);
/* If it is ours and has no port any more; otherwise it stays, which is success. */
must_check int links_remove_bridge(const char *name, struct error *err);

#endif
