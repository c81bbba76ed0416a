/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_TERMINAL_H
#define CONTAINER_TERMINAL_H

#include "container/config.h"

/*
 * A pseudo-terminal of the container's own devpts, which must be mounted on /dev/pts below `root`.  *master and *slave are the
 * caller's. The slave is opened from the master, never by a name that the image could have planted.
 */
must_check int terminal_open(int root, const struct config_process *process, int *master, int *slave, struct error *err);
/* Puts the slave on /dev/console below `root`. */
must_check int terminal_on_console(int root, int slave, struct error *err);
/* Makes the slave the controlling terminal and descriptors 0, 1 and 2 of the calling process, a session leader. */
must_check int terminal_take(int slave, struct error *err);

#endif
