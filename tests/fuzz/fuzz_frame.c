/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/base/frame.c */
/* fuzz: -max_len=200000 */
/*
 * Frames from the host, fed in pieces of any size: what is consumed is what was there, the same frames come out however the stream
 * is cut, and an error stays one whatever follows.  The first byte seeds the sizes of the pieces.
 */
#include "fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "base/frame.h"

struct outcome {
	size_t consumed, frames, bytes;
	uint64_t sum;
	bool failed;
};

/* Takes all frames of `have` bytes, from outcome->consumed on. */
static void take(const char *stream, size_t have, struct outcome *outcome)
{
	while (!outcome->failed) {
		struct frame frame = { 0 };
		size_t left = have - outcome->consumed;
		/* A copy with nothing behind it. */
		char *copy = malloc(left ? left : 1);

		memcpy(copy, stream + outcome->consumed, left);
		long whole = frame_read(copy, left, &frame);
		if (whole > 0) {
			must_hold((size_t)whole <= left);
			must_hold((size_t)whole == COFFER_FRAME_HEADER + frame.length);
			must_hold(frame.length <= COFFER_FRAME_MAX);
			must_hold(frame.bytes == copy + COFFER_FRAME_HEADER);
			for (size_t i = 0; i < frame.length; i++)
				outcome->sum = outcome->sum * 31 + (unsigned char)frame.bytes[i];
			outcome->consumed += (size_t)whole;
			outcome->bytes += frame.length;
			outcome->frames++;
		} else if (whole < 0) {
			must_hold(whole == -EPROTO);
			outcome->failed = true;
		} else {
			/* More is only waited for when it can come. */
			must_hold(left < COFFER_FRAME_HEADER + COFFER_FRAME_MAX);
		}
		free(copy);
		if (whole <= 0)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	const char *stream = (const char *)data + 1;
	uint32_t random = data[0] * 2654435761u + 1;
	struct outcome whole = { 0 }, pieces = { 0 };
	size_t have = 0;

	size--;
	take(stream, size, &whole);
	while (have < size) {
		random = random * 1664525 + 1013904223;
		size_t piece = 1 + (random >> 8) % (data[0] < 128 ? 20 : 5000);

		have = piece < size - have ? have + piece : size;
		take(stream, have, &pieces);
	}
	must_hold(whole.failed == pieces.failed);
	must_hold(whole.consumed == pieces.consumed && whole.frames == pieces.frames);
	must_hold(whole.bytes == pieces.bytes && whole.sum == pieces.sum);
	if (whole.failed) {
		/* Sticky: with anything behind it, it is still an error. */
		struct frame frame;
		char more[64];

		memset(more, data[0], sizeof(more));
		memcpy(more, stream + whole.consumed, COFFER_FRAME_HEADER);
		must_hold(frame_read(more, sizeof(more), &frame) == -EPROTO);
	}
	return 0;
}
