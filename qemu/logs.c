/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "qemu/commands.h"
#include "qemu/lines.h"
#include "qemu/stream.h"

/* The protocol does not mark where the kept records end and new ones begin: without --follow a silence this long ends it. */
#define LOGS_SILENCE_MS 300

struct ended {
	bool channels[COFFER_LOG + 1];
};

/* Prints every whole or partial frame that has arrived. */
static int print_frames(struct stream *stream, struct ended *ended, struct error *err)
{
	const char *bytes;
	size_t size;
	int result;

	for (result = stream_head(stream, &bytes, &size, err); result > 0; result = stream_head(stream, &bytes, &size, err)) {
		FILE *to = stream->channel == COFFER_STDERR ? stderr : stdout;

		if (size == 0)
			ended->channels[stream->channel] = true;
		else if (fwrite(bytes, 1, size, to) != size)
			return error_set(err, ERROR_HOST, errno, "write the log");
		stream_take(stream, size);
	}
	if (fflush(stdout) != 0)
		return error_set(err, ERROR_HOST, errno, "write the log");
	return result;
}

int logs_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct stream stream = STREAM_NONE;
	struct ended ended = { 0 };
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0)
		result = stream_open(&vm, options->word_count > 1 ? options->words[1] : NULL, NULL, &stream, err);
	while (result == 0) {
		result = print_frames(&stream, &ended, err);
		bool both = ended.channels[COFFER_STDOUT] && (stream.terminal || ended.channels[COFFER_STDERR]);
		if (result < 0 || stream.closed || both || ended.channels[COFFER_LOG])
			break;
		int64_t end = options->follow ? INT64_MAX : process_now() + LOGS_SILENCE_MS;
		if (lines_wait(stream.fd, POLLIN, end, err) < 0)
			break;
		result = stream_receive(&stream, err);
	}
	stream_close(&stream);
	return result;
}
