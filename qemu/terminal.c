/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

void terminal_open(struct terminal *terminal)
{
	terminal->raw = false;
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal->before) < 0)
		return;
	struct termios raw = terminal->before;
	cfmakeraw(&raw);
	terminal->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void terminal_close(struct terminal *terminal)
{
	/* Not TCSADRAIN: output that cannot go anywhere must not keep us here. */
	if (terminal->raw)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
	terminal->raw = false;
}

bool terminal_size(unsigned *width, unsigned *height)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct winsize size;

		if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
			*width = size.ws_col;
			*height = size.ws_row;
			return true;
		}
	}
	return false;
}
