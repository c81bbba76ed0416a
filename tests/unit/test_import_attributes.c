/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/import.c agent/layer/tar_reader.c agent/layer/tree.c agent/layer/tree_attributes.c agent/layer/tree_times.c */
/* links: agent/layer/tree_walk.c agent/layer/tree_whiteout.c agent/layer/sandbox.c agent/layer/digest.c agent/sys/libraries.c */
/* links: agent/sys/mounts.c agent/sys/paths.c agent/base/undo.c tests/unit/tar.c */
/* links: agent/layer/unpack.c */
/* Owners, modes, times, extended attributes, devices and limits of what import_layer makes. */
#include "unit/import.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define THEN 1000000000

static bool has_xattr(const char *path, const char *name, const char *value)
{
	char got[256] = "";
	ssize_t size = lgetxattr(path, name, got, sizeof(got) - 1);

	return value ? size == (ssize_t)strlen(value) && strcmp(got, value) == 0 : size < 0;
}

/* tmpfs has user.* since Linux 6.6. */
static bool lacks_user_xattrs(void)
{
	if (setxattr("victim/hello", "user.probe", "", 0, 0) == 0 && removexattr("victim/hello", "user.probe") == 0)
		return false;
	print_message("SKIPPED: %s has no user.* extended attributes: %s\n", top, strerror(errno));
	return true;
}

static void import_files(const struct tar_file *files, size_t count)
{
	struct tar tar = { 0 };

	for (size_t i = 0; i < count; i++)
		tar_add(&tar, &files[i]);
	assert_worked(import_tar(&tar), &err);
}

static int import_file(const struct tar_file *file)
{
	struct tar tar = { 0 };

	tar_add(&tar, file);
	return import_tar(&tar);
}

static void owners_modes_and_times(void **state)
{
	static const struct tar_file files[] = {
		{ .name = "./", .type = '5', .mode = 0710, .uid = 7, .gid = 8, .time = 11 },
		{ .name = "d", .type = '5', .mode = 03775, .uid = 1000, .gid = 100, .time = THEN },
		{ .name = "d/program", .mode = 06711, .uid = 1, .gid = 2, .time = THEN + 1, .data = "x" },
		{ .name = "d/nobody", .mode = 010000, .uid = 70000, .gid = 3000000, .time = THEN + 2 },
		{ .name = "d/link", .type = '2', .link = "program", .mode = 0777, .uid = 3, .gid = 4, .time = THEN + 3 },
		{ .name = "d/hard", .type = '1', .link = "d/link", .mode = 0600, .uid = 9, .gid = 9, .time = 5 },
		{ .name = "d/fifo", .type = '6', .mode = 02622, .uid = 5, .gid = 6, .time = THEN + 4 },
		{ .name = "d/sticky", .type = '5', .mode = 01777, .time = THEN + 5 },
		{ .name = "d/sticky/x", .time = THEN + 6 },
		{ .name = "e", .mode = 0644, .data = "x", .pax = { "mtime=12.5", "uid=4294967294", "atime=99.25" } },
	};
	static const struct {
		const char *path;
		mode_t mode;
		uid_t uid;
		gid_t gid;
		time_t time;
		nlink_t links;
	} rows[] = {
		{ "tree", 0710, 7, 8, 11, 0 },
		{ "tree/d", 03775, 1000, 100, THEN, 0 },
		{ "tree/d/program", 06711, 1, 2, THEN + 1, 1 },
		{ "tree/d/nobody", 0, 70000, 3000000, THEN + 2, 1 },
		{ "tree/d/link", 0777, 3, 4, THEN + 3, 2 },
		{ "tree/d/fifo", 02622, 5, 6, THEN + 4, 1 },
		{ "tree/d/sticky", 01777, 0, 0, THEN + 5, 0 },
		{ "tree/e", 0644, 4294967294, 0, 12, 1 },
	};

	(void)state;
	fresh(NULL);
	umask(077);
	import_files(files, array_count(files));
	umask(022);
	for (size_t i = 0; i < array_count(rows); i++) {
		struct stat status = status_of(rows[i].path);

		check_row((status.st_mode & 07777) == rows[i].mode, "%s: %o", rows[i].path, status.st_mode);
		check_row(status.st_uid == rows[i].uid && status.st_gid == rows[i].gid, "%s: %u:%u", rows[i].path, status.st_uid,
			  status.st_gid);
		check_row(status.st_mtime == rows[i].time, "%s: %ld", rows[i].path, (long)status.st_mtime);
		check_row(!rows[i].links || status.st_nlink == rows[i].links, "%s: %lu links", rows[i].path, status.st_nlink);
	}
	struct stat status = status_of("tree/e");
	assert_int_equal(status.st_mtim.tv_nsec, 500000000);
	assert_int_equal(status.st_atime, 99);
	assert_int_equal(result.size, 2);
	assert_int_equal(result.files, array_count(files));
}

/* CVE-2021-32760: what a hard link's entry says of mode and owner reaches nothing, through a link least of all. */
static void links_are_not_followed_for_attributes(void **state)
{
	static const struct tar_file files[] = {
		{ .name = "target", .mode = 0600, .uid = 1, .time = THEN, .data = "x" },
		{ .name = "link", .type = '2', .link = "target", .mode = 06777, .uid = 2, .time = 1 },
		{ .name = "hard", .type = '1', .link = "link", .mode = 06777, .uid = 3, .time = 2 },
		{ .name = "out",
		  .type = '2',
		  .link = "/victim/hello",
		  .mode = 06777,
		  .uid = 2,
		  .time = 1,
		  .pax = { "SCHILY.xattr.user.x=y" } },
	};

	(void)state;
	fresh(NULL);
	import_files(files, array_count(files));
	struct stat status = status_of("tree/target");
	assert_true((status.st_mode & 07777) == 0600 && status.st_uid == 1 && status.st_mtime == THEN);
	status = status_of("tree/hard");
	assert_true(S_ISLNK(status.st_mode) && status.st_nlink == 2 && status.st_uid == 2);
}

static void times_that_are_none(void **state)
{
	static const struct {
		const char *pax;
		time_t time;
	} rows[] = {
		{ "mtime=-1", 0 },         { "mtime=-5.5", 0 },           { "mtime=9223372036854775807", 0 },
		{ "mtime=9223372037", 0 }, { "mtime=99999999999999", 0 }, { "mtime=4294967296.000000001", 4294967296 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		fresh(NULL);
		const struct tar_file file = { .name = "a", .time = THEN, .pax = { rows[i].pax } };
		check_row(import_file(&file) == 0, "%s: %s", rows[i].pax, err.message);
		check_row(status_of("tree/a").st_mtime == rows[i].time, "%s: %ld", rows[i].pax, (long)status_of("tree/a").st_mtime);
	}
}

/* Directories keep their times whatever is written into them later, and none gets those of another that was there before. */
static void times_of_directories(void **state)
{
	static const struct tar_file files[] = {
		{ .name = "a", .type = '5', .time = 100 },
		{ .name = "a/b", .type = '5', .time = 200 },
		{ .name = "a/b/c", .type = '5', .time = 300 },
		{ .name = "a/b/c/f", .time = 400 },
		{ .name = "gone", .type = '5', .time = 500 },
		{ .name = "gone", .type = '2', .link = "a", .time = 600 },
		{ .name = "twice", .type = '5', .time = 700 },
		{ .name = "twice", .data = "x", .time = 800 },
		{ .name = "twice/f", .time = 900 },
		{ .name = "implied/x/f", .time = 1000 },
		{ .name = "again", .type = '5', .time = 1 },
		{ .name = "again", .type = '5', .time = 1100 },
		{ .name = "a/b/late", .time = 1200 },
	};
	static const struct {
		const char *path;
		time_t time;
	} rows[] = {
		{ "tree/a", 100 },          { "tree/a/b", 200 },    { "tree/a/b/c", 300 },
		{ "tree/implied/x", 1000 }, { "tree/again", 1100 }, { "tree", 0 },
	};
	struct tar tar = { 0 };

	(void)state;
	fresh(NULL);
	for (size_t i = 0; i < array_count(files); i++) {
		if (strcmp(files[i].name, "twice/f") != 0)
			tar_add(&tar, &files[i]);
	}
	assert_worked(import_tar(&tar), &err);
	for (size_t i = 0; i < array_count(rows); i++)
		check_row(status_of(rows[i].path).st_mtime == rows[i].time, "%s: %ld", rows[i].path,
			  (long)status_of(rows[i].path).st_mtime);
}

/* moby #53257, and containerd's mkparent: a parent that only is below keeps its looks; one that is nowhere is 0755, whatever the
 * umask. */
static void parents(void **state)
{
	static const struct tar_file files[] = { { .name = "d/e/f", .time = THEN, .uid = 5, .mode = 0600 },
						 { .name = "n/f", .time = THEN } };
	const struct timespec times[2] = { { 50, 0 }, { 60, 70 } };

	(void)state;
	fresh("d d;d d/e;f d/e/g=1");
	if (lacks_user_xattrs())
		skip();
	assert_int_equal(chown("lower/d", 1000, 1001), 0);
	assert_int_equal(chmod("lower/d", 03751), 0);
	assert_int_equal(setxattr("lower/d", "user.note", "kept", 4, 0), 0);
	assert_int_equal(setxattr("lower/d", "trusted.overlay.origin", "x", 1, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, "lower/d", times, 0), 0);
	assert_int_equal(chmod("lower", 0711), 0);
	assert_int_equal(chown("lower", 3, 4), 0);
	umask(027);
	import_files(files, array_count(files));
	umask(022);
	struct stat status = status_of("tree/d");
	assert_true((status.st_mode & 07777) == 03751 && status.st_uid == 1000 && status.st_gid == 1001);
	assert_true(status.st_mtim.tv_sec == 60 && status.st_mtim.tv_nsec == 70);
	assert_true(has_xattr("tree/d", "user.note", "kept") && has_xattr("tree/d", "trusted.overlay.origin", NULL));
	status = status_of("tree/n");
	assert_true((status.st_mode & 07777) == 0755 && status.st_uid == 0 && status.st_mtime == THEN);
	status = status_of("tree"); /* the top is a directory that is only below, too */
	assert_true((status.st_mode & 07777) == 0711 && status.st_uid == 3 && status.st_gid == 4);
	assert_int_equal(result.files, 2 + 3);
}

static void a_copy_of_what_is_below(void **state)
{
	const struct timespec times[2] = { { 50, 0 }, { 60, 0 } };

	(void)state;
	fresh("f f=text");
	if (lacks_user_xattrs())
		skip();
	assert_int_equal(truncate("lower/f", 200000), 0);
	assert_int_equal(chown("lower/f", 10, 11), 0);
	assert_int_equal(chmod("lower/f", 04711), 0);
	assert_int_equal(setxattr("lower/f", "user.note", "kept", 4, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, "lower/f", times, 0), 0);
	assert_worked(import_text("h g=f"), &err);
	struct stat status = status_of("tree/g");
	assert_true((status.st_mode & 07777) == 04711 && status.st_uid == 10 && status.st_gid == 11 && status.st_size == 200000);
	assert_true(status.st_mtime == 60 && status.st_nlink == 2 && status.st_blocks < 100);
	assert_true(has_xattr("tree/g", "user.note", "kept"));
	assert_int_equal(result.size, 200000);
	/* It counts like every other file. */
	fresh("f f=text");
	assert_int_equal(truncate("lower/f", 2 << 20), 0);
	assert_failed(import_text("h g=f"), &err, ERROR_LAYER, "");
}

static void extended_attributes(void **state)
{
	/* VFS_CAP_REVISION_2, effective, CAP_NET_BIND_SERVICE */
	static const unsigned char capability[20] = { 1, 0, 0, 2, 0, 4 };
	static const struct tar_file files[] = {
		{ .name = "d", .type = '5', .pax = { "SCHILY.xattr.user.a=1", "SCHILY.xattr.trusted.overlay.opaque=y" } },
		{ .name = "f",
		  .mode = 04755,
		  .data = "x",
		  .pax = { "SCHILY.xattr.user.b=2", "SCHILY.xattr.trusted.overlay.redirect=/x",
			   "SCHILY.xattr.trusted.overlay.metacopy=", "SCHILY.xattr.user.overlay.opaque=y",
			   "LIBARCHIVE.xattr.user.c=Mw", "SCHILY.xattr.trusted.mine=x" },
		  .binary_key = "SCHILY.xattr.security.capability",
		  .binary = capability,
		  .binary_size = sizeof(capability) },
		{ .name = "l", .type = '2', .link = "f", .pax = { "SCHILY.xattr.user.d=4" } },
		{ .name = "acl", .pax = { "SCHILY.xattr.system.posix_acl_access=none of these" } },
		{ .name = "again", .type = '5', .pax = { "SCHILY.xattr.user.old=1" } },
		{ .name = "again", .type = '5', .pax = { "SCHILY.xattr.user.new=1" } },
		{ .name = "what", .data = "x", .pax = { "SCHILY.xattr.nonsense=1" } },
	};

	(void)state;
	fresh(NULL);
	if (lacks_user_xattrs())
		skip();
	import_files(files, array_count(files));
	assert_true(has_xattr("tree/d", "user.a", "1") && has_xattr("tree/d", "trusted.overlay.opaque", NULL));
	assert_true(has_xattr("tree/f", "user.b", "2") && has_xattr("tree/f", "user.c", "3"));
	assert_true(has_xattr("tree/f", "trusted.overlay.redirect", NULL) && has_xattr("tree/f", "trusted.overlay.metacopy", NULL));
	assert_true(has_xattr("tree/f", "user.overlay.opaque", NULL) && has_xattr("tree/f", "trusted.mine", NULL));
	assert_true(has_xattr("tree/l", "user.d", NULL));
	assert_true(has_xattr("tree/again", "user.old", NULL) && has_xattr("tree/again", "user.new", "1"));
	char got[64];
	assert_int_equal(getxattr("tree/f", "security.capability", got, sizeof(got)), sizeof(capability));
	assert_memory_equal(got, capability, sizeof(capability));
	assert_int_equal(status_of("tree/f").st_mode & 07777, 04755);
}

static void a_capability_that_cannot_be_set(void **state)
{
	const struct tar_file file = { .name = "f", .pax = { "SCHILY.xattr.security.capability=nonsense" } };

	(void)state;
	fresh(NULL);
	assert_failed(import_file(&file), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "security.capability"));
	assert_int_equal(err.errnum, EINVAL);
}

static void ids(void **state)
{
	static const struct id_range map[] = { { 0, 100000, 1000 }, { 5000, 7, 1 } };
	static const struct {
		unsigned uid, gid;
		const char *pax;
		long long mapped; /* -1: an error */
	} rows[] = {
		{ 0, 0, NULL, 100000 },
		{ 999, 0, NULL, 100999 },
		{ 5000, 0, NULL, 7 },
		{ 1000, 0, NULL, -1 },
		{ 0, 1, NULL, -1 },
		{ 5001, 0, NULL, -1 },
		{ 0, 0, "uid=4294967296", -1 },
		{ 0, 0, "uid=4294967295", -1 },
		{ 0, 0, "gid=9223372036854775807", -1 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct tar_file file = { .name = "d/f", .uid = rows[i].uid, .gid = rows[i].gid, .pax = { rows[i].pax } };

		fresh(NULL);
		request.uids = map;
		request.uid_count = array_count(map);
		request.gids = &(struct id_range){ 0, 50, 1 };
		request.gid_count = 1;
		int outcome = import_file(&file);
		if (rows[i].mapped < 0) {
			check_row(outcome < 0 && err.code == ERROR_LAYER, "row %zu: %s", i, err.message);
			continue;
		}
		check_row(outcome == 0, "row %zu: %s", i, err.message);
		check_row(status_of("tree/d/f").st_uid == rows[i].mapped, "row %zu: %u", i, status_of("tree/d/f").st_uid);
		assert_int_equal(status_of("tree/d/f").st_gid, 50);
		assert_int_equal(status_of("tree/d").st_uid, 100000);
		assert_int_equal(status_of("tree").st_uid, 100000);
	}
}

static void devices(void **state)
{
	static const struct {
		char type;
		unsigned major, minor;
		const char *pax, *why; /* why: NULL when it is taken */
	} rows[] = {
		{ '3', 1, 3, NULL, NULL },
		{ '4', 8, 0, NULL, NULL },
		{ '4', 0, 0, NULL, NULL },
		{ '3', 4095, 1048575, NULL, NULL },
		{ '3', 0, 0, NULL, "0:0" },
		{ '3', 4096, 0, NULL, "number" },
		{ '3', 1, 1048576, NULL, "number" },
		{ '3', 1, 3, "SCHILY.devminor=-1", "number" },
		{ '3', 1, 3, "SCHILY.devmajor=4294967295", "number" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct tar_file file = { .name = "n",
					       .type = rows[i].type,
					       .major = rows[i].major,
					       .minor = rows[i].minor,
					       .pax = { rows[i].pax },
					       .mode = 0620,
					       .gid = 5 };

		fresh(NULL);
		request.devices = true;
		int outcome = import_file(&file);
		if (rows[i].why) {
			check_row(outcome < 0 && err.code == ERROR_LAYER && strstr(err.message, rows[i].why), "row %zu: %s", i,
				  err.message);
			continue;
		}
		check_row(outcome == 0, "row %zu: %s", i, err.message);
		struct stat status = status_of("tree/n");
		check_row(status.st_rdev == makedev(rows[i].major, rows[i].minor), "row %zu: %lx", i, status.st_rdev);
		check_row((status.st_mode & 07777) == 0620 && status.st_gid == 5, "row %zu: %o", i, status.st_mode);
	}
}

static void limits(void **state)
{
	(void)state;
	fresh(NULL);
	request.limits = (struct import_limits){ .bytes = 10, .files = 5 };
	assert_worked(import_text("f a=12345;f b=67890;f d/c"), &err);
	assert_int_equal(result.files, 4); /* three entries, and d */
	fresh(NULL);
	request.limits = (struct import_limits){ .bytes = 10, .files = 5 };
	assert_failed(import_text("f a=12345;f b=678901"), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "10 bytes"));
	fresh(NULL);
	request.limits = (struct import_limits){ .bytes = 10, .files = 5 };
	assert_failed(import_text("f 1/2/3/4/5/f=1"), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "5 files"));
	/* What is written and replaced counts all the same: the disk had to take it. */
	fresh(NULL);
	request.limits = (struct import_limits){ .bytes = 10, .files = 5 };
	assert_failed(import_text("f a=123456;f a=123456"), &err, ERROR_LAYER, "");
	fresh(NULL);
	request.limits = (struct import_limits){ .bytes = UINT64_MAX, .files = UINT64_MAX };
	assert_worked(import_text("f a=1"), &err);
}

static void names_that_are_too_long(void **state)
{
	struct {
		size_t length, every; /* a slash every so many bytes */
		bool taken;
	} rows[] = {
		{ 255, 1000, true },  { 256, 1000, false }, { 4000, 201, true }, { 4095, 201, true },
		{ 4096, 201, false }, { 1022, 2, true },    { 1026, 2, false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char name[5000];

		fresh(NULL);
		for (size_t k = 0; k < rows[i].length; k++)
			name[k] = k % rows[i].every == rows[i].every - 1 ? '/' : 'n';
		name[rows[i].length] = '\0';
		if (name[rows[i].length - 1] == '/')
			name[rows[i].length - 1] = 'n', name[rows[i].length] = '\0';
		const struct tar_file file = { .name = name, .data = "x" };
		int outcome = import_file(&file);
		check_row((outcome == 0) == rows[i].taken, "row %zu: %s", i, outcome ? err.message : "taken");
		check_row(outcome == 0 || err.code == ERROR_LAYER, "row %zu: %s", i, error_wire_name(err.code));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(owners_modes_and_times, clean),
		cmocka_unit_test_teardown(links_are_not_followed_for_attributes, clean),
		cmocka_unit_test_teardown(times_that_are_none, clean),
		cmocka_unit_test_teardown(times_of_directories, clean),
		cmocka_unit_test_teardown(parents, clean),
		cmocka_unit_test_teardown(a_copy_of_what_is_below, clean),
		cmocka_unit_test_teardown(extended_attributes, clean),
		cmocka_unit_test_teardown(a_capability_that_cannot_be_set, clean),
		cmocka_unit_test_teardown(ids, clean),
		cmocka_unit_test_teardown(devices, clean),
		cmocka_unit_test_teardown(limits, clean),
		cmocka_unit_test_teardown(names_that_are_too_long, clean),
	};

	request.tree = request.lower = request.spool = -1;
	return cmocka_run_group_tests(tests, make_top, remove_top);
}
