/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/transfer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/output.h"
#include "qemu/progress.h"
#include "qemu/stream.h"

#define OPEN_MS  5000
#define AGAIN_MS 50

struct state {
	const struct transfer *transfer;
	struct stream stream;
	struct progress progress;
	int64_t id; /* of the request */
	json_object *answer;
	bool answered, refused; /* refused: the agent's error is in `why` */
	struct error why;
	bool ended; /* the file has been sent, or received, to its end */
	uint64_t bytes;
};

static int take_answer(struct state *state, struct error *err)
{
	for (;;) {
		json_object *answer;
		bool failed;
		int64_t id;
		int result = client_receive(state->transfer->client, &id, &answer, &failed, &state->why);

		if (result < 0)
			*err = state->why;
		if (result <= 0)
			return result;
		if (id == state->id) {
			state->answered = true;
			state->refused = failed;
			state->answer = answer;
			return 0;
		}
		json_object_put(answer);
	}
}

/*
 * The first signal breaks the stream off, which the agent takes for an archive that was cut off: its answer is awaited, since until
 * then the store is in use.
 */
static int take_signal(struct state *state, struct error *err)
{
	struct client *client = state->transfer->client;
	int signal = interrupt_wanted(client->interrupt);

	if (!signal)
		return 0;
	if (client->signal)
		return fail_set(err, EINTR, "given up at SIG%s, without waiting for the agent", sigabbrev_np(signal));
	client->signal = signal;
	fprintf(stderr, "coffer: SIG%s: broken off; a second signal does not wait for the agent\n", sigabbrev_np(signal));
	stream_close(&state->stream);
	state->stream.closed = true;
	return 0;
}

static int send_some(struct state *state, struct error *err)
{
	char *room = stream_room(&state->stream);

	if (!room)
		return error_set(err, ERROR_HOST, ENOMEM, "stream");
	ssize_t got = read(state->transfer->file, room, stream_allowance(&state->stream));
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got < 0)
		return error_set(err, ERROR_HOST, errno, "read the archive");
	stream_put(&state->stream, (size_t)got);
	state->bytes += (uint64_t)got;
	state->ended = got == 0;
	return 0;
}

static int write_all(int file, const char *bytes, size_t size, struct error *err)
{
	while (size > 0) {
		ssize_t put = write(file, bytes, size);

		if (put < 0 && errno != EINTR)
			return error_set(err, ERROR_HOST, errno, "write the stream");
		if (put > 0) {
			bytes += put;
			size -= (size_t)put;
		}
	}
	return 0;
}

static int receive_some(struct state *state, struct error *err)
{
	const char *bytes;
	size_t size;
	int result;

	while ((result = stream_head(&state->stream, &bytes, &size, err)) > 0) {
		if (size == 0) {
			state->ended = true;
		} else {
			result = write_all(state->transfer->file, bytes, size, err);
			if (result < 0)
				return result;
			state->bytes += size;
		}
		stream_take(&state->stream, size);
	}
	return result;
}

static void show(struct state *state)
{
	char done[32], all[32];

	output_size(state->bytes, done, sizeof(done));
	output_size(state->transfer->size, all, sizeof(all));
	if (state->transfer->size)
		snprintf(state->progress.text, sizeof(state->progress.text), "%s: %s of %s", state->transfer->what, done, all);
	else
		snprintf(state->progress.text, sizeof(state->progress.text), "%s: %s", state->transfer->what, done);
	progress_tick(&state->progress);
}

static bool finished(const struct state *state)
{
	return state->refused || (state->answered && (state->ended || !state->transfer->outwards));
}

static int turn(struct state *state, struct error *err)
{
	struct stream *stream = &state->stream;
	bool outwards = state->transfer->outwards, waits = buf_length(&stream->out) > 0;
	bool reads = !outwards && !state->ended && !waits && stream_allowance(stream) > 0 && !stream->closed;
	struct pollfd polled[] = {
		{ .fd = stream->closed ? -1 : stream->fd, .events = (short)(POLLIN | (waits ? POLLOUT : 0)) },
		{ .fd = state->answered ? -1 : state->transfer->client->fd, .events = POLLIN },
		{ .fd = reads ? state->transfer->file : -1, .events = POLLIN },
		{ .fd = state->transfer->client->interrupt, .events = POLLIN },
	};
	struct error ignored;
	int result = 0;

	if (poll(polled, array_count(polled), PROGRESS_TICK_MS) < 0)
		return errno == EINTR ? 0 : error_set(err, ERROR_HOST, errno, "poll");
	if (polled[3].revents)
		result = take_signal(state, err);
	if (result == 0 && polled[1].revents)
		result = take_answer(state, err);
	if (result == 0 && polled[2].revents && !stream->closed)
		result = send_some(state, err);
	if (result == 0 && polled[0].revents & (POLLIN | POLLHUP | POLLERR) && !stream->closed)
		result = stream_receive(stream, err);
	if (result == 0)
		result = receive_some(state, err);
	/* An agent that does not read any more has an answer that says why. */
	if (result == 0 && buf_length(&stream->out) > 0 && stream_send(stream, &ignored) < 0)
		stream->closed = true;
	if (result == 0 && stream->closed && state->answered && !finished(state))
		result = fail_set(err, EPIPE, "the stream was cut off");
	show(state);
	return result;
}

/* The two connections are not in step: the agent may hear of the stream before it has read the request, or refused it. */
static int open_stream(struct state *state, struct error *err)
{
	struct pollfd polled = { .fd = state->transfer->client->fd, .events = POLLIN };
	int64_t end = process_now() + OPEN_MS;
	struct error ignored;
	int result;

	for (;;) {
		result = stream_open_layer(state->transfer->vm, state->transfer->layer, &state->stream, err);
		if (result == 0 || err->code != ERROR_NOT_FOUND || state->answered || process_now() > end)
			break;
		if (poll(&polled, 1, AGAIN_MS) > 0 && take_answer(state, &ignored) < 0)
			break;
	}
	if (state->refused) {
		*err = state->why;
		result = err->errnum > 0 ? -err->errnum : -EPROTO;
	}
	return result;
}

int transfer_run(const struct transfer *transfer, json_object **answer, struct error *err)
{
	struct state state = { .transfer = transfer, .stream = STREAM_NONE };

	*answer = NULL;
	state.id = client_send(transfer->client, transfer->method, transfer->params, err);
	if (state.id < 0)
		return (int)state.id;
	int result = open_stream(&state, err);
	if (result == 0) {
		progress_begin(&state.progress, "%s", transfer->what);
		while (result == 0 && !finished(&state))
			result = turn(&state, err);
		progress_end(&state.progress);
	}
	stream_close(&state.stream);
	if (result == 0 && state.refused) {
		*err = state.why;
		result = err->errnum > 0 ? -err->errnum : -EPROTO;
	}
	if (result < 0) {
		json_object_put(state.answer);
		return error_wrap(err, "%s", transfer->method);
	}
	*answer = state.answer;
	return 0;
}
