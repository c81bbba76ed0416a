/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SHUTDOWN_H
#define SHUTDOWN_H

#include "agent.h"

/*
 * Going down in order: no new work, containers first, then what they stood on, each by its teardown list; then loop_stop.  Called
 * again, it does nothing.  Objects whose teardown fails are left, with a line in the log: the VM goes down all the same.
 */
void shutdown_begin(struct agent *agent);

/* Flushes disks and powers off (or restarts).  Does not return as PID 1 of a machine. */
void shutdown_machine(bool reboot);

#endif
