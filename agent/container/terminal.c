/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "container/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/mounts.h"
#include "sys/paths.h"

int terminal_open(int root, const struct config_process *process, int *master, int *slave, struct error *err)
{
	struct winsize size = { .ws_col = (unsigned short)process->console_width,
				.ws_row = (unsigned short)process->console_height };
	struct statfs filesystem;
	struct stat status;
	int unlock = 0;
	/* Opened at once and examined after: a second open, through a /proc of the container's, could be of something else. */
	fd_auto opened = paths_open(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, err);

	if (opened < 0)
		return error_wrap(err, "a terminal needs devpts mounted on /dev/pts");
	if (fstatfs(opened, &filesystem) < 0 || fstat(opened, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "look at /dev/pts/ptmx");
	if (filesystem.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2))
		return error_set(err, ERROR_CONTAINER, ENODEV, "/dev/pts/ptmx is not of a devpts");
	if (ioctl(opened, TIOCSPTLCK, &unlock) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open a terminal");
	fd_auto peer = ioctl(opened, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open a terminal's other end");
	if ((size.ws_col || size.ws_row) && ioctl(opened, TIOCSWINSZ, &size) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "set the terminal's size");
	if (fchown(peer, (uid_t)process->uid, (gid_t)-1) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "give the terminal to uid %u", (unsigned)process->uid);
	*master = take_fd(&opened);
	*slave = take_fd(&peer);
	return 0;
}

int terminal_on_console(int root, int slave, struct error *err)
{
	const char *name;
	struct stat status;
	fd_auto parent = paths_open_parent(root, "/dev/console", &name, err);

	if (parent < 0)
		return parent;
	fd_auto made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600);
	fd_auto target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || fstat(target, &status) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "open /dev/console in the root");
	if (S_ISLNK(status.st_mode) || S_ISDIR(status.st_mode))
		return error_set(err, ERROR_CONTAINER, EEXIST, "/dev/console is something else in the image");
	fd_auto copy = mounts_clone(slave, false, ERROR_CONTAINER, err);
	return copy < 0 ? copy : mounts_attach(copy, target, ERROR_CONTAINER, err);
}

int terminal_take(int slave, struct error *err)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return error_set(err, ERROR_CONTAINER, errno, "take the terminal");
	for (int fd = 0; fd <= 2; fd++) {
		if (dup2(slave, fd) < 0)
			return error_set(err, ERROR_CONTAINER, errno, "take the terminal");
	}
	return 0;
}
