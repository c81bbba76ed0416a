/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_INTERRUPT_H
#define QEMU_INTERRUPT_H

#include "base/error.h"

/*
 * SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGWINCH as a descriptor, for commands that have something to undo: from here on these
 * signals end nothing by themselves.  Children must call interrupt_forget before they execute a program.
 */
must_check int interrupt_open(int *fd, struct error *err);
/* The next signal that has come, or 0.  Never waits. */
int interrupt_next(int fd);
/* Any but SIGWINCH, or 0. */
int interrupt_wanted(int fd);
/* In a child: the signals do what they usually do. */
void interrupt_forget(void);

#endif
