/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/service/objects.c */
#include "unit/test.h"

#include "service/objects.h"

static struct objects objects;
static struct error err;

static int clean(void **state)
{
	(void)state;
	/* From the top: each stands on what comes after it. */
	for (int kind = OBJECT_KINDS; kind-- > 0;) {
		while (objects.lists[kind])
			objects_remove(&objects, objects.lists[kind]);
	}
	memset(&objects, 0, sizeof(objects));
	return 0;
}

static struct object *add(enum object_kind kind, const char *id)
{
	struct object *made = NULL;

	assert_worked(objects_add(&objects, kind, id, sizeof(struct object), &made, &err), &err);
	return made;
}

static void a_new_object(void **state)
{
	struct object *volume = add(OBJECT_VOLUME, "v");

	(void)state;
	assert_int_equal(volume->state, OBJECT_CREATING);
	assert_string_equal(volume->id, "v");
	assert_int_equal(volume->users, 0);
	assert_ptr_equal(objects_find(&objects, OBJECT_VOLUME, "v"), volume);
	assert_null(objects_find(&objects, OBJECT_VOLUME, "w"));
	assert_null(objects_find(&objects, OBJECT_SCRATCH, "v")); /* each kind has its own names */
	assert_int_equal(objects.counts[OBJECT_VOLUME], 1);
}

static void its_memory_is_as_large_as_was_said_and_zero(void **state)
{
	struct object *made;

	(void)state;
	assert_worked(objects_add(&objects, OBJECT_SCRATCH, "s", sizeof(*made) + 1000, &made, &err), &err);
	for (size_t i = sizeof(*made); i < sizeof(*made) + 1000; i++)
		assert_int_equal(((const char *)made)[i], 0);
}

static void an_id_is_taken_from_the_first_moment(void **state)
{
	struct object *made;

	(void)state;
	add(OBJECT_VOLUME, "v");
	assert_failed(objects_add(&objects, OBJECT_VOLUME, "v", sizeof(*made), &made, &err), &err, ERROR_EXISTS, "id");
	assert_int_equal(err.errnum, EEXIST);
	add(OBJECT_SCRATCH, "v");
	add(OBJECT_ROOTFS, "v");
	add(OBJECT_CONTAINER, "v");
	assert_int_equal(objects.counts[OBJECT_VOLUME], 1);
}

static void the_longest_id_is_kept_whole(void **state)
{
	char id[COFFER_ID_MAX + 1];

	(void)state;
	memset(id, 'i', COFFER_ID_MAX);
	id[COFFER_ID_MAX] = '\0';
	struct object *made = add(OBJECT_VOLUME, id);
	assert_string_equal(made->id, id);
	assert_ptr_equal(objects_find(&objects, OBJECT_VOLUME, id), made);
}

static void lists_keep_the_order_of_making(void **state)
{
	struct object *a = add(OBJECT_VOLUME, "a"), *b = add(OBJECT_VOLUME, "b"), *c = add(OBJECT_VOLUME, "c");

	(void)state;
	assert_ptr_equal(objects.lists[OBJECT_VOLUME], a);
	assert_ptr_equal(a->next, b);
	assert_ptr_equal(b->next, c);
	objects_remove(&objects, b);
	assert_ptr_equal(a->next, c);
	assert_null(c->next);
	objects_remove(&objects, a);
	assert_ptr_equal(objects.lists[OBJECT_VOLUME], c);
	assert_int_equal(objects.counts[OBJECT_VOLUME], 1);
}

static void there_are_at_most_so_many(void **state)
{
	struct object *made;
	char id[32];

	(void)state;
	for (unsigned i = 0; i < COFFER_OBJECTS_MAX; i++) {
		snprintf(id, sizeof(id), "%u", i);
		add(OBJECT_VOLUME, id);
	}
	assert_true(objects_add(&objects, OBJECT_VOLUME, "more", sizeof(*made), &made, &err) < 0);
	assert_int_equal(err.code, ERROR_BUSY);
	add(OBJECT_SCRATCH, "other"); /* of each kind */
	objects_remove(&objects, objects_find(&objects, OBJECT_VOLUME, "17"));
	add(OBJECT_VOLUME, "more");
}

static void users_are_counted(void **state)
{
	struct object *volume = add(OBJECT_VOLUME, "v"), *scratch = add(OBJECT_SCRATCH, "s"), *one = add(OBJECT_ROOTFS, "1"),
		      *two = add(OBJECT_ROOTFS, "2");

	(void)state;
	volume->state = scratch->state = OBJECT_READY;
	assert_worked(objects_use(one, volume, &err), &err);
	assert_worked(objects_use(one, volume, &err), &err); /* the same layer twice */
	assert_worked(objects_use(one, scratch, &err), &err);
	assert_worked(objects_use(two, volume, &err), &err);
	assert_int_equal(volume->users, 3);
	assert_int_equal(scratch->users, 1);
	assert_int_equal(one->use_count, 3);
	assert_ptr_equal(one->uses[2], scratch);
	assert_failed(objects_check_removable(volume, &err), &err, ERROR_IN_USE, "");
	objects_remove(&objects, one);
	assert_int_equal(volume->users, 1);
	assert_int_equal(scratch->users, 0);
	assert_worked(objects_check_removable(scratch, &err), &err);
	objects_remove(&objects, two);
	assert_worked(objects_check_removable(volume, &err), &err);
}

static void only_what_is_ready_is_stood_on(void **state)
{
	static const enum object_state states[] = { OBJECT_CREATING, OBJECT_REMOVING, OBJECT_BROKEN };
	struct object *volume = add(OBJECT_VOLUME, "v"), *rootfs = add(OBJECT_ROOTFS, "r");

	(void)state;
	for (size_t i = 0; i < array_count(states); i++) {
		volume->state = states[i];
		assert_failed(objects_use(rootfs, volume, &err), &err, ERROR_STATE, "");
		assert_int_equal(volume->users, 0);
		assert_int_equal(rootfs->use_count, 0);
	}
}

static void what_may_be_removed(void **state)
{
	struct object *volume = add(OBJECT_VOLUME, "v");

	(void)state;
	volume->state = OBJECT_CREATING;
	assert_failed(objects_check_removable(volume, &err), &err, ERROR_STATE, "");
	volume->state = OBJECT_REMOVING;
	assert_failed(objects_check_removable(volume, &err), &err, ERROR_STATE, "");
	volume->state = OBJECT_READY;
	assert_worked(objects_check_removable(volume, &err), &err);
	volume->state = OBJECT_BROKEN; /* once more, when its teardown failed */
	assert_worked(objects_check_removable(volume, &err), &err);
}

static void get_names_the_field(void **state)
{
	struct object *found, *volume = add(OBJECT_VOLUME, "v");

	(void)state;
	assert_worked(objects_get(&objects, OBJECT_VOLUME, "v", "id", &found, &err), &err);
	assert_ptr_equal(found, volume);
	assert_failed(objects_get(&objects, OBJECT_SCRATCH, "v", "scratch", &found, &err), &err, ERROR_NOT_FOUND, "scratch");
	assert_int_equal(err.errnum, ENOENT);
	assert_null(found);
}

static void claims_are_found_in_every_list(void **state)
{
	(void)state;
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		struct object *object = add((enum object_kind)kind, "a");
		char device[16];

		snprintf(device, sizeof(device), "254:%d", kind);
		assert_int_equal(objects_claimed(&objects, device), 0);
		assert_worked(undo_push(&object->teardown, UNDO_RMDIR, device, &err), &err);
		assert_int_equal(objects_claimed(&objects, device), 0); /* a folder of that name is no claim */
		assert_worked(undo_push(&object->teardown, UNDO_CLAIM, device, &err), &err);
		assert_int_equal(objects_claimed(&objects, device), 1);
		objects_remove(&objects, object);
		assert_int_equal(objects_claimed(&objects, device), 0);
	}
}

static void a_disk_and_its_partitions(void **state)
{
	struct object *object = add(OBJECT_VOLUME, "a");

	(void)state;
	assert_worked(undo_push(&object->teardown, UNDO_CLAIM, "254:17@254:16", &err), &err);
	assert_int_equal(objects_claimed(&objects, "254:16"), 1);
	assert_int_equal(objects_claimed(&objects, "254:17@254:16"), 1);
	assert_int_equal(objects_claimed(&objects, "254:18@254:16"), 0);
}

static void kinds_and_states_have_names(void **state)
{
	(void)state;
	for (int kind = 0; kind < OBJECT_KINDS; kind++)
		assert_true(strlen(objects_kind_name((enum object_kind)kind)) > 0);
	/* The protocol's words. */
	assert_string_equal(objects_state_name(OBJECT_CREATING), "creating");
	assert_string_equal(objects_state_name(OBJECT_READY), "ready");
	assert_string_equal(objects_state_name(OBJECT_REMOVING), "removing");
	assert_string_equal(objects_state_name(OBJECT_BROKEN), "broken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_new_object, clean),
		cmocka_unit_test_teardown(its_memory_is_as_large_as_was_said_and_zero, clean),
		cmocka_unit_test_teardown(an_id_is_taken_from_the_first_moment, clean),
		cmocka_unit_test_teardown(the_longest_id_is_kept_whole, clean),
		cmocka_unit_test_teardown(lists_keep_the_order_of_making, clean),
		cmocka_unit_test_teardown(there_are_at_most_so_many, clean),
		cmocka_unit_test_teardown(users_are_counted, clean),
		cmocka_unit_test_teardown(only_what_is_ready_is_stood_on, clean),
		cmocka_unit_test_teardown(what_may_be_removed, clean),
		cmocka_unit_test_teardown(get_names_the_field, clean),
		cmocka_unit_test_teardown(claims_are_found_in_every_list, clean),
		cmocka_unit_test_teardown(a_disk_and_its_partitions, clean),
		cmocka_unit_test(kinds_and_states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
