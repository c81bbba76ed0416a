/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "qemu/commands.h"
#include "qemu/vm.h"

#define CONSOLE_TICK_MS 200

/* On a terminal the guest's bytes must not steer it; a file gets them as they are. */
static void print(char *text, size_t length, bool terminal)
{
	for (size_t i = 0; terminal && i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f)
			text[i] = '?';
	}
	fwrite(text, 1, length, stdout);
}

/* What has been added since the last time.  Returns false when nothing was. */
static bool print_rest(int fd, bool terminal)
{
	char text[16384];
	bool any = false;

	for (ssize_t got = read(fd, text, sizeof(text)); got > 0; got = read(fd, text, sizeof(text))) {
		print(text, (size_t)got, terminal);
		any = true;
	}
	fflush(stdout);
	return any;
}

int console_run(const struct options *options, struct error *err)
{
	char path[PATH_MAX];
	struct vm vm;
	bool terminal = isatty(STDOUT_FILENO), gone = false;
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0)
		result = vm_path(&vm, VM_CONSOLE, path, sizeof(path), err);
	if (result < 0)
		return result;
	fd_auto fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_set(err, ERROR_HOST, errno, "%s", path);
	(void)print_rest(fd, terminal);
	while (options->follow && !gone && !ferror(stdout)) {
		gone = process_wait(&vm.qemu, CONSOLE_TICK_MS);
		(void)print_rest(fd, terminal);
	}
	return 0;
}
