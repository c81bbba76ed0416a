/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/sys/paths.c */
/* Paths in a tree that somebody else filled: real trees on a tmpfs, in a mount namespace of the test's own. */
#include "unit/test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/paths.h"

static char top[] = "/tmp/coffer-test-XXXXXX";
static int root = -1;
static struct error err;

/* top/root is the tree; top/outside is what must stay as it is. */
static int make_top(void **state)
{
	(void)state;
	if (!mkdtemp(top) || mount("tmpfs", top, "tmpfs", 0, "mode=0755") < 0)
		return -1;
	return 0;
}

static int remove_top(void **state)
{
	(void)state;
	if (umount2(top, MNT_DETACH) == 0)
		rmdir(top);
	return 0;
}

static void make_file(const char *path, const char *text)
{
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int fresh(void **state)
{
	(void)state;
	if (chdir(top) < 0 || mkdir("root", 0755) < 0 || mkdir("outside", 0755) < 0)
		return -1;
	make_file("outside/secret", "outside");
	root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root >= 0 ? 0 : -1;
}

static int clean(void **state)
{
	char text[16] = "";

	(void)state;
	close_fd(&root);
	/* Whatever the case did, it did it inside. */
	fd_auto secret = open("outside/secret", O_RDONLY);
	if (secret < 0 || read(secret, text, sizeof(text) - 1) != 7 || strcmp(text, "outside") != 0)
		return -1;
	if (access("outside/made", F_OK) == 0 || access("made", F_OK) == 0)
		return -1;
	/* The next case begins with an empty file system. */
	if (chdir("/") < 0 || umount2(top, MNT_DETACH) < 0)
		return -1;
	return mount("tmpfs", top, "tmpfs", 0, "mode=0755");
}

/* What the descriptor is, by its content (a file) or its name below the root (a directory). */
static void assert_is(int fd, const char *path)
{
	struct stat got, wanted;

	check_row(fd >= 0, "%s: %s", path, err.message);
	assert_int_equal(fstat(fd, &got), 0);
	assert_int_equal(stat(path, &wanted), 0);
	check_row(got.st_dev == wanted.st_dev && got.st_ino == wanted.st_ino, "not %s", path);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
}

static void open_stays_inside(void **state)
{
	(void)state;
	mkdir("root/etc", 0755);
	make_file("root/etc/passwd", "inside");
	make_file("root/secret", "inside");
	mkdir("root/outside", 0755);
	make_file("root/outside/secret", "inside");
	assert_int_equal(symlink("/etc/passwd", "root/absolute"), 0);
	assert_int_equal(symlink("../../../../../../secret", "root/etc/up"), 0);
	assert_int_equal(symlink("/outside", "root/etc/link"), 0);
	assert_int_equal(symlink("../outside/secret", "root/relative"), 0);
	assert_int_equal(symlink("/", "root/etc/slash"), 0);
	assert_is(paths_open(root, "/etc/passwd", O_RDONLY, &err), "root/etc/passwd");
	assert_is(paths_open(root, "etc/passwd", O_RDONLY, &err), "root/etc/passwd");
	assert_is(paths_open(root, "//etc/./passwd", O_RDONLY, &err), "root/etc/passwd");
	assert_is(paths_open(root, "/../../../etc/passwd", O_RDONLY, &err), "root/etc/passwd");
	assert_is(paths_open(root, "absolute", O_RDONLY, &err), "root/etc/passwd");
	assert_is(paths_open(root, "etc/up", O_RDONLY, &err), "root/secret");
	assert_is(paths_open(root, "etc/link/secret", O_RDONLY, &err), "root/outside/secret");
	assert_is(paths_open(root, "etc/link/../secret", O_RDONLY, &err), "root/secret");
	assert_is(paths_open(root, "relative", O_RDONLY, &err), "root/outside/secret");
	assert_is(paths_open(root, "etc/slash/etc/slash/secret", O_RDONLY, &err), "root/secret");
	assert_is(paths_open(root, "..", O_PATH, &err), "root");
	assert_is(paths_open(root, "/", O_PATH, &err), "root");
}

static void what_cannot_be_opened(void **state)
{
	(void)state;
	make_file("root/file", "x");
	assert_int_equal(symlink("nowhere", "root/dangling"), 0);
	assert_int_equal(symlink("loop", "root/loop"), 0);
	assert_int_equal(symlink("b", "root/a"), 0);
	assert_int_equal(symlink("a", "root/b"), 0);
	assert_int_equal(paths_open(root, "nowhere", O_RDONLY, &err), -ENOENT);
	assert_int_equal(err.code, ERROR_CONTAINER);
	assert_int_equal(paths_open(root, "dangling", O_RDONLY, &err), -ENOENT);
	assert_int_equal(paths_open(root, "loop", O_RDONLY, &err), -ELOOP);
	assert_int_equal(paths_open(root, "a", O_RDONLY, &err), -ELOOP);
	assert_int_equal(paths_open(root, "file/x", O_RDONLY, &err), -ENOTDIR);
	assert_int_equal(paths_open(root, "file", O_PATH | O_DIRECTORY, &err), -ENOTDIR);
	assert_int_equal(paths_open(root, "", O_RDONLY, &err), -ENOENT);
	assert_int_equal(paths_open(root, "a", O_PATH | O_NOFOLLOW, &err) >= 0, 1);
}

/* /proc/self/root and the like lead out by magic and not by name. */
static void magic_links_are_not_followed(void **state)
{
	char path[64];

	(void)state;
	mkdir("root/proc", 0755);
	if (mount("proc", "root/proc", "proc", 0, NULL) < 0)
		skip();
	assert_int_equal(paths_open(root, "proc/self/root/etc/passwd", O_RDONLY, &err), -ELOOP);
	assert_int_equal(paths_open(root, "proc/self/cwd/outside/secret", O_RDONLY, &err), -ELOOP);
	fd_auto outside = open("outside/secret", O_RDONLY);
	snprintf(path, sizeof(path), "proc/self/fd/%d", outside);
	assert_int_equal(paths_open(root, path, O_RDONLY, &err), -ELOOP);
}

static void directories_are_made_inside(void **state)
{
	(void)state;
	mkdir("root/real", 0755);
	assert_int_equal(symlink("/real", "root/link"), 0);
	assert_int_equal(symlink("../../../../outside", "root/out"), 0);
	mkdir("root/outside", 0755);
	assert_is(paths_make_directory(root, "/a/b/c", 0755, &err), "root/a/b/c");
	assert_is(paths_make_directory(root, "d", 0700, &err), "root/d");
	assert_is(paths_make_directory(root, "/e//f/", 0755, &err), "root/e/f");
	assert_is(paths_make_directory(root, "/a/b", 0755, &err), "root/a/b");
	assert_is(paths_make_directory(root, "/", 0755, &err), "root");
	assert_is(paths_make_directory(root, "", 0755, &err), "root");
	assert_is(paths_make_directory(root, "/link/x/y", 0755, &err), "root/real/x/y");
	assert_is(paths_make_directory(root, "/out/made", 0755, &err), "root/outside/made");
	assert_is(paths_make_directory(root, "../../made-above", 0755, &err), "root/made-above");
	assert_is(paths_make_directory(root, "a/../../made-beside", 0755, &err), "root/made-beside");
	struct stat status;
	assert_int_equal(stat("root/d", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
}

static void directories_that_cannot_be_made(void **state)
{
	char path[5000];

	(void)state;
	make_file("root/file", "x");
	assert_int_equal(symlink("/../outside/made", "root/dangling"), 0);
	assert_int_equal(symlink("loop", "root/loop"), 0);
	assert_int_equal(paths_make_directory(root, "file/x", 0755, &err), -ENOTDIR);
	assert_int_equal(paths_make_directory(root, "file", 0755, &err), -ENOTDIR);
	assert_int_equal(err.code, ERROR_CONTAINER);
	/* Nothing is made where a dangling link points, inside or outside. */
	assert_true(paths_make_directory(root, "dangling", 0755, &err) < 0);
	assert_true(paths_make_directory(root, "dangling/x", 0755, &err) < 0);
	assert_int_equal(access("root/outside", F_OK), -1);
	assert_int_equal(paths_make_directory(root, "loop/x", 0755, &err), -ELOOP);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_true(paths_make_directory(root, path, 0755, &err) < 0);
	path[300] = '\0';
	assert_int_equal(paths_make_directory(root, path, 0755, &err), -ENAMETOOLONG);
}

static void files_are_made_inside(void **state)
{
	struct stat status;

	(void)state;
	mkdir("root/outside", 0755);
	make_file("root/there", "content");
	assert_int_equal(symlink("/there", "root/link"), 0);
	assert_int_equal(symlink("../../outside", "root/out"), 0);
	assert_is(paths_make_file(root, "/a/b/file", 0640, &err), "root/a/b/file");
	assert_int_equal(stat("root/a/b/file", &status), 0);
	assert_true(S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0640 && status.st_size == 0);
	assert_is(paths_make_file(root, "file", 0644, &err), "root/file");
	assert_is(paths_make_file(root, "/there", 0644, &err), "root/there");
	assert_int_equal(stat("root/there", &status), 0);
	assert_int_equal(status.st_size, 7); /* as it was */
	assert_is(paths_make_file(root, "/link", 0644, &err), "root/there");
	assert_is(paths_make_file(root, "/out/made", 0644, &err), "root/outside/made");
}

static void files_that_cannot_be_made(void **state)
{
	(void)state;
	make_file("root/file", "x");
	assert_int_equal(symlink("/../outside/made", "root/dangling"), 0);
	assert_true(paths_make_file(root, "dangling", 0644, &err) < 0);
	assert_int_equal(access("root/outside", F_OK), -1);
	assert_true(paths_make_file(root, "new/", 0644, &err) < 0);
	assert_true(paths_make_file(root, "new/..", 0644, &err) < 0);
	assert_true(paths_make_file(root, "new/.", 0644, &err) < 0);
	assert_int_equal(paths_make_file(root, "file/x", 0644, &err), -ENOTDIR);
}

static void the_parent_and_the_name(void **state)
{
	static const char *const refused[] = { "/", "", ".", "..", "a/", "a/.", "a/..", "/.." };
	const char *name;

	(void)state;
	assert_is(paths_open_parent(root, "/a/b/c", &name, &err), "root/a/b");
	assert_string_equal(name, "c");
	assert_is(paths_open_parent(root, "c", &name, &err), "root");
	assert_string_equal(name, "c");
	assert_is(paths_open_parent(root, "/c", &name, &err), "root");
	assert_is(paths_open_parent(root, "../../x/c", &name, &err), "root/x");
	assert_is(paths_open_parent(root, "/a/...", &name, &err), "root/a");
	for (size_t i = 0; i < array_count(refused); i++)
		check_row(paths_open_parent(root, refused[i], &name, &err) == -EINVAL, "accepted: %s", refused[i]);
}

static void own_directories(void **state)
{
	struct stat status;

	(void)state;
	assert_worked(paths_mkdirs("own/a/b/c", 0700, &err), &err);
	assert_worked(paths_mkdirs("own/a/b/c", 0700, &err), &err);
	assert_worked(paths_mkdirs("own/a/b/d/", 0755, &err), &err);
	assert_int_equal(stat("own/a/b/c", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_int_equal(access("own/a/b/d", F_OK), 0);
	make_file("own/file", "x");
	assert_int_equal(paths_mkdirs("own/file/x", 0755, &err), -ENOTDIR);
	assert_int_equal(err.code, ERROR_INTERNAL);
}

/* ---- removal ---- */

static void an_ordinary_tree_goes(void **state)
{
	char path[64];

	(void)state;
	assert_worked(paths_mkdirs("tree/a/b/c", 0755, &err), &err);
	assert_worked(paths_mkdirs("tree/d", 0755, &err), &err);
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "tree/a/b/file-%d", i);
		make_file(path, "x");
	}
	assert_int_equal(symlink("../outside", "tree/link"), 0);
	assert_int_equal(symlink("/nowhere", "tree/d/dangling"), 0);
	assert_int_equal(mkfifo("tree/d/fifo", 0600), 0);
	assert_int_equal(mkdir("tree/locked", 0), 0);
	assert_worked(paths_remove_tree(AT_FDCWD, "tree", true, &err), &err);
	assert_int_equal(access("tree", F_OK), -1);
	assert_int_equal(access("outside/secret", F_OK), 0);
}

static void the_directory_itself_may_stay(void **state)
{
	(void)state;
	assert_worked(paths_mkdirs("tree/a/b", 0755, &err), &err);
	assert_worked(paths_remove_tree(AT_FDCWD, "tree", false, &err), &err);
	assert_int_equal(access("tree", F_OK), 0);
	assert_int_equal(rmdir("tree"), 0);
	/* By a descriptor and ".", as the initial ramfs is emptied. */
	assert_worked(paths_mkdirs("tree/a/b", 0755, &err), &err);
	fd_auto fd = open("tree", O_RDONLY | O_DIRECTORY);
	assert_worked(paths_remove_tree(fd, ".", false, &err), &err);
	assert_int_equal(rmdir("tree"), 0);
}

static void what_is_not_there_has_gone(void **state)
{
	(void)state;
	assert_worked(paths_remove_tree(AT_FDCWD, "nowhere", true, &err), &err);
	assert_worked(paths_remove_tree(AT_FDCWD, "no/where", true, &err), &err);
}

static void what_is_no_directory_is_not_removed(void **state)
{
	(void)state;
	make_file("file", "x");
	assert_int_equal(symlink("outside", "link"), 0);
	assert_true(paths_remove_tree(AT_FDCWD, "file", true, &err) < 0);
	assert_int_equal(err.code, ERROR_TEARDOWN);
	assert_true(paths_remove_tree(AT_FDCWD, "link", true, &err) < 0);
	assert_int_equal(access("file", F_OK), 0);
}

/* A container decides how deep: deeper than any path, any stack and any number of descriptors. */
static void a_tree_of_20000_levels(void **state)
{
	int at = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(mkdirat(at, "tree", 0755), 0);
	for (int i = 0; i < 20000; i++) {
		int next = openat(at, i ? "d" : "tree", O_RDONLY | O_DIRECTORY);

		assert_true(next >= 0);
		close(at);
		at = next;
		assert_int_equal(mkdirat(at, "d", 0755), 0);
		if (i % 1000 == 0)
			close(openat(at, "file", O_WRONLY | O_CREAT, 0600));
	}
	close(at);
	assert_worked(paths_remove_tree(AT_FDCWD, "tree", true, &err), &err);
	assert_int_equal(access("tree", F_OK), -1);
}

static void mounted(const char *path)
{
	char file[128];

	assert_worked(paths_mkdirs(path, 0755, &err), &err);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	snprintf(file, sizeof(file), "%s/kept", path);
	make_file(file, "kept");
}

/* What is behind a mount is not ours: it stays, all else goes, and the walk ends. */
static void mounts_are_left_alone(void **state)
{
	static const char *const places[] = { "tree/mount", "tree/a/mount", "tree/a/b/c/mount" };

	(void)state;
	for (size_t i = 0; i < array_count(places); i++) {
		char kept[128];

		mounted(places[i]);
		assert_worked(paths_mkdirs("tree/0/before/x", 0755, &err), &err);
		assert_worked(paths_mkdirs("tree/a/0/x", 0755, &err), &err);
		assert_worked(paths_mkdirs("tree/a/z/x", 0755, &err), &err);
		assert_worked(paths_mkdirs("tree/z/behind/x", 0755, &err), &err);
		make_file("tree/file", "x");
		make_file("tree/z/file", "x");
		alarm(20); /* not for ever */
		assert_true(paths_remove_tree(AT_FDCWD, "tree", true, &err) < 0);
		alarm(0);
		assert_int_equal(err.code, ERROR_TEARDOWN);
		snprintf(kept, sizeof(kept), "%s/kept", places[i]);
		check_row(access(kept, F_OK) == 0, "%s", kept);
		check_row(access("tree/0", F_OK) < 0 && access("tree/z", F_OK) < 0 && access("tree/file", F_OK) < 0,
			  "%s: beside it", places[i]);
		check_row(access("tree/a/0", F_OK) < 0 && access("tree/a/z", F_OK) < 0, "%s: near it", places[i]);
		assert_int_equal(umount(places[i]), 0);
		assert_worked(paths_remove_tree(AT_FDCWD, "tree", true, &err), &err);
	}
}

static void many_mounts_in_many_places(void **state)
{
	char path[128];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "tree/%d/x/%d/mount", i % 10, i);
		mounted(path);
		snprintf(path, sizeof(path), "tree/%d/x/%d/gone", i % 10, i);
		assert_worked(paths_mkdirs(path, 0755, &err), &err);
	}
	alarm(20);
	assert_true(paths_remove_tree(AT_FDCWD, "tree", true, &err) < 0);
	alarm(0);
	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "tree/%d/x/%d/mount/kept", i % 10, i);
		assert_int_equal(access(path, F_OK), 0);
		snprintf(path, sizeof(path), "tree/%d/x/%d/gone", i % 10, i);
		check_row(access(path, F_OK) < 0, "%s", path);
	}
}

static void no_descriptor_is_lost(void **state)
{
	int before = dup(root), after;
	const char *name;

	(void)state;
	close(before);
	assert_worked(paths_mkdirs("tree/a/b/c", 0755, &err), &err);
	assert_worked(paths_remove_tree(AT_FDCWD, "tree", true, &err), &err);
	close(paths_make_directory(root, "a/b/c", 0755, &err));
	close(paths_make_file(root, "a/f/g", 0644, &err));
	close(paths_make_file(root, "a/b", 0644, &err));
	close(paths_open_parent(root, "x/y/z", &name, &err));
	/* And none by a failure half way. */
	assert_true(paths_make_directory(root, "a/f/g/h", 0755, &err) < 0);
	assert_true(paths_make_file(root, "a/f/g/h", 0755, &err) < 0);
	after = dup(root);
	close(after);
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(open_stays_inside, fresh, clean),
		cmocka_unit_test_setup_teardown(what_cannot_be_opened, fresh, clean),
		cmocka_unit_test_setup_teardown(magic_links_are_not_followed, fresh, clean),
		cmocka_unit_test_setup_teardown(directories_are_made_inside, fresh, clean),
		cmocka_unit_test_setup_teardown(directories_that_cannot_be_made, fresh, clean),
		cmocka_unit_test_setup_teardown(files_are_made_inside, fresh, clean),
		cmocka_unit_test_setup_teardown(files_that_cannot_be_made, fresh, clean),
		cmocka_unit_test_setup_teardown(the_parent_and_the_name, fresh, clean),
		cmocka_unit_test_setup_teardown(own_directories, fresh, clean),
		cmocka_unit_test_setup_teardown(an_ordinary_tree_goes, fresh, clean),
		cmocka_unit_test_setup_teardown(the_directory_itself_may_stay, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_not_there_has_gone, fresh, clean),
		cmocka_unit_test_setup_teardown(what_is_no_directory_is_not_removed, fresh, clean),
		cmocka_unit_test_setup_teardown(a_tree_of_20000_levels, fresh, clean),
		cmocka_unit_test_setup_teardown(mounts_are_left_alone, fresh, clean),
		cmocka_unit_test_setup_teardown(many_mounts_in_many_places, fresh, clean),
		cmocka_unit_test_setup_teardown(no_descriptor_is_lost, fresh, clean),
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
		printf("1..1\nok 1 - paths # SKIP needs mount namespaces\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, make_top, remove_top);
}
