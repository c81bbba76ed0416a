/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/undo.h"

struct published {
	struct undo_record records[8];
	size_t count;
	int result;
};

static int publish(void *context, const struct undo_record *record, struct error *err)
{
	struct published *published = context;

	published->records[published->count++] = *record;
	return published->result < 0 ? error_set(err, ERROR_INTERNAL, -published->result, "publish") : 0;
}

static void push_keeps_the_order(void **state)
{
	struct undo undo = { 0 };
	struct error err;
	char name[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "/run/%d", i);
		assert_worked(undo_push(&undo, i % 2 ? UNDO_UMOUNT : UNDO_RMDIR, name, &err), &err);
	}
	assert_int_equal(undo.count, 100);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "/run/%d", i);
		assert_string_equal(undo.records[i].name, name);
		assert_int_equal(undo.records[i].kind, i % 2 ? UNDO_UMOUNT : UNDO_RMDIR);
	}
	undo_free(&undo);
	assert_null(undo.records);
	assert_int_equal(undo.count, 0);
}

static void a_record_is_wholly_defined(void **state)
{
	struct undo undo = { 0 };
	struct error err;
	static const char zeros[UNDO_NAME_MAX];

	(void)state;
	assert_worked(undo_push(&undo, UNDO_RMDIR, "ab", &err), &err);
	/* It goes through a pipe: nothing of the stack or the heap goes with it. */
	assert_memory_equal(undo.records[0].name + 2, zeros, UNDO_NAME_MAX - 2);
	undo_free(&undo);
}

static void a_name_that_does_not_fit_is_refused_and_not_cut(void **state)
{
	struct undo undo = { 0 };
	struct error err;
	char name[UNDO_NAME_MAX + 1];

	(void)state;
	memset(name, 'x', sizeof(name));
	name[UNDO_NAME_MAX] = '\0';
	assert_int_equal(undo_push(&undo, UNDO_RMDIR, name, &err), -ENAMETOOLONG);
	assert_int_equal(undo.count, 0);
	name[UNDO_NAME_MAX - 1] = '\0';
	assert_worked(undo_push(&undo, UNDO_RMDIR, name, &err), &err);
	assert_string_equal(undo.records[0].name, name);
	undo_free(&undo);
}

static void push_publishes_before_it_returns(void **state)
{
	struct published published = { 0 };
	struct undo undo = { .publish = publish, .context = &published };
	struct error err;

	(void)state;
	assert_worked(undo_push(&undo, UNDO_DM_REMOVE, "coffer-x", &err), &err);
	assert_int_equal(published.count, 1);
	assert_int_equal(published.records[0].kind, UNDO_DM_REMOVE);
	assert_string_equal(published.records[0].name, "coffer-x");
	undo_free(&undo);
}

/* When the parent could not be told, the caller must not act: the push fails and nothing stands in the list. */
static void push_fails_when_publishing_does(void **state)
{
	struct published published = { .result = -EPIPE };
	struct undo undo = { .publish = publish, .context = &published };
	struct error err;

	(void)state;
	assert_int_equal(undo_push(&undo, UNDO_DM_REMOVE, "coffer-x", &err), -EPIPE);
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_int_equal(undo.count, 0);
	undo_free(&undo);
}

static void move_appends_and_empties(void **state)
{
	struct undo to = { 0 }, from = { 0 };
	struct error err;

	(void)state;
	assert_worked(undo_push(&to, UNDO_RMDIR, "a", &err), &err);
	assert_worked(undo_push(&from, UNDO_UMOUNT, "b", &err), &err);
	assert_worked(undo_push(&from, UNDO_TREE, "c", &err), &err);
	assert_worked(undo_move(&to, &from, &err), &err);
	assert_int_equal(to.count, 3);
	assert_string_equal(to.records[0].name, "a");
	assert_string_equal(to.records[1].name, "b");
	assert_string_equal(to.records[2].name, "c");
	assert_int_equal(to.records[2].kind, UNDO_TREE);
	assert_int_equal(from.count, 0);
	assert_null(from.records);
	/* An empty list moves too. */
	assert_worked(undo_move(&to, &from, &err), &err);
	assert_int_equal(to.count, 3);
	undo_free(&to);
	assert_worked(undo_move(&to, &from, &err), &err);
	assert_int_equal(to.count, 0);
	undo_free(&to);
}

static void every_kind_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < UNDO_COUNT; a++) {
		const char *name = undo_kind_name((enum undo_kind)a);

		check_row(name && name[0] && strcmp(name, "unknown") != 0, "kind %d", a);
		for (int b = 0; b < a; b++)
			check_row(strcmp(undo_kind_name((enum undo_kind)b), name) != 0, "%s twice", name);
	}
	assert_string_equal(undo_kind_name(UNDO_COUNT), "unknown");
	assert_string_equal(undo_kind_name((enum undo_kind) - 1), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(push_keeps_the_order),
		cmocka_unit_test(a_record_is_wholly_defined),
		cmocka_unit_test(a_name_that_does_not_fit_is_refused_and_not_cut),
		cmocka_unit_test(push_publishes_before_it_returns),
		cmocka_unit_test(push_fails_when_publishing_does),
		cmocka_unit_test(move_appends_and_empties),
		cmocka_unit_test(every_kind_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
