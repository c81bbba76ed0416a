/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/scan.h"
#include "coffer/protocol.h"
#include "qemu/fail.h"

int file_read(const char *path, size_t most, struct buf *buf, struct error *err)
{
	bool standard = strcmp(path, "-") == 0;
	fd_auto opened = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int fd = standard ? STDIN_FILENO : opened;

	if (fd < 0)
		return error_set(err, ERROR_HOST, errno, "%s", path);
	for (;;) {
		char *room;

		if (buf_length(buf) > most)
			return fail_set(err, EFBIG, "%s: more than %zu bytes", standard ? "standard input" : path, most);
		if (buf_room(buf, 65536, &room) < 0)
			return error_set(err, ERROR_HOST, ENOMEM, "%s", path);
		ssize_t got = read(fd, room, 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, ERROR_HOST, errno, "%s", standard ? "standard input" : path);
		if (got == 0)
			return 0;
		buf_filled(buf, (size_t)got);
	}
}

void file_join_lines(char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n' || text[i] == '\r')
			text[i] = ' ';
	}
}

int file_read_json(const char *path, struct buf *buf, struct error *err)
{
	int result = file_read(path, COFFER_LINE_MAX, buf, err);

	if (result < 0)
		return result;
	result = scan_json(buf_bytes(buf), buf_length(buf), err);
	if (result < 0)
		return error_wrap(err, "%s", path);
	file_join_lines(buf->data + buf->start, buf_length(buf));
	return buf_append(buf, "", 1) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "%s", path) : 0;
}
