/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/sys/copy_tree.c agent/sys/paths.c -Wl,--wrap=fchown */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/copy_tree.h"
#include "sys/paths.h"

static char top[] = "/tmp/coffer-test-XXXXXX";
static struct error err;

static int make_top(void **state)
{
	(void)state;
	return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
	(void)state;
	return rmdir(top);
}

static int fresh(void **state)
{
	(void)state;
	umask(022);
	return chdir(top) == 0 && mkdir("from", 0755) == 0 && mkdir("to", 0755) == 0 ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	umask(022);
	if (chdir("/") < 0)
		return -1;
	int fd = open(top, O_RDONLY | O_DIRECTORY);
	int result = paths_remove_tree(fd, ".", false, &err);
	close(fd);
	return result;
}

static void put(const char *path, const char *bytes, size_t size, mode_t mode)
{
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void assert_file(const char *path, const char *bytes, size_t size, mode_t mode)
{
	auto_free char *got = malloc(size + 1);
	fd_auto fd = open(path, O_RDONLY);
	struct stat status;

	check_row(fd >= 0, "%s", path);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, size);
	check_row((status.st_mode & 07777) == mode, "%s: %o", path, status.st_mode & 07777);
	assert_int_equal(read(fd, got, size + 1), size);
	assert_memory_equal(got, bytes, size);
}

static void assert_link(const char *path, const char *target)
{
	char got[4096] = "";

	assert_int_equal(readlink(path, got, sizeof(got) - 1), strlen(target));
	assert_string_equal(got, target);
}

static void files_links_and_directories(void **state)
{
	static char large[3 * 1024 * 1024 + 17];

	(void)state;
	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)(i * 7 + i / 4096);
	assert_worked(paths_mkdirs("from/a/b/empty", 0755, &err), &err);
	assert_int_equal(chmod("from/a/b", 0700), 0);
	put("from/init", "#!", 2, 0755);
	put("from/a/large", large, sizeof(large), 0640);
	put("from/a/b/nothing", "", 0, 0600);
	assert_int_equal(symlink("usr/lib", "from/lib"), 0);
	assert_int_equal(symlink("/nowhere/../x", "from/a/dangling"), 0);
	assert_int_equal(mkfifo("from/fifo", 0600), 0); /* neither of the three: left out */
	assert_worked(copy_tree("from", "to", &err), &err);
	assert_file("to/init", "#!", 2, 0755);
	assert_file("to/a/large", large, sizeof(large), 0640);
	assert_file("to/a/b/nothing", "", 0, 0600);
	assert_link("to/lib", "usr/lib");
	assert_link("to/a/dangling", "/nowhere/../x");
	struct stat status;
	assert_int_equal(stat("to/a/b", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(stat("to/a/b/empty", &status), 0);
	assert_int_equal(access("to/fifo", F_OK), -1);
	/* The source is as it was. */
	assert_file("from/init", "#!", 2, 0755);
}

static void an_empty_tree(void **state)
{
	(void)state;
	assert_worked(copy_tree("from", "to", &err), &err);
}

static void what_is_there_already(void **state)
{
	(void)state;
	assert_worked(paths_mkdirs("from/etc", 0755, &err), &err);
	assert_worked(paths_mkdirs("to/etc", 0755, &err), &err);
	put("from/etc/a", "a", 1, 0644);
	assert_worked(copy_tree("from", "to", &err), &err); /* a directory may be there */
	assert_file("to/etc/a", "a", 1, 0644);
	assert_true(copy_tree("from", "to", &err) < 0); /* a file may not: nothing is overwritten */
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_int_equal(err.errnum, EEXIST);
}

static void a_link_in_the_target_is_not_followed(void **state)
{
	(void)state;
	assert_worked(paths_mkdirs("elsewhere", 0755, &err), &err);
	assert_worked(paths_mkdirs("from/dir", 0755, &err), &err);
	put("from/dir/file", "x", 1, 0644);
	assert_int_equal(symlink("../elsewhere", "to/dir"), 0);
	assert_true(copy_tree("from", "to", &err) < 0);
	assert_int_equal(access("elsewhere/file", F_OK), -1);
}

static void what_does_not_exist(void **state)
{
	(void)state;
	assert_int_equal(copy_tree("nowhere", "to", &err), -ENOENT);
	assert_int_equal(copy_tree("from", "nowhere", &err), -ENOENT);
	put("file", "x", 1, 0644);
	assert_int_equal(copy_tree("file", "to", &err), -ENOTDIR);
}

static void a_tree_that_is_too_deep(void **state)
{
	char path[512] = "from";

	(void)state;
	for (int i = 0; i < 32; i++)
		strncat(path, "/d", 3);
	assert_worked(paths_mkdirs(path, 0755, &err), &err);
	assert_worked(copy_tree("from", "to", &err), &err);
	strncat(path, "/d/d", 5);
	assert_worked(paths_mkdirs(path, 0755, &err), &err);
	assert_int_equal(copy_tree("from", "to", &err), -ELOOP);
}

/* On one file system only: what is mounted in the source is a place and no content. */
static void mounts_are_left_out(void **state)
{
	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		skip();
	assert_worked(paths_mkdirs("from/proc/x", 0755, &err), &err);
	assert_int_equal(mount("tmpfs", "from/proc", "tmpfs", 0, NULL), 0);
	put("from/proc/file", "x", 1, 0644);
	put("from/file", "x", 1, 0644);
	int result = copy_tree("from", "to", &err);
	assert_int_equal(umount("from/proc"), 0);
	assert_worked(result, &err);
	assert_int_equal(access("to/proc", F_OK), 0);
	assert_int_equal(access("to/proc/file", F_OK), -1);
	assert_int_equal(access("to/file", F_OK), 0);
}

/* As root: owners go along, links' own too, and chown does not cost a program its set-id bits. */
static void owners_and_set_id_bits(void **state)
{
	static const mode_t modes[] = { 04755, 02755, 06711, 01644, 0000, 0777, 04000 };
	struct stat status;
	char name[32];

	(void)state;
	if (geteuid() != 0)
		skip();
	umask(077);
	assert_int_equal(mkdir("from/dir", 0700), 0);
	assert_int_equal(chown("from/dir", 1000, 100), 0);
	assert_int_equal(chmod("from/dir", 03775), 0);
	for (size_t i = 0; i < array_count(modes); i++) {
		snprintf(name, sizeof(name), "from/dir/%zu", i);
		put(name, "x", 1, 0600);
		assert_int_equal(chown(name, (uid_t)(1000 + i), (gid_t)(2000 + i)), 0);
		assert_int_equal(chmod(name, modes[i]), 0);
	}
	assert_int_equal(symlink("0", "from/dir/link"), 0);
	assert_int_equal(lchown("from/dir/link", 3000, 3001), 0);
	assert_worked(copy_tree("from", "to", &err), &err);
	for (size_t i = 0; i < array_count(modes); i++) {
		snprintf(name, sizeof(name), "to/dir/%zu", i);
		assert_int_equal(stat(name, &status), 0);
		check_row((status.st_mode & 07777) == modes[i], "%s: %o, not %o", name, status.st_mode & 07777, modes[i]);
		check_row(status.st_uid == 1000 + i && status.st_gid == 2000 + i, "%s: %u:%u", name, status.st_uid, status.st_gid);
	}
	assert_int_equal(lstat("to/dir/link", &status), 0);
	assert_true(status.st_uid == 3000 && status.st_gid == 3001);
	assert_int_equal(stat("to/dir", &status), 0);
	assert_int_equal(status.st_mode & 07777, 03775);
	assert_true(status.st_uid == 1000 && status.st_gid == 100);
}

/* A directory that is there gets the source's owner and mode; the two that were handed in stay as they are. */
static void directories_that_are_there(void **state)
{
	struct stat status;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir("from/dir", 0711), 0);
	assert_int_equal(chown("from/dir", 5, 6), 0);
	assert_int_equal(mkdir("to/dir", 0700), 0);
	assert_int_equal(chown("from", 7, 8), 0);
	assert_int_equal(chmod("to", 0701), 0);
	assert_worked(copy_tree("from", "to", &err), &err);
	assert_int_equal(stat("to/dir", &status), 0);
	assert_true((status.st_mode & 07777) == 0711 && status.st_uid == 5 && status.st_gid == 6);
	assert_int_equal(stat("to", &status), 0);
	assert_true((status.st_mode & 07777) == 0701 && status.st_uid == 0);
}

static mode_t mode_before_owner;

int __real_fchown(int fd, uid_t uid, gid_t gid);
int __wrap_fchown(int fd, uid_t uid, gid_t gid);

int __wrap_fchown(int fd, uid_t uid, gid_t gid)
{
	struct stat status;

	if (fstat(fd, &status) == 0)
		mode_before_owner |= status.st_mode & 07777;
	return __real_fchown(fd, uid, gid);
}

/* Until it has its owner, a program of somebody's must not be root's, with a set-id bit. */
static void nothing_is_anybodys_before_it_has_its_owner(void **state)
{
	(void)state;
	umask(0);
	assert_int_equal(mkdir("from/dir", 0755), 0);
	assert_int_equal(chmod("from/dir", 06777), 0);
	put("from/dir/program", "x", 1, 06777);
	mode_before_owner = 0;
	assert_worked(copy_tree("from", "to", &err), &err);
	check_row((mode_before_owner & ~0700u) == 0, "%o", mode_before_owner);
	assert_file("to/dir/program", "x", 1, 06777);
}

static void open_directories(void **state)
{
	(void)state;
	assert_worked(paths_mkdirs("from/a", 0755, &err), &err);
	assert_worked(paths_mkdirs("to2", 0755, &err), &err);
	put("from/a/file", "x", 1, 0644);
	fd_auto from = open("from", O_RDONLY | O_DIRECTORY);
	fd_auto to = open("to", O_RDONLY | O_DIRECTORY);
	fd_auto second = open("to2", O_RDONLY | O_DIRECTORY);
	assert_worked(copy_tree_into(from, to, &err), &err);
	assert_file("to/a/file", "x", 1, 0644);
	/* However far the descriptor has been read: from the beginning. */
	assert_worked(copy_tree_into(from, second, &err), &err);
	assert_file("to2/a/file", "x", 1, 0644);
	assert_true(copy_tree_into(-1, to, &err) < 0);
}

static void no_descriptor_is_lost(void **state)
{
	int before = dup(0), after;

	(void)state;
	close(before);
	assert_worked(paths_mkdirs("from/a/b/c", 0755, &err), &err);
	put("from/a/b/file", "x", 1, 0644);
	assert_worked(copy_tree("from", "to", &err), &err);
	assert_true(copy_tree("from", "to", &err) < 0);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_links_and_directories, fresh, clean),
		cmocka_unit_test_setup_teardown(an_empty_tree, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_there_already, fresh, clean),
		cmocka_unit_test_setup_teardown(a_link_in_the_target_is_not_followed, fresh, clean),
		cmocka_unit_test_setup_teardown(what_does_not_exist, fresh, clean),
		cmocka_unit_test_setup_teardown(a_tree_that_is_too_deep, fresh, clean),
		cmocka_unit_test_setup_teardown(mounts_are_left_out, fresh, clean),
		cmocka_unit_test_setup_teardown(owners_and_set_id_bits, fresh, clean),
		cmocka_unit_test_setup_teardown(directories_that_are_there, fresh, clean),
		cmocka_unit_test_setup_teardown(nothing_is_anybodys_before_it_has_its_owner, fresh, clean),
		cmocka_unit_test_setup_teardown(open_directories, fresh, clean),
		cmocka_unit_test_setup_teardown(no_descriptor_is_lost, fresh, clean),
	};

	return cmocka_run_group_tests(tests, make_top, remove_top);
}
