/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/ring.h"

static struct ring ring;
static char big[3 * RING_SIZE], out[3 * RING_SIZE];

static int fresh(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 31 + i / 256);
	return 0;
}

static void a_reader_gets_what_was_written(void **state)
{
	uint64_t position = 0;

	(void)state;
	assert_int_equal(ring_read(&ring, &position, out, 100), 0);
	ring_write(&ring, "one", 3);
	ring_write(&ring, "two", 3);
	assert_int_equal(ring_read(&ring, &position, out, 4), 4);
	assert_memory_equal(out, "onet", 4);
	assert_int_equal(ring_read(&ring, &position, out, 100), 2);
	assert_memory_equal(out, "wo", 2);
	assert_int_equal(position, 6);
	assert_int_equal(ring_read(&ring, &position, out, 100), 0);
}

static void writing_round_the_end(void **state)
{
	uint64_t position = RING_SIZE - 10;

	(void)state;
	ring_write(&ring, big, RING_SIZE - 10);
	ring_write(&ring, big + RING_SIZE - 10, 20);
	assert_int_equal(ring_read(&ring, &position, out, sizeof(out)), 20);
	assert_memory_equal(out, big + RING_SIZE - 10, 20);
	assert_int_equal(position, RING_SIZE + 10);
}

static void what_was_overwritten_is_skipped(void **state)
{
	uint64_t position = 0;

	(void)state;
	ring_write(&ring, big, RING_SIZE);
	ring_write(&ring, big + RING_SIZE, 100);
	assert_int_equal(ring_read(&ring, &position, out, sizeof(out)), RING_SIZE);
	assert_int_equal(position, RING_SIZE + 100);
	assert_memory_equal(out, big + 100, RING_SIZE);
}

static void one_write_of_more_than_all(void **state)
{
	uint64_t position = 7;

	(void)state;
	ring_write(&ring, "before", 6);
	ring_write(&ring, big, 2 * RING_SIZE + 5);
	assert_int_equal(ring.written, 2 * RING_SIZE + 11);
	assert_int_equal(ring_read(&ring, &position, out, sizeof(out)), RING_SIZE);
	assert_memory_equal(out, big + RING_SIZE + 5, RING_SIZE);
}

static void a_full_ring_is_read_whole(void **state)
{
	uint64_t position = 0;

	(void)state;
	ring_write(&ring, big, RING_SIZE);
	assert_int_equal(ring_read(&ring, &position, out, sizeof(out)), RING_SIZE);
	assert_memory_equal(out, big, RING_SIZE);
}

static void a_position_in_the_future_is_brought_back(void **state)
{
	uint64_t position = 1000;

	(void)state;
	ring_write(&ring, "abc", 3);
	assert_int_equal(ring_read(&ring, &position, out, 10), 0);
	assert_int_equal(position, 3);
	ring_write(&ring, "d", 1);
	assert_int_equal(ring_read(&ring, &position, out, 10), 1);
	assert_int_equal(out[0], 'd');
}

/* Pieces of all sizes against the plain stream. */
static void every_byte_in_order(void **state)
{
	uint64_t position = 0, written = 0;
	size_t sent = 0;

	(void)state;
	for (size_t piece = 1; sent + piece < sizeof(big); piece = piece * 5 / 4 + 1) {
		size_t left = piece > RING_SIZE ? RING_SIZE : piece;

		ring_write(&ring, big + sent, left);
		written += left;
		sent += left;
		size_t got = ring_read(&ring, &position, out, sizeof(out));
		assert_int_equal(got, left);
		assert_memory_equal(out, big + sent - left, left);
		assert_int_equal(position, written);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_reader_gets_what_was_written, fresh),
		cmocka_unit_test_setup(writing_round_the_end, fresh),
		cmocka_unit_test_setup(what_was_overwritten_is_skipped, fresh),
		cmocka_unit_test_setup(one_write_of_more_than_all, fresh),
		cmocka_unit_test_setup(a_full_ring_is_read_whole, fresh),
		cmocka_unit_test_setup(a_position_in_the_future_is_brought_back, fresh),
		cmocka_unit_test_setup(every_byte_in_order, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
