/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_ENVIRONMENT_H
#define CONTAINER_ENVIRONMENT_H

#include "container/config.h"

#define ENVIRONMENT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * The environment that the process gets: the request's, the last of equal names, then PATH, HOME and TERM where they are missing.
 * HOME comes from `passwd`, the text of the container's /etc/passwd (may be NULL): read as text by us, since name services would
 * run the image's code. The array and new strings live in `memory`.  NULL when there is no memory.
 */
const char **environment_make(const struct config_process *process, const char *passwd, struct decode_memory *memory);

/* The value of NAME in the array, or NULL. */
const char *environment_get(const char *const *environment, const char *name);

#endif
