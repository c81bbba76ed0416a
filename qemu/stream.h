/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_STREAM_H
#define QEMU_STREAM_H

#include "base/buf.h"
#include "coffer/protocol.h"
#include "qemu/vm.h"

/* A stream connection: frames in both directions.  docs/PROTOCOL.md, "Stream connections". */
struct stream {
	int fd;
	struct buf in;
	struct buf out;
	bool terminal; /* the process has one */
	bool closed;   /* the agent has ended the connection */
	/* The frame whose bytes are being taken out of `in`. */
	enum coffer_channel channel;
	enum coffer_frame_kind kind;
	uint32_t left; /* bytes of it that have not been taken */
	/*
	 * stdin's flow control, where the answer to stream.open has a "window": at most that many bytes are under way, that is, not
	 * yet acknowledged by a frame of kind 2 on channel 0, whose four bytes say how many more the agent has taken.  Without it a
	 * full pipe in the guest would leave bytes waiting in the bridge, and vhost-device-vsock 0.3 then stops carrying output
	 * too.
	 */
	uint64_t window; /* 0: none */
	uint64_t under_way;
};

#define STREAM_NONE                                                                                                                \
	{                                                                                                                          \
		.fd = -1                                                                                                           \
	}

/* Opens the stream of a container's process, of one of its execs (NULL: none), or with no container the agent's log. */
must_check int stream_open(const struct vm *vm, const char *container, const char *exec, struct stream *stream, struct error *err);
/* Opens the stream that a request about a layer waits for; it may take a moment until it does. */
must_check int stream_open_layer(const struct vm *vm, const char *layer, struct stream *stream, struct error *err);
void stream_close(struct stream *stream);

/* Reads what has arrived, without waiting.  Sets stream->closed at the end. */
must_check int stream_receive(struct stream *stream, struct error *err);
/*
 * What stands at the head: 1 with some bytes of a data frame in *bytes and *size (stream_take them), or with size 0 an end of file;
 * 0 when more must be received first.  stream->channel and stream->kind tell which.
 */
must_check int stream_head(struct stream *stream, const char **bytes, size_t *size, struct error *err);
/* `size` bytes of the data frame have been dealt with; for an end of file 0. */
void stream_take(struct stream *stream, size_t size);
/* True when stream_receive should be called: not too much is waiting in `in`. */
bool stream_wants(const struct stream *stream);

/* Bytes that the next stdin frame may have: 0 while the window is full. */
size_t stream_allowance(const struct stream *stream);
/* Room for one stdin frame's bytes; NULL without memory.  Then stream_put with how many were written there (0: end of file). */
char *stream_room(struct stream *stream);
void stream_put(struct stream *stream, size_t size);
/* Sends what it can without waiting. */
must_check int stream_send(struct stream *stream, struct error *err);

#endif
