/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/buf.h"

static void append_and_consume(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_append(&buf, "hello", 5), 0);
	assert_int_equal(buf_append(&buf, NULL, 0), 0);
	assert_int_equal(buf_append(&buf, " world", 6), 0);
	assert_int_equal(buf_length(&buf), 11);
	assert_memory_equal(buf_bytes(&buf), "hello world", 11);
	buf_consume(&buf, 6);
	assert_int_equal(buf_length(&buf), 5);
	assert_memory_equal(buf_bytes(&buf), "world", 5);
	buf_consume(&buf, 5);
	assert_int_equal(buf_length(&buf), 0);
	assert_int_equal(buf.start, 0);
	buf_free(&buf);
	assert_null(buf.data);
}

static void the_limit_counts_what_is_held_and_not_what_has_gone(void **state)
{
	struct buf buf = { .limit = 10 };
	char *room;

	(void)state;
	assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
	assert_int_equal(buf_append(&buf, "x", 1), -EMSGSIZE);
	assert_int_equal(buf_length(&buf), 10);
	assert_memory_equal(buf_bytes(&buf), "0123456789", 10);
	buf_consume(&buf, 4);
	assert_int_equal(buf_room(&buf, 5, &room), -EMSGSIZE);
	assert_int_equal(buf_append(&buf, "abcd", 4), 0);
	assert_memory_equal(buf_bytes(&buf), "456789abcd", 10);
	assert_int_equal(buf_append(&buf, "x", 1), -EMSGSIZE);
	buf_free(&buf);
	assert_int_equal(buf.limit, 10); /* it is the owner's, and stays */
	assert_int_equal(buf_append(&buf, "01234567890", 11), -EMSGSIZE);
	buf_free(&buf);
}

static void absurd_sizes_are_refused_before_any_arithmetic(void **state)
{
	struct buf buf = { 0 };
	char *room;

	(void)state;
	assert_int_equal(buf_append(&buf, "x", 1), 0);
	assert_int_equal(buf_room(&buf, SIZE_MAX, &room), -EMSGSIZE);
	assert_int_equal(buf_room(&buf, SIZE_MAX / 2, &room), -EMSGSIZE);
	assert_int_equal(buf_length(&buf), 1);
	buf_free(&buf);
}

static void room_is_really_there(void **state)
{
	struct buf buf = { 0 };
	char *room;

	(void)state;
	for (size_t size = 1; size < 3000; size += 7) {
		assert_int_equal(buf_room(&buf, size, &room), 0);
		memset(room, 'r', size); /* the address sanitizer looks on */
		buf_filled(&buf, size / 2);
		buf_consume(&buf, size / 3);
	}
	buf_free(&buf);
}

static void a_stream_through_it_does_not_grow_it(void **state)
{
	struct buf buf = { 0 };
	unsigned char next_in = 0, next_out = 0;

	(void)state;
	for (int turn = 0; turn < 10000; turn++) {
		unsigned char piece[100];

		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = next_in++;
		assert_int_equal(buf_append(&buf, piece, sizeof(piece)), 0);
		size_t take = turn % 2 ? buf_length(&buf) - 1 : 50;
		for (size_t i = 0; i < take; i++)
			assert_int_equal((unsigned char)buf_bytes(&buf)[i], next_out++);
		buf_consume(&buf, take);
	}
	assert_true(buf.capacity <= 1024);
	buf_free(&buf);
}

static void one_large_content_is_not_kept_for_ever(void **state)
{
	struct buf buf = { 0 };
	char *room;

	(void)state;
	assert_int_equal(buf_room(&buf, 1 << 20, &room), 0);
	memset(room, 'x', 1 << 20);
	buf_filled(&buf, 1 << 20);
	assert_true(buf.capacity >= 1 << 20);
	buf_consume(&buf, 1 << 20);
	assert_int_equal(buf.capacity, 0);
	assert_int_equal(buf_append(&buf, "again", 5), 0);
	assert_memory_equal(buf_bytes(&buf), "again", 5);
	buf_free(&buf);
}

static void printf_appends_without_the_nul(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_printf(&buf, "%d-%s", 42, "x"), 0);
	assert_int_equal(buf_printf(&buf, "%s", ""), 0);
	assert_int_equal(buf_printf(&buf, "%0500d", 7), 0);
	assert_int_equal(buf_length(&buf), 504);
	assert_memory_equal(buf_bytes(&buf), "42-x000", 7);
	buf_free(&buf);
}

static void printf_past_the_limit_leaves_it_as_it_was(void **state)
{
	struct buf buf = { .limit = 8 };

	(void)state;
	assert_int_equal(buf_printf(&buf, "%s", "abc"), 0);
	assert_int_equal(buf_printf(&buf, "%s", "0123456789"), -EMSGSIZE);
	assert_int_equal(buf_length(&buf), 3);
	assert_memory_equal(buf_bytes(&buf), "abc", 3);
	buf_free(&buf);
}

/* What was consumed, and what is left behind when the content moves to the front, is overwritten. */
static void a_wiped_one_keeps_nothing(void **state)
{
	struct buf buf = { .wipe = true };
	char *room;

	(void)state;
	assert_int_equal(buf_append(&buf, "first-secret\nsecond", 19), 0);
	buf_consume(&buf, 13);
	assert_null(memmem(buf.data, buf.end, "secret", 6));
	assert_memory_equal(buf_bytes(&buf), "second", 6);
	/* To the front, and its old place is empty; then to more memory. */
	assert_int_equal(buf_room(&buf, buf.capacity - 6, &room), 0);
	assert_int_equal(buf.start, 0);
	assert_null(memmem(buf.data + 6, 13, "second", 6));
	assert_int_equal(buf_room(&buf, 100000, &room), 0);
	assert_memory_equal(buf_bytes(&buf), "second", 6);
	buf_consume(&buf, 6);
	buf_free(&buf);
	assert_true(buf.wipe && buf.data == NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_and_consume),
		cmocka_unit_test(the_limit_counts_what_is_held_and_not_what_has_gone),
		cmocka_unit_test(absurd_sizes_are_refused_before_any_arithmetic),
		cmocka_unit_test(room_is_really_there),
		cmocka_unit_test(a_stream_through_it_does_not_grow_it),
		cmocka_unit_test(one_large_content_is_not_kept_for_ever),
		cmocka_unit_test(printf_appends_without_the_nul),
		cmocka_unit_test(printf_past_the_limit_leaves_it_as_it_was),
		cmocka_unit_test(a_wiped_one_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
