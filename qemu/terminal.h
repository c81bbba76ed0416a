/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_TERMINAL_H
#define QEMU_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

/* Our own terminal in raw mode, so that each key reaches the container's. */
struct terminal {
	bool raw;
	struct termios before;
};

/* Makes standard input raw if it is a terminal; a failure leaves it as it is. */
void terminal_open(struct terminal *terminal);
/* Puts it back.  To be called on every way out; harmless a second time. */
void terminal_close(struct terminal *terminal);
/* Characters; false when no standard stream is a terminal. */
bool terminal_size(unsigned *width, unsigned *height);

#endif
