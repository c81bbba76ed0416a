/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/frames.c agent/base/frame.c agent/base/buf.c */
#include "unit/test.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "coffer/protocol.h"
#include "layer/frames.h"

static int ours, theirs, reading, writing;
static struct error err;

static int fresh(void **state)
{
	int pair[2], ends[2];

	(void)state;
	memset(&err, 0, sizeof(err));
	signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0 || pipe(ends) < 0)
		return -1;
	ours = pair[0];
	theirs = pair[1];
	reading = ends[0];
	writing = ends[1];
	return 0;
}

static int clean(void **state)
{
	(void)state;
	close_fd(&ours);
	close_fd(&theirs);
	close_fd(&reading);
	close_fd(&writing);
	return 0;
}

static size_t frame(char *at, uint8_t kind, const char *bytes)
{
	const struct coffer_frame header = { .kind = kind, .length = htole32((uint32_t)strlen(bytes)) };

	memcpy(at, &header, COFFER_FRAME_HEADER);
	memcpy(at + COFFER_FRAME_HEADER, bytes, strlen(bytes));
	return COFFER_FRAME_HEADER + strlen(bytes);
}

/* Some of it came with the opening line, in the middle of a frame. */
static void data_come_out_plain(void **state)
{
	char bytes[256], got[64];
	size_t size = frame(bytes, COFFER_DATA, "hello ");

	(void)state;
	size += frame(bytes + size, COFFER_DATA, "world");
	size += frame(bytes + size, COFFER_EOF, "");
	for (size_t early = 0; early <= size; early += 5) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(write(theirs, bytes + early, size - early), (ssize_t)(size - early));
		assert_worked(frames_receive(ours, bytes, early, writing, &err), &err);
		assert_int_equal(read(reading, got, sizeof(got)), 11);
		assert_memory_equal(got, "hello world", 11);
		/* Two frames that say how much was taken. */
		assert_int_equal(read(theirs, got, sizeof(got)), 2 * (COFFER_FRAME_HEADER + 4));
		assert_int_equal(got[1], COFFER_TAKEN);
		assert_int_equal(got[COFFER_FRAME_HEADER], 6);
	}
}

static void a_stream_without_an_end(void **state)
{
	char bytes[64];
	size_t size = frame(bytes, COFFER_DATA, "hello");

	(void)state;
	assert_int_equal(write(theirs, bytes, size), (ssize_t)size);
	close_fd(&theirs);
	assert_failed(frames_receive(ours, NULL, 0, writing, &err), &err, ERROR_LAYER, "");
	assert_int_equal(err.errnum, ECONNRESET);
	assert_non_null(strstr(err.message, "cut off"));
}

static void a_frame_that_is_none(void **state)
{
	static const char bytes[] = { 1, 0, 0, 0, 1, 0, 0, 0, 'x' }; /* channel 1 is ours */

	(void)state;
	assert_failed(frames_receive(ours, bytes, sizeof(bytes), writing, &err), &err, ERROR_LAYER, "");
	assert_int_equal(err.errnum, EPROTO);
}

static void nobody_takes_it(void **state)
{
	char bytes[64];
	size_t size = frame(bytes, COFFER_DATA, "hello");

	(void)state;
	close_fd(&reading);
	assert_failed(frames_receive(ours, bytes, size, writing, &err), &err, ERROR_LAYER, "");
	assert_int_equal(err.errnum, EPIPE);
}

static void what_is_sent(void **state)
{
	static const char wanted[] = { 1, 0, 0, 0, 5, 0, 0, 0, 'h', 'e', 'l', 'l', 'o', 1, 1, 0, 0, 0, 0, 0, 0 };
	char got[64];

	(void)state;
	assert_int_equal(write(writing, "hello", 5), 5);
	close_fd(&writing);
	assert_worked(frames_send(ours, reading, &err), &err);
	assert_int_equal(read(theirs, got, sizeof(got)), sizeof(wanted));
	assert_memory_equal(got, wanted, sizeof(wanted));
	close_fd(&theirs);
	assert_failed(frames_send(ours, reading, &err), &err, ERROR_LAYER, "");
	assert_int_equal(err.errnum, EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(data_come_out_plain, fresh, clean),
		cmocka_unit_test_setup_teardown(a_stream_without_an_end, fresh, clean),
		cmocka_unit_test_setup_teardown(a_frame_that_is_none, fresh, clean),
		cmocka_unit_test_setup_teardown(nobody_takes_it, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_sent, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
