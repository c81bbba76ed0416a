/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/base/frame.c */
#include "unit/test.h"

#include "base/frame.h"

static size_t make(char *out, unsigned channel, unsigned kind, unsigned reserved, uint32_t length, size_t bytes)
{
	const unsigned char header[8] = {
		(unsigned char)channel,         (unsigned char)kind,           (unsigned char)reserved,
		(unsigned char)(reserved >> 8), (unsigned char)(length),       (unsigned char)(length >> 8),
		(unsigned char)(length >> 16),  (unsigned char)(length >> 24),
	};

	memcpy(out, header, 8);
	for (size_t i = 0; i < bytes; i++)
		out[8 + i] = (char)(i * 7);
	return 8 + bytes;
}

static char space[COFFER_FRAME_MAX + 64];

/* With nothing behind the input, so that the address sanitizer sees a read too far. */
static long read_frame(size_t size, struct frame *frame)
{
	char *copy = malloc(size ? size : 1);

	assert_non_null(copy);
	memcpy(copy, space, size);
	long result = frame_read(copy, size, frame);
	if (result > 0) {
		assert_ptr_equal(frame->bytes, copy + 8);
		assert_true(frame->length + 8 <= size);
		assert_memory_equal(frame->bytes, space + 8, frame->length);
	}
	free(copy);
	return result;
}

static void a_frame_at_every_split(void **state)
{
	static const size_t lengths[] = { 1, 2, 7, 8, 9, 300 };
	struct frame frame;

	(void)state;
	for (size_t l = 0; l < array_count(lengths); l++) {
		size_t whole = make(space, COFFER_STDIN, COFFER_DATA, 0, (uint32_t)lengths[l], lengths[l] + 20) - 20;

		for (size_t have = 0; have < whole; have++)
			assert_int_equal(read_frame(have, &frame), 0);
		for (size_t have = whole; have <= whole + 20; have++) {
			assert_int_equal(read_frame(have, &frame), whole);
			assert_int_equal(frame.length, lengths[l]);
		}
	}
}

static void the_largest_frame(void **state)
{
	struct frame frame;
	size_t whole = make(space, COFFER_STDIN, COFFER_DATA, 0, COFFER_FRAME_MAX, COFFER_FRAME_MAX);

	(void)state;
	assert_int_equal(COFFER_FRAME_MAX, 65536);
	assert_int_equal(read_frame(whole - 1, &frame), 0);
	assert_int_equal(read_frame(whole, &frame), whole);
	assert_int_equal(frame.length, COFFER_FRAME_MAX);
}

static void end_of_file(void **state)
{
	struct frame frame = { .length = 99 };
	size_t whole = make(space, COFFER_STDIN, COFFER_EOF, 0, 0, 0);

	(void)state;
	assert_int_equal(read_frame(7, &frame), 0);
	assert_int_equal(read_frame(whole, &frame), 8);
	assert_int_equal(frame.length, 0);
}

/* Refused as soon as the header is there, before anything of it is waited for. */
static void what_is_refused(void **state)
{
	static const struct {
		unsigned channel, kind, reserved;
		uint32_t length;
	} bad[] = {
		{ COFFER_STDOUT, COFFER_DATA, 0, 1 },
		{ COFFER_STDERR, COFFER_DATA, 0, 1 },
		{ COFFER_LOG, COFFER_DATA, 0, 1 },
		{ COFFER_STDOUT, COFFER_EOF, 0, 0 },
		{ 4, COFFER_DATA, 0, 1 },
		{ 255, COFFER_DATA, 0, 1 },
		{ COFFER_STDIN, 2, 0, 1 },
		{ COFFER_STDIN, 2, 0, 0 },
		{ COFFER_STDIN, 255, 0, 1 },
		{ COFFER_STDIN, COFFER_DATA, 1, 1 },
		{ COFFER_STDIN, COFFER_DATA, 0x100, 1 },
		{ COFFER_STDIN, COFFER_EOF, 1, 0 },
		{ COFFER_STDIN, COFFER_DATA, 0, 0 },
		{ COFFER_STDIN, COFFER_DATA, 0, COFFER_FRAME_MAX + 1 },
		{ COFFER_STDIN, COFFER_DATA, 0, 0x80000000u },
		{ COFFER_STDIN, COFFER_DATA, 0, UINT32_MAX },
		{ COFFER_STDIN, COFFER_EOF, 0, 1 },
		{ COFFER_STDIN, COFFER_EOF, 0, UINT32_MAX },
	};
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < array_count(bad); i++) {
		make(space, bad[i].channel, bad[i].kind, bad[i].reserved, bad[i].length, 8);
		for (size_t have = 0; have < 8; have++)
			check_row(read_frame(have, &frame) == 0, "row %zu at %zu", i, have);
		for (size_t have = 8; have <= 16; have++)
			check_row(read_frame(have, &frame) == -EPROTO, "row %zu at %zu", i, have);
	}
}

/* Every one-byte header field, against the rule in words. */
static void every_channel_and_kind(void **state)
{
	struct frame frame;

	(void)state;
	for (unsigned channel = 0; channel < 256; channel++) {
		for (unsigned kind = 0; kind < 256; kind++) {
			size_t bytes = kind == COFFER_EOF ? 0 : 1;

			make(space, channel, kind, 0, (uint32_t)bytes, bytes);
			long wanted = channel == 0 && kind <= 1 ? (long)(8 + bytes) : -EPROTO;
			check_row(read_frame(8 + bytes, &frame) == wanted, "channel %u kind %u", channel, kind);
		}
	}
}

static void headers_that_are_written(void **state)
{
	char header[COFFER_FRAME_HEADER + 1];

	(void)state;
	memset(header, 0x55, sizeof(header));
	frame_header(header, COFFER_STDERR, COFFER_DATA, 0x010203);
	assert_memory_equal(header, "\x02\x00\x00\x00\x03\x02\x01\x00\x55", sizeof(header));
	frame_header(header, COFFER_STDOUT, COFFER_EOF, 0);
	assert_memory_equal(header, "\x01\x01\x00\x00\x00\x00\x00\x00\x55", sizeof(header));
	assert_int_equal(sizeof(struct coffer_frame), COFFER_FRAME_HEADER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_at_every_split),
		cmocka_unit_test(the_largest_frame),
		cmocka_unit_test(end_of_file),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(every_channel_and_kind),
		cmocka_unit_test(headers_that_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
