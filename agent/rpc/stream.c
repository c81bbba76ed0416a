/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/stream.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "coffer/protocol.h"
#include "rpc/call.h"
#include "base/frame.h"
#include "rpc/request.h"
#include "service/containers.h"
#include "service/transfers.h"

#define PIECE         (32u * 1024u) /* bytes of one frame that we send */
#define OUT_HIGH      (128u * 1024u)
#define IN_HIGH       (2u * COFFER_WINDOW)
#define LOG_PERIOD_MS 100u
#define LINGER_MS     5000u

struct stream {
	struct rpc_connection *connection;
	struct process_sink sink;
	bool log;                      /* the agent's log instead of a process */
	char layer[COFFER_ID_MAX + 1]; /* or a layer's archive: a worker gets the connection when the opening is answered */
	struct transfer *transfer;     /* while the worker has it */
	bool lent;                     /* it has */
	uint64_t log_position;
	struct loop_timer timer; /* of the log: look for more; else: the host had its time to close */
	bool ended[2];           /* end of file was sent for stdout, stderr */
	bool terminal;
	uint32_t taken; /* bytes of stdin that the host has not been told of yet */
};

struct open_params {
	const char *container, *exec, *layer;
	bool log;
};

#define FIELD(key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct open_params, member)

static const struct decode_field fields[] = {
	{ FIELD("container", DECODE_STRING, container), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id },
	{ FIELD("exec", DECODE_STRING, exec), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id },
	{ FIELD("layer", DECODE_STRING, layer), .flags = DECODE_NONZERO, .max = COFFER_ID_MAX, .check = decode_check_id },
	{ FIELD("log", DECODE_BOOL, log) },
};
static const struct decode_schema schema = { fields, array_count(fields), sizeof(struct open_params), NULL };

/* ---- guest to host ---- */

static void send_frame(struct rpc_connection *connection, uint8_t channel, uint8_t kind, char *frame, size_t length)
{
	frame_header(frame, channel, kind, length);
	rpc_connection_send(connection, frame, COFFER_FRAME_HEADER + length);
}

static bool has_room(const struct rpc_connection *connection)
{
	return !connection->dead && buf_length(&connection->out) < OUT_HIGH;
}

/* Everything that can be had of one output now, as frames. */
static void pump_output(struct stream *stream, int index)
{
	static const uint8_t channels[] = { COFFER_STDOUT, COFFER_STDERR };
	char frame[COFFER_FRAME_HEADER + PIECE];

	while (!stream->ended[index] && has_room(stream->connection)) {
		long got = process_read(&stream->sink, PROCESS_STDOUT + index, frame + COFFER_FRAME_HEADER, PIECE);

		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			stream->ended[index] = true;
			send_frame(stream->connection, channels[index], COFFER_EOF, frame, 0);
			return;
		}
		send_frame(stream->connection, channels[index], COFFER_DATA, frame, (size_t)got);
	}
}

static void pump_log(struct stream *stream)
{
	char frame[COFFER_FRAME_HEADER + PIECE];

	while (has_room(stream->connection)) {
		size_t got = ring_read(&stream->connection->agent->log, &stream->log_position, frame + COFFER_FRAME_HEADER, PIECE);

		if (got == 0)
			return;
		send_frame(stream->connection, COFFER_LOG, COFFER_DATA, frame, got);
	}
}

static void tick(struct loop_timer *timer)
{
	struct stream *stream = timer->context;
	struct rpc_connection *connection = stream->connection;

	if (!stream->log) {
		rpc_connection_close(connection); /* may free the stream */
		return;
	}
	loop_arm(connection->agent->loop, timer, LOG_PERIOD_MS);
	connection->busy = true;
	pump_log(stream);
	connection->busy = false;
	rpc_connection_settle(connection); /* may free the stream */
}

/* ---- host to guest ---- */

/* Takes what it can of the first frame; false: nothing now. */
static bool take_frame(struct stream *stream)
{
	struct buf *in = &stream->connection->in;
	struct frame frame;
	long whole = frame_read(buf_bytes(in), buf_length(in), &frame);

	if (whole == 0)
		return false;
	if (whole < 0 || stream->log) {
		log_info("a stream connection is closed: a frame breaks the protocol");
		stream->connection->dead = true;
		return false;
	}
	if (frame.length == 0) {
		process_close_stdin(&stream->sink);
		buf_consume(in, (size_t)whole);
		return true;
	}
	long put = process_write(&stream->sink, frame.bytes, frame.length);
	if (put == -EAGAIN)
		return false;
	if (put == -EPIPE)
		put = (long)frame.length; /* nobody reads it: dropped, as a pipe would */
	stream->taken += (uint32_t)put;
	if ((size_t)put == frame.length) {
		buf_consume(in, (size_t)whole);
		return true;
	}
	/* The rest stays, under a header of its own that takes the place of the last bytes that were written. */
	buf_consume(in, (size_t)put);
	frame_header((char *)buf_bytes(in), COFFER_STDIN, COFFER_DATA, frame.length - (size_t)put);
	return true;
}

/*
 * The host keeps to a window, so that everything that it may send finds room here and the connection itself is never stopped: some
 * vsock bridges stop both directions when one has no credit left.  A host that sends more than the window finds its sending
 * stopped.
 */
static void pump_input(struct stream *stream)
{
	char frame[COFFER_FRAME_HEADER + sizeof(uint32_t)];

	while (!stream->connection->dead && take_frame(stream))
		;
	if (stream->taken > 0 && !stream->connection->dead) {
		uint32_t taken = htole32(stream->taken);

		memcpy(frame + COFFER_FRAME_HEADER, &taken, sizeof(taken));
		stream->taken = 0;
		send_frame(stream->connection, COFFER_STDIN, COFFER_TAKEN, frame, sizeof(taken));
	}
	rpc_connection_pause(stream->connection, buf_length(&stream->connection->in) > IN_HIGH);
}

/* The worker has ended: what it sent may still be on its way, so the host closes. */
static void transfer_ended(void *context)
{
	struct stream *stream = context;
	struct rpc_connection *connection = stream->connection;

	stream->transfer = NULL;
	buf_consume(&connection->in, buf_length(&connection->in));
	loop_arm(connection->agent->loop, &stream->timer, LINGER_MS);
	rpc_connection_pause(connection, false);
}

/* Once the answer to the opening is out, the connection is the worker's. */
static void lend(struct stream *stream)
{
	struct rpc_connection *connection = stream->connection;
	const struct transfer_peer peer = {
		.fd = connection->watch.fd,
		.early = buf_bytes(&connection->in),
		.early_length = buf_length(&connection->in),
		.ended = transfer_ended,
		.context = stream,
	};
	struct error err;

	rpc_connection_pause(connection, true);
	if (buf_length(&connection->out) > 0)
		return;
	stream->lent = true;
	/* Looked up again: it may have waited too long, or another connection been quicker. */
	int result = transfers_find(connection->agent, stream->layer, &stream->transfer, &err);
	if (result == 0)
		result = transfers_take(stream->transfer, &peer, &err);
	if (result < 0) {
		log_warning("%s", err.message);
		stream->transfer = NULL;
		connection->dead = true;
	}
}

static void pump(struct stream *stream)
{
	struct rpc_connection *connection = stream->connection;

	if (stream->layer[0]) {
		if (!stream->lent)
			lend(stream);
		else if (!stream->transfer) /* nothing is said any more */
			buf_consume(&connection->in, buf_length(&connection->in));
		return;
	}
	pump_input(stream);
	if (stream->log) {
		pump_log(stream);
		return;
	}
	pump_output(stream, 0);
	pump_output(stream, 1);
	/* What the host still sends would break a connection that was closed now, and with it output that is on its way. */
	if (stream->ended[0] && stream->ended[1] && !stream->timer.armed) {
		process_detach(&stream->sink);
		loop_arm(connection->agent->loop, &stream->timer, LINGER_MS);
	}
}

static void sink_ready(struct process_sink *sink)
{
	struct stream *stream = sink->context;
	struct rpc_connection *connection = stream->connection;

	if (connection->busy) {
		pump(stream);
		return;
	}
	connection->busy = true;
	pump(stream);
	connection->busy = false;
	rpc_connection_settle(connection); /* may free the stream */
}

/* ---- opening ---- */

static int find(struct stream *stream, const struct open_params *params, struct error *err)
{
	struct transfer *transfer;
	struct process *process;

	if (!!params->container + !!params->layer + params->log != 1)
		return error_field(err, "container", "either a container, a layer or the log is needed");
	if (params->exec && !params->container)
		return error_field(err, "exec", "needs a container");
	if (params->log) {
		stream->log = true;
		return 0;
	}
	if (params->layer) {
		snprintf(stream->layer, sizeof(stream->layer), "%s", params->layer);
		return transfers_find(stream->connection->agent, params->layer, &transfer, err);
	}
	int result = containers_process(stream->connection->agent, params->container, params->exec, &process, err);
	if (result < 0) {
		if (strcmp(err->field, "id") == 0)
			memcpy(err->field, "container", sizeof("container"));
		return result;
	}
	stream->terminal = process->terminal;
	stream->ended[1] = process->terminal;
	return process_attach(process, &stream->sink, err);
}

static struct stream *open_stream(struct rpc_connection *connection, struct rpc_request *request, struct error *err)
{
	struct decode_memory memory = { 0 };
	struct open_params params;
	struct stream *stream;

	if (strcmp(request->method, "stream.open") != 0) {
		error_set(err, ERROR_METHOD, ENOSYS, "the stream port takes stream.open");
		return NULL;
	}
	if (decode_object(request->params, &schema, &params, &memory, err) < 0)
		return NULL;
	stream = calloc(1, sizeof(*stream));
	if (!stream) {
		error_set(err, ERROR_INTERNAL, ENOMEM, "stream");
		return NULL;
	}
	stream->connection = connection;
	stream->sink = (struct process_sink){ .ready = sink_ready, .context = stream };
	stream->timer = (struct loop_timer){ .fire = tick, .context = stream };
	if (find(stream, &params, err) < 0) {
		free(stream);
		return NULL;
	}
	return stream;
}

static void open_line(struct rpc_connection *connection, const char *line, size_t length)
{
	struct rpc_request request;
	struct buf answer = { 0 };
	struct encode e = { .buf = &answer };
	struct error err;
	struct stream *stream = NULL;

	if (rpc_request_read(line, length, &request, &err) == 0)
		stream = open_stream(connection, &request, &err);
	if (stream) {
		rpc_request_begin_result(&e, request.id);
		encode_bool(&e, "terminal", stream->terminal);
		encode_uint(&e, "window", COFFER_WINDOW);
		rpc_request_end_result(&e);
	} else {
		error_step(&err, "open the stream");
		rpc_request_error(&e, request.id, &err);
		connection->closing = true;
	}
	rpc_request_free(&request, true);
	connection->state = stream;
	if (encode_result(&e) < 0 || buf_append(&answer, "\n", 1) < 0)
		connection->dead = true;
	else
		rpc_connection_send(connection, buf_bytes(&answer), buf_length(&answer));
	buf_free(&answer);
}

static void input(struct rpc_connection *connection)
{
	struct stream *stream = connection->state;

	if (!stream && !connection->closing) {
		const char *bytes = buf_bytes(&connection->in);
		size_t length = buf_length(&connection->in);
		const char *newline = length ? memchr(bytes, '\n', length) : NULL;
		size_t line = newline ? (size_t)(newline - bytes) : length;

		if (line >= COFFER_LINE_MAX) {
			struct error err;

			error_set(&err, ERROR_TOO_LARGE, EMSGSIZE, "a line has at most %u bytes", COFFER_LINE_MAX);
			error_step(&err, "open the stream");
			rpc_call_refuse(connection, "null", &err);
			rpc_connection_close(connection);
			return;
		}
		if (!newline)
			return;
		open_line(connection, bytes, line);
		buf_consume(&connection->in, line + 1);
		stream = connection->state;
		if (stream && stream->log)
			loop_arm(connection->agent->loop, &stream->timer, LOG_PERIOD_MS);
	}
	if (stream && !connection->dead)
		pump(stream);
}

static void flushed(struct rpc_connection *connection)
{
	if (connection->state)
		pump(connection->state);
}

static void closed(struct rpc_connection *connection)
{
	struct stream *stream = connection->state;

	if (!stream)
		return;
	loop_disarm(connection->agent->loop, &stream->timer);
	if (stream->transfer)
		transfers_abandon(stream->transfer);
	process_detach(&stream->sink);
	free(stream);
}

const struct rpc_handler rpc_stream_handler = { .input = input, .flushed = flushed, .closed = closed };
