/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/overlay.c agent/sys/paths.c tests/fake/mounts.c tests/fake/modules.c */
/* links: agent/sys/labels.c */
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

static int make_layers(const char *const *names, size_t count)
{
	char path[128];

	for (size_t i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", base, names[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	return 0;
}

#define COMMON "redirect_dir=nofollow,metacopy=off,index=off,volatile"

static void a_mount_of_several_volumes(void **state)
{
	static const char *const lower[] = { "top", "middle", "bottom" };
	char wanted[1024];
	struct stat status;

	(void)state;
	assert_int_equal(make_layers(lower, 3), 0);
	assert_worked(overlay_mount(base, lower, 3, upper, NULL, target, &undo, &err), &err);
	snprintf(wanted, sizeof(wanted),
		 "lowerdir+=%s/top,lowerdir+=%s/middle,lowerdir+=%s/bottom,upperdir=%s/upper,workdir=%s/work," COMMON, base, base,
		 base, upper, upper);
	assert_string_equal(fake_mounts.new_data, wanted);
	assert_string_equal(fake_mounts.new_type, "overlay");
	assert_int_equal(fake_mounts.attached_count, 1);
	assert_int_equal(fake_mounts.mounted_count, 0);
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

/* A kernel without "lowerdir+": each layer by the number of its descriptor, in /proc/self/fd. */
static void an_older_kernel(void **state)
{
	static const char *const lower[] = { "top", "bottom" };
	int first, second, used = 0;
	char wanted[512], folder[64];

	(void)state;
	fake_mounts.new_fails = EINVAL;
	assert_int_equal(make_layers(lower, 2), 0);
	assert_worked(overlay_mount(base, lower, 2, upper, NULL, target, &undo, &err), &err);
	assert_string_equal(fake_mounts.type, "overlay");
	assert_string_equal(fake_mounts.target, target);
	assert_int_equal(sscanf(fake_mounts.data, "lowerdir=%d:%d,%n", &first, &second, &used), 2);
	assert_true(first > 2 && second > 2 && first != second);
	snprintf(wanted, sizeof(wanted), "upperdir=%s/upper,workdir=%s/work," COMMON, upper, upper);
	assert_string_equal(fake_mounts.data + used, wanted);
	/* /proc/self is the process by its number. */
	snprintf(wanted, sizeof(wanted), "/proc/%d/fd", getpid());
	assert_string_equal(fake_mounts.folder, wanted);
	assert_string_equal(getcwd(folder, sizeof(folder)), "/");
}

/* Only a kernel that does not know the option is asked in the older way. */
static void another_error_is_the_answer(void **state)
{
	static const char *const lower[] = { "v" };

	(void)state;
	fake_mounts.new_fails = ENOSPC;
	assert_int_equal(make_layers(lower, 1), 0);
	assert_failed(overlay_mount(base, lower, 1, upper, NULL, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(fake_mounts.mounted_count, 0);
}

static void five_hundred_with_the_longest_names(void **state)
{
	static char names[OVERLAY_LOWER_MAX + 1][65];
	static const char *lower[OVERLAY_LOWER_MAX + 1];
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < array_count(lower); i++) {
		snprintf(names[i], sizeof(names[i]), "%064zu", i);
		lower[i] = names[i];
	}
	assert_int_equal(make_layers(lower, OVERLAY_LOWER_MAX), 0);
	fake_mounts.new_fails = EINVAL;
	assert_worked(overlay_mount(base, lower, OVERLAY_LOWER_MAX, upper, NULL, target, &undo, &err), &err);
	assert_true(strlen(fake_mounts.data) < 4096);
	for (const char *c = fake_mounts.data; *c && *c != ','; c++)
		found += *c == ':';
	assert_int_equal(found, OVERLAY_LOWER_MAX - 1);
	assert_non_null(strstr(fake_mounts.data, ",volatile"));
	for (const char *c = fake_mounts.new_data; (c = strstr(c, "lowerdir+=")); c++)
		found++;
	assert_int_equal(found, 2 * OVERLAY_LOWER_MAX - 1);
	/* One more is an error before anything is made, and never cut. */
	unsigned before = fake_mounts.mounted_count;
	assert_failed(overlay_mount(base, lower, OVERLAY_LOWER_MAX + 1, upper, NULL, target, &undo, &err), &err, ERROR_PARAMS,
		      "lower");
	assert_int_equal(fake_mounts.mounted_count, before);
}

static void what_is_there_already_is_not_taken_over(void **state)
{
	static const char *const lower[] = { "v" };

	(void)state;
	assert_int_equal(make_layers(lower, 1), 0);
	assert_int_equal(mkdir(upper, 0755), 0);
	assert_failed(overlay_mount(base, lower, 1, upper, NULL, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(err.errnum, EEXIST);
	assert_int_equal(fake_mounts.mounted_count, 0);
}

static void a_mount_that_is_refused(void **state)
{
	static const char *const lower[] = { "v" };
	char folder[64];

	(void)state;
	assert_int_equal(make_layers(lower, 1), 0);
	fake_mounts.new_fails = EINVAL;
	fake_mounts.refuse = target;
	assert_failed(overlay_mount(base, lower, 1, upper, NULL, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(undo.count, 3);
	assert_string_equal(getcwd(folder, sizeof(folder)), "/");
}

static void volumes_that_are_nowhere(void **state)
{
	static const char *const lower[] = { "v" };

	(void)state;
	assert_failed(overlay_mount(base, lower, 1, upper, NULL, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(rmdir(base), 0);
	assert_failed(overlay_mount(base, lower, 1, upper, NULL, target, &undo, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(fake_mounts.mounted_count + fake_mounts.new_count, 0);
	assert_int_equal(undo.count, 0);
}

static void a_stack_that_nobody_writes(void **state)
{
	static const char *const lower[] = { "a/tree", "b/tree" };
	const struct overlay overlay = { .base = base, .lower = lower, .count = 2 };
	static const char *const folders[] = { "a", "a/tree", "b", "b/tree" };
	char wanted[512];

	(void)state;
	assert_int_equal(make_layers(folders, 4), 0);
	assert_worked(overlay_stack(&overlay, target, &undo, &err), &err);
	snprintf(wanted, sizeof(wanted), "lowerdir+=%s/a/tree,lowerdir+=%s/b/tree,redirect_dir=nofollow,metacopy=off,index=off",
		 base, base);
	assert_string_equal(fake_mounts.new_data, wanted);
	assert_int_equal(undo.count, 2);
}

static void an_upper_layer_that_lasts(void **state)
{
	static const char *const lower[] = { "v" };
	const struct overlay overlay = { .base = base, .lower = lower, .count = 1, .upper = "/u", .work = "/w", .lasting = true };
	char wanted[512];

	(void)state;
	assert_int_equal(make_layers(lower, 1), 0);
	assert_worked(overlay_stack(&overlay, target, &undo, &err), &err);
	snprintf(wanted, sizeof(wanted), "lowerdir+=%s/v,upperdir=/u,workdir=/w,redirect_dir=nofollow,metacopy=off,index=off",
		 base);
	assert_string_equal(fake_mounts.new_data, wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_mount_of_several_volumes, fresh, clean),
		cmocka_unit_test_setup_teardown(an_older_kernel, fresh, clean),
		cmocka_unit_test_setup_teardown(another_error_is_the_answer, fresh, clean),
		cmocka_unit_test_setup_teardown(five_hundred_with_the_longest_names, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_there_already_is_not_taken_over, fresh, clean),
		cmocka_unit_test_setup_teardown(a_mount_that_is_refused, fresh, clean),
		cmocka_unit_test_setup_teardown(volumes_that_are_nowhere, fresh, clean),
		cmocka_unit_test_setup_teardown(a_stack_that_nobody_writes, fresh, clean),
		cmocka_unit_test_setup_teardown(an_upper_layer_that_lasts, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
