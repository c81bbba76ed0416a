/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/frames.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/frame.h"
#include "sys/vsock.h"

#define PIECE (64u * 1024u - COFFER_FRAME_HEADER)

static int wait_until(int fd, short events)
{
	struct pollfd watched = { .fd = fd, .events = events };

	return poll(&watched, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* Everything, to a socket or a pipe.  -errno. */
static int put(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, bytes, size < VSOCK_SEND_MAX ? size : VSOCK_SEND_MAX);

		if (done >= 0) {
			bytes += done;
			size -= (size_t)done;
		} else if (errno == EAGAIN) {
			int result = wait_until(fd, POLLOUT);

			if (result < 0)
				return result;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Some bytes; 0 at the end; -errno. */
static ssize_t get(int fd, char *bytes, size_t size)
{
	for (;;) {
		ssize_t got = read(fd, bytes, size);

		if (got >= 0)
			return got;
		if (errno == EAGAIN) {
			int result = wait_until(fd, POLLIN);

			if (result < 0)
				return result;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
}

static int tell_taken(int connection, size_t size)
{
	char frame[COFFER_FRAME_HEADER + sizeof(uint32_t)];
	uint32_t taken = htole32((uint32_t)size);

	frame_header(frame, COFFER_STDIN, COFFER_TAKEN, sizeof(taken));
	memcpy(frame + COFFER_FRAME_HEADER, &taken, sizeof(taken));
	return put(connection, frame, sizeof(frame));
}

/* All whole frames that have come.  1 at the end of file, else 0. */
static int take_frames(int connection, struct buf *in, int out, struct error *err)
{
	struct frame frame;
	long whole = 0;

	while (buf_length(in) > 0 && (whole = frame_read(buf_bytes(in), buf_length(in), &frame)) > 0) {
		if (frame.length == 0)
			return 1;
		int result = put(out, frame.bytes, frame.length);
		if (result < 0)
			return error_set(err, ERROR_LAYER, -result, "pass the stream on");
		if (tell_taken(connection, frame.length) < 0)
			return error_set(err, ERROR_LAYER, ECONNRESET, "the stream was cut off");
		buf_consume(in, (size_t)whole);
	}
	return whole < 0 ? error_set(err, ERROR_LAYER, EPROTO, "a frame breaks the protocol") : 0;
}

int frames_receive(int connection, const char *early, size_t early_length, int out, struct error *err)
{
	struct buf in = { 0 };
	int result = buf_append(&in, early, early_length);
	char *room;

	if (result == 0)
		result = take_frames(connection, &in, out, err);
	else
		error_set(err, ERROR_INTERNAL, -result, "stream");
	while (result == 0) {
		if (buf_room(&in, PIECE, &room) < 0) {
			result = error_set(err, ERROR_INTERNAL, ENOMEM, "stream");
			break;
		}
		ssize_t got = get(connection, room, PIECE);
		if (got <= 0) {
			result = error_set(err, ERROR_LAYER, got < 0 ? (int)-got : ECONNRESET, "the stream was cut off");
			break;
		}
		buf_filled(&in, (size_t)got);
		result = take_frames(connection, &in, out, err);
	}
	buf_free(&in);
	return result < 0 ? result : 0;
}

int frames_send(int connection, int in, struct error *err)
{
	char frame[COFFER_FRAME_HEADER + PIECE];
	ssize_t got;
	int result = 0;

	while (result == 0 && (got = get(in, frame + COFFER_FRAME_HEADER, PIECE)) > 0) {
		frame_header(frame, COFFER_STDOUT, COFFER_DATA, (size_t)got);
		result = put(connection, frame, COFFER_FRAME_HEADER + (size_t)got);
	}
	if (result == 0 && got < 0)
		result = (int)got;
	if (result == 0) {
		frame_header(frame, COFFER_STDOUT, COFFER_EOF, 0);
		result = put(connection, frame, COFFER_FRAME_HEADER);
	}
	return result < 0 ? error_set(err, ERROR_LAYER, -result, "send the stream") : 0;
}
