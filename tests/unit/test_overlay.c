/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/overlay.c agent/sys/paths.c tests/fake/mounts.c tests/fake/modules.c */
#include "unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "fake/mounts.h"
#include "storage/overlay.h"
#include "sys/paths.h"

static char top[] = "/tmp/coffer-test-XXXXXX";
static char base[64], upper[64], target[64];
static struct undo undo;
static struct error err;

static int fresh(void **state)
{
	(void)state;
	memset(&fake_mounts, 0, sizeof(fake_mounts));
	memset(&err, 0, sizeof(err));
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	if (!mkdtemp(top))
		return -1;
	snprintf(base, sizeof(base), "%s/volumes", top);
	snprintf(upper, sizeof(upper), "%s/upper", top);
	snprintf(target, sizeof(target), "%s/target", top);
	return mkdir(base, 0755);
}

static int clean(void **state)
{
	(void)state;
	undo_free(&undo);
	return paths_remove_tree(-1, top, true, &err);
}

static void a_mount_of_several_volumes(void **state)
{
	static const char *const lower[] = { "top", "middle", "bottom" };
	char wanted[512];
	struct stat status;

	(void)state;
	assert_worked(overlay_mount(base, lower, 3, upper, target, &undo, &err), &err);
	snprintf(wanted, sizeof(wanted), "lowerdir=top:middle:bottom,upperdir=%s/upper,workdir=%s/work,volatile", upper, upper);
	assert_string_equal(fake_mounts.data, wanted);
	assert_string_equal(fake_mounts.type, "overlay");
	assert_string_equal(fake_mounts.target, target);
	/* Lower names are relative to the folder of the volumes; the worker stands in / again afterwards. */
	assert_string_equal(fake_mounts.folder, base);
	char folder[64];
	assert_string_equal(getcwd(folder, sizeof(folder)), "/");
	/* The upper directory becomes the container's "/", the others are the agent's. */
	snprintf(wanted, sizeof(wanted), "%s/upper", upper);
	assert_int_equal(stat(wanted, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0755);
	assert_int_equal(stat(upper, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	/* Records in the order of the acts. */
	assert_int_equal(undo.count, 3);
	assert_int_equal(undo.records[0].kind, UNDO_TREE);
	assert_string_equal(undo.records[0].name, upper);
	assert_int_equal(undo.records[1].kind, UNDO_RMDIR);
	assert_string_equal(undo.records[1].name, target);
	assert_int_equal(undo.records[2].kind, UNDO_UMOUNT);
	assert_string_equal(undo.records[2].name, target);
}

static void one_volume(void **state)
{
	static const char *const lower[] = { "v" };

	(void)state;
	assert_worked(overlay_mount(base, lower, 1, upper, target, &undo, &err), &err);
	assert_int_equal(strncmp(fake_mounts.data, "lowerdir=v,upperdir=", 20), 0);
}

/* mount(2) takes a page: what does not fit is an error, before anything is made, and never cut. */
static void options_that_do_not_fit(void **state)
{
	static const char *lower[64];
	static const char name[] = "0123456789012345678901234567890123456789012345678901234567890123";

	(void)state;
	for (size_t i = 0; i < array_count(lower); i++)
		lower[i] = name;
	assert_failed(overlay_mount(base, lower, 64, upper, target, &undo, &err), &err, ERROR_PARAMS, "lower");
	assert_int_equal(fake_mounts.mounted_count, 0);
	assert_int_equal(undo.count, 0);
	assert_int_equal(access(upper, F_OK), -1);
	/* 60 of the longest names do fit. */
	assert_worked(overlay_mount(base, lower, 60, upper, target, &undo, &err), &err);
	assert_true(strlen(fake_mounts.data) < 4096);
	assert_non_null(strstr(fake_mounts.data, ",volatile"));
}

static void what_is_there_already_is_not_taken_over(void **state)
{
	static const char *const lower[] = { "v" };

	(void)state;
	assert_int_equal(mkdir(upper, 0755), 0);
	assert_failed(overlay_mount(base, lower, 1, upper, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(err.errnum, EEXIST);
	assert_int_equal(fake_mounts.mounted_count, 0);
}

static void a_mount_that_is_refused(void **state)
{
	static const char *const lower[] = { "v" };
	char folder[64];

	(void)state;
	fake_mounts.refuse = target;
	assert_failed(overlay_mount(base, lower, 1, upper, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(undo.count, 3);
	assert_string_equal(getcwd(folder, sizeof(folder)), "/");
}

static void volumes_that_are_nowhere(void **state)
{
	static const char *const lower[] = { "v" };

	(void)state;
	assert_int_equal(rmdir(base), 0);
	assert_failed(overlay_mount(base, lower, 1, upper, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(fake_mounts.mounted_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_mount_of_several_volumes, fresh, clean),
		cmocka_unit_test_setup_teardown(one_volume, fresh, clean),
		cmocka_unit_test_setup_teardown(options_that_do_not_fit, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_there_already_is_not_taken_over, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mount_that_is_refused, fresh, clean),
		cmocka_unit_test_setup_teardown(volumes_that_are_nowhere, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
