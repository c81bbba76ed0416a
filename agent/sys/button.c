/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/button.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/input.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

static bool has_power_key(int fd)
{
	unsigned char keys[KEY_MAX / 8 + 1] = { 0 };

	return ioctl(fd, EVIOCGBIT(EV_KEY, sizeof(keys)), keys) >= 0 && (keys[KEY_POWER / 8] & 1 << KEY_POWER % 8);
}

int button_open(void)
{
	auto_dir devices = opendir("/dev/input");
	struct dirent *entry;
	char path[300];

	while (devices && (entry = readdir(devices))) {
		if (strncmp(entry->d_name, "event", 5) != 0 || text_format(path, sizeof(path), "/dev/input/%s", entry->d_name) < 0)
			continue;
		int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0 && has_power_key(fd))
			return fd;
		close_fd(&fd);
	}
	return -1;
}

bool button_pressed(int fd)
{
	struct input_event event;
	bool pressed = false;

	while (read(fd, &event, sizeof(event)) == sizeof(event))
		pressed = pressed || (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1);
	return pressed;
}
