/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/sys/rollback.c agent/sys/paths.c tests/fake/cgroups.c tests/fake/devmapper.c tests/fake/mounts.c */
/* links: tests/fake/links.c tests/fake/swaps.c */
#include "unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fake/cgroups.h"
#include "fake/devmapper.h"
#include "fake/links.h"
#include "fake/mounts.h"
#include "fake/swaps.h"
#include "sys/paths.h"
#include "sys/rollback.h"

static char top[] = "/tmp/coffer-test-XXXXXX";
static struct undo undo;
static struct error err;

static int fresh(void **state)
{
	(void)state;
	memset(&fake_cgroups, 0, sizeof(fake_cgroups));
	memset(&fake_devmapper, 0, sizeof(fake_devmapper));
	memset(&fake_mounts, 0, sizeof(fake_mounts));
	memset(&fake_links, 0, sizeof(fake_links));
	memset(&fake_swaps, 0, sizeof(fake_swaps));
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	return mkdtemp(top) && chdir(top) == 0 ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	undo_free(&undo);
	return chdir("/") == 0 && paths_remove_tree(-1, top, true, &err) == 0 ? 0 : -1;
}

static void push(enum undo_kind kind, const char *name)
{
	assert_worked(undo_push(&undo, kind, name, &err), &err);
}

/* A kind without an action would be a call through a null pointer, in the worker that takes things back. */
static void every_kind_has_an_action(void **state)
{
	(void)state;
	for (int kind = 0; kind < UNDO_COUNT; kind++) {
		push((enum undo_kind)kind, "not/there");
		assert_worked(rollback_run(&undo, &err), &err);
	}
}

static void each_kind_does_its_own(void **state)
{
	(void)state;
	assert_int_equal(mkdir("empty", 0755), 0);
	assert_worked(paths_mkdirs("tree/with/content", 0755, &err), &err);
	push(UNDO_CLAIM, "254:16");
	push(UNDO_RMDIR, "empty");
	push(UNDO_TREE, "tree");
	push(UNDO_UMOUNT, "/run/coffer/volume/v");
	push(UNDO_DM_REMOVE, "coffer-volume-v");
	push(UNDO_CGROUP, "/sys/fs/cgroup/coffer/c");
	push(UNDO_LINK, "veth0");
	push(UNDO_BRIDGE, "pod0");
	push(UNDO_LIMIT, "/sys/fs/cgroup/coffer/c/memory.max=max");
	push(UNDO_SWAPOFF, "/dev/mapper/coffer-scratch-s");
	assert_worked(rollback_run(&undo, &err), &err);
	assert_int_equal(access("empty", F_OK), -1);
	assert_int_equal(access("tree", F_OK), -1);
	assert_int_equal(fake_mounts.unmounted_count, 1);
	assert_string_equal(fake_mounts.unmounted[0], "/run/coffer/volume/v");
	assert_int_equal(fake_devmapper.removed_count, 1);
	assert_string_equal(fake_devmapper.removed[0], "coffer-volume-v");
	assert_string_equal(fake_cgroups.removed, "/sys/fs/cgroup/coffer/c");
	assert_string_equal(fake_cgroups.restored, "/sys/fs/cgroup/coffer/c/memory.max=max");
	assert_string_equal(fake_links.removed, "veth0");
	assert_string_equal(fake_links.removed_bridge, "pod0");
	assert_string_equal(fake_swaps.off, "/dev/mapper/coffer-scratch-s");
	/* The list stays as it was, and may be played again: what is not there has gone. */
	assert_int_equal(undo.count, 10);
	assert_worked(rollback_run(&undo, &err), &err);
}

static void backwards(void **state)
{
	(void)state;
	/* Only backwards are these two gone: the inner directory is made after the outer one. */
	assert_worked(paths_mkdirs("outer/inner", 0755, &err), &err);
	push(UNDO_RMDIR, "outer");
	push(UNDO_RMDIR, "outer/inner");
	push(UNDO_UMOUNT, "first");
	push(UNDO_UMOUNT, "second");
	assert_worked(rollback_run(&undo, &err), &err);
	assert_int_equal(access("outer", F_OK), -1);
	assert_string_equal(fake_mounts.unmounted[0], "second");
	assert_string_equal(fake_mounts.unmounted[1], "first");
}

static void a_failure_does_not_end_it(void **state)
{
	(void)state;
	assert_worked(paths_mkdirs("full/of/things", 0755, &err), &err);
	assert_int_equal(mkdir("empty", 0755), 0);
	push(UNDO_RMDIR, "empty");
	push(UNDO_UMOUNT, "stuck");
	push(UNDO_RMDIR, "full");
	push(UNDO_UMOUNT, "last");
	fake_mounts.refuse = "stuck";
	assert_int_equal(rollback_run(&undo, &err), -ENOTEMPTY);
	/* The first that failed, in the order of undoing, is the one that is told. */
	assert_int_equal(err.code, ERROR_TEARDOWN);
	assert_int_equal(err.errnum, ENOTEMPTY);
	assert_non_null(strstr(err.message, "full"));
	assert_int_equal(access("empty", F_OK), -1);
	assert_int_equal(fake_mounts.unmounted_count, 2);
	assert_int_equal(undo.count, 4);
}

static void whatever_failed_is_a_teardown_that_failed(void **state)
{
	(void)state;
	push(UNDO_UMOUNT, "stuck");
	fake_mounts.refuse = "stuck";
	fake_mounts.refuse_code = ERROR_MOUNT;
	assert_true(rollback_run(&undo, &err) < 0);
	assert_int_equal(err.code, ERROR_TEARDOWN);
}

static void only_what_came_later(void **state)
{
	(void)state;
	assert_int_equal(mkdir("first", 0755), 0);
	assert_int_equal(mkdir("second", 0755), 0);
	push(UNDO_RMDIR, "first");
	assert_worked(rollback_since(&undo, 1, &err), &err);
	push(UNDO_RMDIR, "second");
	assert_worked(rollback_since(&undo, 1, &err), &err);
	assert_worked(rollback_since(&undo, 1, &err), &err); /* what is gone stays gone */
	assert_int_equal(access("first", F_OK), 0);
	assert_int_equal(access("second", F_OK), -1);
	assert_worked(rollback_since(&undo, 0, &err), &err);
	assert_int_equal(access("first", F_OK), -1);
	assert_int_equal(undo.count, 2);
}

static void an_empty_list(void **state)
{
	(void)state;
	assert_worked(rollback_run(&undo, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind_has_an_action, fresh, clean),
		cmocka_unit_test_setup_teardown(each_kind_does_its_own, fresh, clean),
		cmocka_unit_test_setup_teardown(backwards, fresh, clean),
		cmocka_unit_test_setup_teardown(a_failure_does_not_end_it, fresh, clean),
		cmocka_unit_test_setup_teardown(whatever_failed_is_a_teardown_that_failed, fresh, clean),
		cmocka_unit_test_setup_teardown(only_what_came_later, fresh, clean),
		cmocka_unit_test_setup_teardown(an_empty_list, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
