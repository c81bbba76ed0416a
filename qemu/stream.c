/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/stream.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "qemu/client.h"
#include "qemu/connect.h"
#include "qemu/fail.h"
#include "qemu/lines.h"

#define STREAM_OPEN_MS 10000
#define STREAM_WAITING (4 * COFFER_FRAME_MAX)
#define STREAM_TAKEN   2u /* the kind of frame that acknowledges stdin */

/* What a stream is opened of: docs/PROTOCOL.md, "Stream connections". */
struct subject {
	const char *container, *exec, *layer;
};

static int ask(struct stream *stream, const struct subject *subject, int64_t end, struct error *err)
{
	struct encode e = { .buf = &stream->out };

	encode_open(&e, NULL, '{');
	encode_string(&e, "jsonrpc", "2.0");
	encode_int(&e, "id", 1);
	encode_string(&e, "method", "stream.open");
	encode_open(&e, "params", '{');
	if (subject->container)
		encode_string(&e, "container", subject->container);
	else if (subject->layer)
		encode_string(&e, "layer", subject->layer);
	else
		encode_bool(&e, "log", true);
	if (subject->exec)
		encode_string(&e, "exec", subject->exec);
	encode_close(&e, '}');
	encode_close(&e, '}');
	if (encode_result(&e) < 0 || buf_append(&stream->out, "\n", 1) < 0)
		return error_set(err, ERROR_HOST, ENOMEM, "stream.open");
	int result = lines_write(stream->fd, buf_bytes(&stream->out), buf_length(&stream->out), end, err);
	buf_consume(&stream->out, buf_length(&stream->out));
	return result;
}

static int read_answer(struct stream *stream, int64_t end, struct error *err)
{
	/* Only its decoding of answers is used: this connection belongs to the stream. */
	struct client reader = CLIENT_NONE;
	json_object *answer, *terminal;
	const char *line;
	size_t length;
	int64_t id;
	bool failed = false;
	int result = lines_read(stream->fd, &stream->in, end, &line, &length, err);

	if (result < 0)
		return result;
	if (buf_append(&reader.in, line, length + 1) < 0)
		return error_set(err, ERROR_HOST, ENOMEM, "stream.open");
	buf_consume(&stream->in, length + 1);
	result = client_receive(&reader, &id, &answer, &failed, err);
	client_close(&reader);
	if (result < 0 || failed)
		return result < 0 ? result : -err->errnum;
	if (json_object_object_get_ex(answer, "terminal", &terminal))
		stream->terminal = json_object_get_boolean(terminal);
	int64_t window = client_number(answer, "window", 0);
	stream->window = window > 0 ? (uint64_t)window : 0;
	json_object_put(answer);
	return 0;
}

static int open_subject(const struct vm *vm, const struct subject *subject, struct stream *stream, struct error *err)
{
	int64_t end = process_now() + STREAM_OPEN_MS;

	*stream = (struct stream)STREAM_NONE;
	int result = connect_vm(vm, COFFER_PORT_STREAM, end, &stream->fd, err);
	if (result == 0)
		result = ask(stream, subject, end, err);
	if (result == 0)
		result = read_answer(stream, end, err);
	if (result == 0)
		return 0;
	stream_close(stream);
	return error_wrap(err, "stream.open");
}

int stream_open(const struct vm *vm, const char *container, const char *exec, struct stream *stream, struct error *err)
{
	const struct subject subject = { .container = container, .exec = exec };

	return open_subject(vm, &subject, stream, err);
}

int stream_open_layer(const struct vm *vm, const char *layer, struct stream *stream, struct error *err)
{
	const struct subject subject = { .layer = layer };

	return open_subject(vm, &subject, stream, err);
}

void stream_close(struct stream *stream)
{
	close_fd(&stream->fd);
	buf_free(&stream->in);
	buf_free(&stream->out);
}

bool stream_wants(const struct stream *stream)
{
	return !stream->closed && buf_length(&stream->in) < STREAM_WAITING;
}

int stream_receive(struct stream *stream, struct error *err)
{
	char *room;

	if (buf_room(&stream->in, COFFER_FRAME_MAX, &room) < 0)
		return error_set(err, ERROR_HOST, ENOMEM, "stream");
	ssize_t got = recv(stream->fd, room, COFFER_FRAME_MAX, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got > 0)
		buf_filled(&stream->in, (size_t)got);
	else
		stream->closed = true;
	return 0;
}

/* The header at the head, if it has arrived whole. */
static bool read_header(const struct stream *stream, struct coffer_frame *frame)
{
	if (buf_length(&stream->in) < COFFER_FRAME_HEADER)
		return false;
	memcpy(frame, buf_bytes(&stream->in), sizeof(*frame));
	frame->length = le32toh(frame->length);
	return true;
}

/* Takes acknowledgements from the head; they are nothing to the caller of stream_head. */
static void take_acknowledgements(struct stream *stream)
{
	struct coffer_frame frame;
	uint32_t taken;

	while (read_header(stream, &frame) && frame.channel == COFFER_STDIN && frame.kind == STREAM_TAKEN &&
	       frame.length == sizeof(taken) && buf_length(&stream->in) >= COFFER_FRAME_HEADER + sizeof(taken)) {
		memcpy(&taken, buf_bytes(&stream->in) + COFFER_FRAME_HEADER, sizeof(taken));
		taken = le32toh(taken);
		stream->under_way -= taken < stream->under_way ? taken : stream->under_way;
		buf_consume(&stream->in, COFFER_FRAME_HEADER + sizeof(taken));
	}
}

int stream_head(struct stream *stream, const char **bytes, size_t *size, struct error *err)
{
	if (stream->left == 0) {
		struct coffer_frame frame;

		take_acknowledgements(stream);
		if (!read_header(stream, &frame))
			return 0;
		if (frame.channel == COFFER_STDIN && frame.kind == STREAM_TAKEN && frame.length == sizeof(uint32_t))
			return 0;
		bool fits = frame.kind == COFFER_DATA ? frame.length > 0 && frame.length <= COFFER_FRAME_MAX
						      : frame.kind == COFFER_EOF && frame.length == 0;
		if (!fits || frame.reserved != 0 || frame.channel == COFFER_STDIN || frame.channel > COFFER_LOG)
			return fail_set(err, EPROTO, "a frame is malformed");
		stream->channel = frame.channel;
		stream->kind = frame.kind;
		stream->left = frame.length;
		buf_consume(&stream->in, COFFER_FRAME_HEADER);
		if (frame.kind == COFFER_EOF) {
			*size = 0;
			return 1;
		}
	}
	*size = buf_length(&stream->in);
	if (*size == 0)
		return 0;
	if (*size > stream->left)
		*size = stream->left;
	*bytes = buf_bytes(&stream->in);
	return 1;
}

void stream_take(struct stream *stream, size_t size)
{
	stream->left -= (uint32_t)size;
	buf_consume(&stream->in, size);
}

size_t stream_allowance(const struct stream *stream)
{
	if (stream->window == 0)
		return COFFER_FRAME_MAX;
	uint64_t free = stream->under_way < stream->window ? stream->window - stream->under_way : 0;
	return free < COFFER_FRAME_MAX ? (size_t)free : COFFER_FRAME_MAX;
}

char *stream_room(struct stream *stream)
{
	char *room;

	return buf_room(&stream->out, COFFER_FRAME_HEADER + COFFER_FRAME_MAX, &room) < 0 ? NULL : room + COFFER_FRAME_HEADER;
}

void stream_put(struct stream *stream, size_t size)
{
	struct coffer_frame frame = { .channel = COFFER_STDIN,
				      .kind = size ? COFFER_DATA : COFFER_EOF,
				      .length = htole32((uint32_t)size) };

	memcpy(stream->out.data + stream->out.end, &frame, COFFER_FRAME_HEADER);
	buf_filled(&stream->out, COFFER_FRAME_HEADER + size);
	stream->under_way += size;
}

int stream_send(struct stream *stream, struct error *err)
{
	while (buf_length(&stream->out) > 0) {
		ssize_t put = send(stream->fd, buf_bytes(&stream->out), buf_length(&stream->out), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (put < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (put < 0)
			return error_set(err, ERROR_HOST, errno, "write");
		buf_consume(&stream->out, (size_t)put);
	}
	return 0;
}
