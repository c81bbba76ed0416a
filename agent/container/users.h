/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_USERS_H
#define CONTAINER_USERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define USERS_GROUPS_MAX 64

struct users_ids {
	uint64_t uid, gid;
	uint64_t groups[USERS_GROUPS_MAX]; /* supplementary */
	size_t group_count;
};

/*
 * Who USER or USER:GROUP is, each a name or a number, by the texts of a container's /etc/passwd and /etc/group (NULL: there is
 * none). They are read as text by us, since name services would run the image's code.  As an image's `User` is understood
 * elsewhere: a number need not be listed; without GROUP the group is that of the user's line, or 0, and the supplementary ones are
 * those that list the user.  ERROR_CONTAINER with the field process.user.
 */
must_check int users_find(const char *user, const char *passwd, const char *group, struct users_ids *ids, struct error *err);

#endif
