/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/lines.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "qemu/fail.h"
#include "qemu/process.h"

int lines_wait(int fd, short events, int64_t end, struct error *err)
{
	for (;;) {
		struct pollfd item = { .fd = fd, .events = events };
		int64_t left = end == INT64_MAX ? -1 : end - process_now();

		if (left < 0 && end != INT64_MAX)
			left = 0;
		int count = poll(&item, 1, left > INT_MAX ? INT_MAX : (int)left);
		if (count > 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return error_set(err, ERROR_HOST, errno, "poll");
		if (left == 0)
			return fail_set(err, ETIMEDOUT, "no answer in time");
	}
}

const char *lines_next(const struct buf *in, size_t *length)
{
	const char *bytes = in->data ? buf_bytes(in) : NULL;
	const char *newline = bytes ? memchr(bytes, '\n', buf_length(in)) : NULL;

	if (!newline)
		return NULL;
	*length = (size_t)(newline - bytes);
	return bytes;
}

int lines_read(int fd, struct buf *in, int64_t end, const char **line, size_t *length, struct error *err)
{
	for (;;) {
		char *room;

		*line = lines_next(in, length);
		if (*line)
			return 0;
		size_t size = in->limit ? in->limit - buf_length(in) : 65536;
		if (size > 65536)
			size = 65536;
		if (size == 0 || buf_room(in, size, &room) < 0)
			return error_set(err, ERROR_HOST, EMSGSIZE, "a line is too long");
		int result = lines_wait(fd, POLLIN, end, err);
		if (result < 0)
			return result;
		ssize_t got = recv(fd, room, size, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0)
			return error_set(err, ERROR_HOST, errno, "read");
		if (got == 0)
			return fail_set(err, EPIPE, "the connection was closed");
		buf_filled(in, (size_t)got);
	}
}

int lines_write(int fd, const char *bytes, size_t size, int64_t end, struct error *err)
{
	while (size > 0) {
		int result = lines_wait(fd, POLLOUT, end, err);

		if (result < 0)
			return result;
		ssize_t put = send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (put < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (put < 0)
			return error_set(err, ERROR_HOST, errno, "write");
		bytes += put;
		size -= (size_t)put;
	}
	return 0;
}
