/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/fs_group.c agent/sys/paths.c */
/* A pod's fsGroup on a real tree.  Changing groups needs root: without it the test says so. */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/fs_group.h"
#include "sys/paths.h"

static char top[] = "/tmp/coffer-test-XXXXXX";
static struct error err;

static const char *in_top(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int fresh(void **state)
{
	(void)state;
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	if (!mkdtemp(top) || mkdir(in_top("dir"), 0700) < 0 || mkdir(in_top("dir/deep"), 0711) < 0)
		return -1;
	close(open(in_top("dir/file"), O_WRONLY | O_CREAT, 0640));
	close(open(in_top("dir/deep/tool"), O_WRONLY | O_CREAT, 0755));
	if (chmod(in_top("dir/deep/tool"), 04755) < 0 || mkfifo(in_top("pipe"), 0600) < 0)
		return -1;
	return symlink("/etc/hostname", in_top("link"));
}

static int clean(void **state)
{
	(void)state;
	return paths_remove_tree(-1, top, true, &err);
}

static void check(const char *name, gid_t gid, mode_t mode)
{
	struct stat status;

	assert_int_equal(lstat(name[0] ? in_top(name) : top, &status), 0);
	check_row(status.st_gid == gid && (status.st_mode & 07777) == mode, "%s: group %u, mode %o", name, status.st_gid,
		  status.st_mode & 07777);
}

static void everything_is_the_group_s(void **state)
{
	const struct fs_group group = { .gid = 1234 };
	struct stat before, after;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(stat("/etc/passwd", &before), 0);
	assert_int_equal(unlink(in_top("link")), 0);
	assert_int_equal(symlink("/etc/passwd", in_top("link")), 0);
	assert_worked(fs_group_apply(top, &group, &err), &err);
	check("", 1234, 02770);
	check("dir", 1234, 02770);
	check("dir/deep", 1234, 02771);
	check("dir/file", 1234, 0660);
	check("pipe", 1234, 0660);
	/* A set-user-ID program of another group's making is not kept alive. */
	check("dir/deep/tool", 1234, 0775);
	/* What a link leads to is somebody else's, and so is the link. */
	assert_int_equal(stat("/etc/passwd", &after), 0);
	assert_int_equal(before.st_gid, after.st_gid);
	assert_int_equal(before.st_mode, after.st_mode);
	check("link", 0, 0777);
}

static void on_a_mismatch_of_the_root_only(void **state)
{
	const struct fs_group group = { .gid = 1234, .on_mismatch_only = true };

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(top, (uid_t)-1, 1234), 0);
	assert_int_equal(chmod(top, 02775), 0);
	assert_worked(fs_group_apply(top, &group, &err), &err);
	check("dir/file", 0, 0640); /* nothing was walked */
	/* The group alone is not enough. */
	assert_int_equal(chmod(top, 0775), 0);
	assert_worked(fs_group_apply(top, &group, &err), &err);
	check("dir/file", 1234, 0660);
}

static void too_deep_is_an_error(void **state)
{
	const struct fs_group group = { .gid = 1234 };
	int folder = open(top, O_PATH | O_DIRECTORY);

	(void)state;
	for (unsigned i = 0; i < FS_GROUP_DEPTH + 2; i++) {
		assert_int_equal(mkdirat(folder, "d", 0700), 0);
		int next = openat(folder, "d", O_PATH | O_DIRECTORY);
		close(folder);
		folder = next;
	}
	close(folder);
	if (geteuid() != 0)
		skip();
	assert_failed(fs_group_apply(top, &group, &err), &err, ERROR_MOUNT, "");
	assert_int_equal(err.errnum, ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_is_the_group_s, fresh, clean),
		cmocka_unit_test_setup_teardown(on_a_mismatch_of_the_root_only, fresh, clean),
		cmocka_unit_test_setup_teardown(too_deep_is_an_error, fresh, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
