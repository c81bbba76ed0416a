/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/pump.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/terminal.h"

enum { PUMP_STREAM, PUMP_STDIN, PUMP_OUTPUT, PUMP_CLIENT, PUMP_SIGNALS, PUMP_POLLED };

struct state {
	struct pump *pump;
	bool stdin_ended, stdout_ended, stderr_ended;
	bool output_broken; /* nobody reads our output */
	bool exited;
	int exit_code;
	int signals; /* how many have been handed on */
	int64_t wait_id;
};

/* {"id":CONTAINER,"exec":E, and what `more` adds. */
static int64_t request(struct state *state, const char *method, const char *key, int64_t value, const char *key2, int64_t value2,
		       struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	int64_t result;

	encode_open(&e, NULL, '{');
	encode_string(&e, "id", state->pump->container);
	if (state->pump->exec)
		encode_string(&e, "exec", state->pump->exec);
	if (key)
		encode_int(&e, key, value);
	if (key2)
		encode_int(&e, key2, value2);
	encode_close(&e, '}');
	if (encode_result(&e) < 0 || buf_append(&buf, "", 1) < 0)
		result = error_set(err, ERROR_HOST, ENOMEM, "%s", method);
	else
		result = client_send(state->pump->client, method, buf_bytes(&buf), err);
	buf_free(&buf);
	return result;
}

static int read_stdin(struct state *state, struct error *err)
{
	struct stream *stream = state->pump->stream;
	char *room = stream_room(stream);

	if (!room)
		return error_set(err, ERROR_HOST, ENOMEM, "standard input");
	ssize_t got = read(STDIN_FILENO, room, stream_allowance(stream));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* What cannot be read (a terminal that has gone) has ended. */
	stream_put(stream, got > 0 ? (size_t)got : 0);
	state->stdin_ended = got <= 0;
	return 0;
}

static int output_fd(const struct stream *stream)
{
	return stream->channel == COFFER_STDERR ? STDERR_FILENO : STDOUT_FILENO;
}

/*
 * One write that does not wait for long.  Our descriptors are shared with others, so they are not made non-blocking: a pipe that
 * poll calls writable takes PIPE_BUF bytes at once, a socket can be asked not to wait, a file never does.
 */
static ssize_t write_some(int fd, const char *bytes, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
		return send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (!S_ISREG(st.st_mode) && size > PIPE_BUF)
		size = PIPE_BUF;
	return write(fd, bytes, size);
}

/* A frame's bytes go out; an end of file is noted. */
static int write_output(struct state *state, const char *bytes, size_t size, struct error *err)
{
	struct stream *stream = state->pump->stream;

	if (size == 0) {
		if (stream->channel == COFFER_STDERR)
			state->stderr_ended = true;
		else
			state->stdout_ended = true;
		stream_take(stream, 0);
		return 0;
	}
	ssize_t put = state->output_broken ? (ssize_t)size : write_some(output_fd(stream), bytes, size);
	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (put < 0 && errno == EPIPE) {
		/* As a program in a pipeline would die of SIGPIPE here, ours is given up. */
		state->output_broken = true;
		state->pump->given_up = SIGPIPE;
		return 0;
	}
	if (put < 0)
		return error_set(err, ERROR_HOST, errno, "write the program's output");
	stream_take(stream, (size_t)put);
	return 0;
}

static int take_answers(struct state *state, struct error *err)
{
	for (;;) {
		int64_t id;
		bool failed;
		json_object *answer;
		struct error why;
		int result = client_receive(state->pump->client, &id, &answer, &failed, &why);

		if (result < 0)
			*err = why;
		if (result <= 0)
			return result;
		if (id == state->wait_id) {
			if (failed) {
				*err = why;
				return error_wrap(err, "container.wait");
			}
			state->exited = true;
			state->exit_code = (int)client_number(answer, "exit_code", 255);
		}
		json_object_put(answer);
	}
}

static int take_signal(struct state *state, int signal, struct error *err)
{
	unsigned width, height;
	int64_t result = 0;

	if (signal == SIGWINCH) {
		if (state->pump->stream->terminal && terminal_size(&width, &height))
			result = request(state, "container.resize", "width", width, "height", height, err);
	} else if (signal && state->signals++ == 0) {
		fprintf(stderr, "coffer: SIG%s goes to the program in the container; a second signal stops waiting for it\n",
			sigabbrev_np(signal));
		result = request(state, "container.signal", "signal", signal, NULL, 0, err);
	} else if (signal) {
		state->pump->given_up = signal;
	}
	return result < 0 ? (int)result : 0;
}

static bool finished(const struct state *state)
{
	bool ended = state->stdout_ended && (state->stderr_ended || state->pump->stream->terminal);

	return ended && state->exited;
}

static int step(struct state *state, const struct pollfd *polled, struct error *err)
{
	struct stream *stream = state->pump->stream;
	struct error ignored;
	const char *bytes;
	size_t size;
	int result = 0;

	if (polled[PUMP_SIGNALS].revents)
		result = take_signal(state, interrupt_next(state->pump->interrupt), err);
	if (result == 0 && polled[PUMP_CLIENT].revents)
		result = take_answers(state, err);
	if (result == 0 && polled[PUMP_STDIN].revents)
		result = read_stdin(state, err);
	if (result == 0 && (polled[PUMP_STREAM].revents & (POLLIN | POLLHUP | POLLERR)))
		result = stream_receive(stream, err);
	/* A process that has ended reads no more: that is no failure, and the reading side tells the rest. */
	if (result == 0 && buf_length(&stream->out) > 0 && stream_send(stream, &ignored) < 0) {
		buf_consume(&stream->out, buf_length(&stream->out));
		state->stdin_ended = true;
	}
	if (result < 0)
		return result;
	if (polled[PUMP_OUTPUT].revents && stream_head(stream, &bytes, &size, &ignored) > 0)
		result = write_output(state, bytes, size, err);
	return result;
}

/* Writes ends of file down at once; returns 1 when a data frame waits for its output to become writable. */
static int look_at_head(struct state *state, struct error *err)
{
	struct stream *stream = state->pump->stream;
	const char *bytes;
	size_t size;

	for (;;) {
		int result = stream_head(stream, &bytes, &size, err);

		if (result <= 0 || size > 0)
			return result;
		result = write_output(state, bytes, 0, err);
		if (result < 0)
			return result;
	}
}

static int turn(struct state *state, struct error *err)
{
	struct stream *stream = state->pump->stream;
	int waiting = look_at_head(state, err);

	if (waiting < 0 || finished(state))
		return waiting < 0 ? waiting : 0;
	bool outputs_ended = state->stdout_ended && (state->stderr_ended || stream->terminal);
	if (stream->closed && !waiting && !outputs_ended)
		return fail_set(err, EPIPE, "the stream was cut before the program's output ended");
	bool full = buf_length(&stream->out) > 0 || stream_allowance(stream) == 0;
	struct pollfd polled[PUMP_POLLED] = {
		[PUMP_STREAM] = { .fd = stream->closed ? -1 : stream->fd,
				  .events =
					  (short)((stream_wants(stream) ? POLLIN : 0) | (buf_length(&stream->out) ? POLLOUT : 0)) },
		[PUMP_STDIN] = { .fd = state->stdin_ended || stream->closed || full ? -1 : STDIN_FILENO, .events = POLLIN },
		[PUMP_OUTPUT] = { .fd = waiting ? output_fd(stream) : -1, .events = POLLOUT },
		[PUMP_CLIENT] = { .fd = state->exited ? -1 : state->pump->client->fd, .events = POLLIN },
		[PUMP_SIGNALS] = { .fd = state->pump->interrupt, .events = POLLIN },
	};
	if (poll(polled, PUMP_POLLED, -1) < 0)
		return errno == EINTR ? 0 : error_set(err, ERROR_HOST, errno, "poll");
	return step(state, polled, err);
}

int pump_run(struct pump *pump, struct error *err)
{
	struct state state = { .pump = pump };
	struct terminal terminal = { 0 };
	int result = 0;

	state.wait_id = request(&state, "container.wait", NULL, 0, NULL, 0, err);
	if (state.wait_id < 0)
		return (int)state.wait_id;
	result = take_signal(&state, pump->first_signal, err);
	if (pump->stream->terminal)
		terminal_open(&terminal);
	while (result == 0 && !finished(&state) && !pump->given_up)
		result = turn(&state, err);
	terminal_close(&terminal);
	if (result < 0)
		return result;
	return pump->given_up ? 128 + pump->given_up : state.exit_code;
}
