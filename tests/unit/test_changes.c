/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/changes.c agent/layer/walk.c agent/layer/xattrs.c */
#include "unit/test.h"

#include <sched.h>
#include <sys/mount.h>

#include "base/buf.h"
#include "layer/changes.h"
#include "layer/walk.h"
#include "unit/layer_tree.h"

static struct error err;

static int note(void *context, enum change_kind kind, const char *path, struct error *error)
{
	(void)error;
	return buf_printf(context, "%c %s\n", "CAD"[kind], path);
}

/* As `docker diff` prints it.  To be freed. */
static char *changes_of(const char *tree, const char *lower)
{
	struct buf list = { 0 };
	fd_auto upper = open_tree_at(tree);
	fd_auto below = lower ? open_tree_at(lower) : -1;

	assert_worked(changes_list(upper, below, note, &list, &err), &err);
	assert_int_equal(buf_append(&list, "", 1), 0);
	return list.data;
}

/* A command fills `lower`; it is copied, as overlayfs copies files up, to `upper`; another command changes that. */
static const struct {
	const char *name, *lower, *upper, *changes;
} rows[] = {
	{ "nothing", "touch a; mkdir d; touch d/f", "", "" },
	{ "a new file at the top", "", "touch new", "A /new\n" },
	{ "a new file below", "mkdir -p d/e", "touch d/e/new", "C /d\nC /d/e\nA /d/e/new\n" },
	{ "a new directory", "", "mkdir -p d/e; touch d/e/f", "A /d\nA /d/e\nA /d/e/f\n" },
	{ "two in one", "mkdir d", "touch d/a d/b", "C /d\nA /d/a\nA /d/b\n" },
	{ "the order", "mkdir a a.b", "touch a/x a.b/x a-b", "C /a\nA /a/x\nA /a-b\nC /a.b\nA /a.b/x\n" },
	{ "back at a higher level", "mkdir -p a/b/c", "touch a/b/c/x a/y z", "C /a\nC /a/b\nC /a/b/c\nA /a/b/c/x\nA /a/y\nA /z\n" },
	{ "siblings of the same depth", "mkdir -p a/b c/d", "touch a/b/x c/d/x",
	  "C /a\nC /a/b\nA /a/b/x\nC /c\nC /c/d\nA /c/d/x\n" },
	/* What makes a file another. */
	{ "size", "echo 1 >f", "echo 12 >f; touch -r ../lower/f f", "C /f\n" },
	{ "time", "touch -d @5 f", "touch -d @6 f", "C /f\n" },
	{ "fraction of a second", "touch -d @5.25 f", "touch -d @5.5 f", "C /f\n" },
	{ "a fraction that an archive has cut off", "touch -d @5.25 f", "touch -d @5 f", "" },
	{ "a fraction that only the upper one has", "touch -d @5 f", "touch -d @5.25 f", "" },
	{ "mode", "touch f; mkdir d", "chmod 600 f; chmod 700 d", "C /d\nC /f\n" },
	{ "owner", "touch f g; mkdir d", "chown 1 f; chgrp 1 g; chown 1 d", "C /d\nC /f\nC /g\n" },
	{ "a link's owner", "ln -s t l", "chown -h 1 l", "C /l\n" },
	{ "device number", "mknod d c 1 3", "rm d; mknod d c 1 5; touch -r ../lower/d d", "C /d\n" },
	{ "where a link leads", "ln -s aa l; touch -h -d @5 l", "ln -sfn bb l; touch -h -d @5 l", "C /l\n" },
	{ "content alone is not seen", "echo 1 >f", "echo 2 >f; touch -r ../lower/f f", "" },
	{ "a directory's time counts for nothing", "mkdir d", "touch -d @5 d", "" },
	{ "type", "touch f", "rm f; mkfifo f", "C /f\n" },
	/* Whiteouts. */
	{ "whiteout of a file", "touch f", "rm f; mknod f c 0 0", "D /f\n" },
	{ "whiteout below", "mkdir d; touch d/f", "rm d/f; mknod d/f c 0 0", "C /d\nD /d/f\n" },
	{ "whiteout of a directory", "mkdir -p d/e; touch d/f", "rm -r d; mknod d c 0 0", "D /d\n" },
	{ "whiteout of nothing", "touch g", "mknod f c 0 0", "" },
	{ "whiteout of nothing in a new directory", "", "mkdir d; mknod d/f c 0 0", "A /d\n" },
	{ "whiteout of a whiteout", "mknod f c 0 0", "", "" },
	{ "a file over a whiteout", "mknod f c 0 0", "rm f; touch f", "A /f\n" },
	{ "a directory over a whiteout", "mknod f c 0 0", "rm f; mkdir f; touch f/g", "A /f\nA /f/g\n" },
	/* One in the place of another. */
	{ "a directory for a file", "touch f", "rm f; mkdir f; touch f/g", "C /f\nA /f/g\n" },
	{ "a file for a directory", "mkdir -p d/e; touch d/f", "rm -r d; touch d", "C /d\n" },
	{ "a link for a directory", "mkdir -p d/e; mkdir x; touch x/f", "rm -r d; ln -s x d", "C /d\n" },
	{ "a directory for a link to one", "mkdir d; touch d/f; ln -s d l", "rm l; mkdir l; touch l/f", "C /l\nA /l/f\n" },
	/* Only what the upper one has is looked at; the rest shows through. */
	{ "the upper one is not all", "mkdir d; touch d/f d/g h", "rm -r d/f h", "" },
	/* moby, GH #13590. */
	{ "GH13590, a file and a new one", "mkdir -p -m 740 1/2/3; echo hello >1/2/3/file", "rm 1/2/3/file; echo bye >1/2/3/file1",
	  "C /1\nC /1/2\nC /1/2/3\nA /1/2/3/file1\n" },
	{ "GH13590, a changed file", "mkdir -p -m 740 1/2/3; echo hello >1/2/3/file", "echo bye >1/2/3/file",
	  "C /1\nC /1/2\nC /1/2/3\nC /1/2/3/file\n" },
	/* moby, TestChangesDirsMutated. */
	{ "the eleven mutations",
	  "for i in 1 2 3 4 5; do echo file$i >file$i; done; mkdir dir1 dir2 dir3 dir4; touch dir1/f dir2/f dir4/f; "
	  "ln -s target1 symlink1; ln -s target2 symlink2; ln -s target3 symlink3",
	  "rm -r file1 dir1 symlink1; for i in file1 dir1 symlink1; do mknod $i c 0 0; done; echo fileNN >file2; rm file3; "
	  "echo fileMM >file3; chmod 404 file3; touch -d 2030-01-01 file4; rm file5; mkdir -m 666 file5; echo new >filenew; mkdir "
	  "dirnew; "
	  "ln -s targetnew symlinknew; ln -sfn target2change symlink2; rm -r dir2; echo dir2 >dir2; touch -d 2030-01-01 dir3",
	  "D /dir1\nC /dir2\nA /dirnew\nD /file1\nC /file2\nC /file3\nC /file4\nC /file5\nA /filenew\nD /symlink1\nC /symlink2\n"
	  "A /symlinknew\n" },
};

static void set_up(const char *lower, const char *upper)
{
	char command[2048];

	snprintf(command, sizeof(command),
		 "set -e; rm -rf lower upper; mkdir lower; (cd lower; true; %s); cp -a lower upper; cd upper; true; %s", lower,
		 upper);
	run(command);
}

static void against_one_layer(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	for (size_t i = 0; i < array_count(rows); i++) {
		set_up(rows[i].lower, rows[i].upper);
		auto_free char *got = changes_of("upper", "lower");
		check_row(strcmp(got, rows[i].changes) == 0, "%s: %s", rows[i].name, got);
	}
}

static void opaque_directories(void **state)
{
	static const struct {
		const char *name, *lower, *upper, *opaque, *changes;
	} tries[] = {
		{ "the same again", "mkdir d; touch d/f", "", "d", "" },
		{ "over what is gone", "mkdir d; touch d/f d/g", "rm d/f", "d", "C /d\nD /d/f\n" },
		{ "at any depth", "mkdir -p d/e/f d/g; touch d/e/f/x d/e/f/y d/g/z", "rm -r d/e/f/x d/g", "d",
		  "C /d\nC /d/e\nC /d/e/f\nD /d/e/f/x\nD /d/g\n" },
		{ "with new ones between", "mkdir d; touch d/a d/c", "rm d/a d/c; touch d/b", "d",
		  "C /d\nD /d/a\nA /d/b\nD /d/c\n" },
		{ "whiteouts in it", "mkdir d; touch d/f", "rm d/f; mknod d/f c 0 0; mknod d/none c 0 0", "d", "C /d\nD /d/f\n" },
		{ "only there", "mkdir d e; touch d/f e/f", "rm d/f e/f", "d", "C /d\nD /d/f\n" },
		{ "not beside it", "mkdir -p d/x e; touch d/x/f e/f d/g", "rm d/x/f e/f d/g", "d/x", "C /d\nC /d/x\nD /d/x/f\n" },
		{ "over a file", "touch d", "rm d; mkdir d; touch d/f", "d", "C /d\nA /d/f\n" },
		{ "over nothing", "", "mkdir d; touch d/f", "d", "A /d\nA /d/f\n" },
		{ "over a whiteout", "mknod d c 0 0", "rm d; mkdir d; touch d/f", "d", "A /d\nA /d/f\n" },
		{ "a file for a directory in it", "mkdir -p d/e/f; touch d/e/g", "rm -r d/e; touch d/e", "d", "C /d\nC /d/e\n" },
		{ "whiteouts below it", "mkdir d; mknod d/f c 0 0", "rm d/f", "d", "" },
		{ "the tree itself", "mkdir d; touch d/f g", "rm d/f g", ".", "C /d\nD /d/f\nD /g\n" },
	};
	char path[64];

	(void)state;
	skip_without_overlay_marks();
	for (size_t i = 0; i < array_count(tries); i++) {
		set_up(tries[i].lower, tries[i].upper);
		snprintf(path, sizeof(path), "upper/%s", tries[i].opaque);
		make_opaque(path);
		auto_free char *got = changes_of("upper", "lower");
		check_row(strcmp(got, tries[i].changes) == 0, "%s: %s", tries[i].name, got);
	}
}

static void extended_attributes(void **state)
{
	static const uint8_t capability[20] = { 1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0x20 };
	static const struct {
		const char *name;
		const void *value;
		size_t size;
		const char *changes;
	} tries[] = {
		{ "user.a", "b", 1, "C /d\nC /d/f\n" },
		{ "user.a", "", 0, "C /d\nC /d/f\n" },
		{ "security.capability", capability, sizeof(capability), "C /d\nC /d/f\n" },
		/* The system's own. */
		{ "trusted.overlay.origin", "b", 1, "" },
		{ "trusted.overlay.impure", "y", 1, "" },
		{ "trusted.a", "b", 1, "" },
		{ "user.overlay.origin", "b", 1, "" },
	};

	(void)state;
	skip_without_overlay_marks();
	for (size_t i = 0; i < array_count(tries); i++) {
		for (int side = 0; side < 2; side++) {
			const char *path = side ? "upper/d/f" : "lower/d/f";

			set_up("mkdir d; touch d/f", "");
			assert_int_equal(setxattr(path, tries[i].name, tries[i].value, tries[i].size, 0), 0);
			auto_free char *got = changes_of("upper", "lower");
			check_row(strcmp(got, tries[i].changes) == 0, "%s: %s", tries[i].name, got);
			/* Both have it. */
			assert_int_equal(
				setxattr(side ? "lower/d/f" : "upper/d/f", tries[i].name, tries[i].value, tries[i].size, 0), 0);
			auto_free char *same = changes_of("upper", "lower");
			check_row(same[0] == '\0', "%s: %s", tries[i].name, same);
		}
	}
	static const char *const values[][2] = { { "b", "c" }, { "b", "bc" }, { "bc", "b" }, { "", "b" } };
	for (size_t i = 0; i < array_count(values); i++) {
		set_up("mkdir d", "");
		assert_int_equal(setxattr("upper/d", "user.a", values[i][0], strlen(values[i][0]), 0), 0);
		assert_int_equal(setxattr("lower/d", "user.a", values[i][1], strlen(values[i][1]), 0), 0);
		auto_free char *got = changes_of("upper", "lower");
		check_row(strcmp(got, "C /d\n") == 0, "%s, %s: %s", values[i][0], values[i][1], got);
	}
	assert_int_equal(setxattr("upper/d", "trusted.overlay.redirect", "/x", 2, 0), 0);
	fd_auto upper = open_tree_at("upper");
	fd_auto lower = open_tree_at("lower");
	assert_failed(changes_list(upper, lower, note, NULL, &err), &err, ERROR_LAYER, "");
}

/* What is mounted in one of the two is a directory and no content. */
static void no_other_file_system_is_entered(void **state)
{
	static const char *const wanted[] = { "", "C /d\nA /d/f\n" };

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		skip();
	for (int side = 0; side < 2; side++) {
		const char *at = side ? "lower/d" : "upper/d";

		set_up("mkdir d; touch d/f", "");
		assert_int_equal(mount("tmpfs", at, "tmpfs", 0, "mode=755"), 0);
		make_file(side ? "lower/d/f" : "upper/d/g", "1");
		auto_free char *got = changes_of("upper", "lower");
		assert_int_equal(umount(at), 0);
		check_row(strcmp(got, wanted[side]) == 0, "%s: %s", at, got);
	}
}

static void the_lowest_layer(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	set_up("mkdir -p d/e; touch d/f; mknod w c 0 0; mknod d/w c 0 0; mkdir z; touch z/.wh.x", "");
	make_opaque("upper/d");
	make_opaque("upper");
	auto_free char *got = changes_of("upper", NULL);
	assert_string_equal(got, "A /d\nA /d/e\nA /d/f\nA /z\nA /z/.wh.x\n");
}

static int refuse_third(void *context, enum change_kind kind, const char *path, struct error *error)
{
	(void)kind;
	return ++*(int *)context == 3 ? error_set(error, ERROR_LAYER, E2BIG, "%s", path) : 0;
}

static void the_caller_may_end_it(void **state)
{
	int count = 0;

	(void)state;
	make_directory("upper");
	make_directory("upper/d");
	make_file("upper/d/a", "");
	make_file("upper/d/b", "");
	make_file("upper/d/c", "");
	fd_auto upper = open_tree_at("upper");
	assert_int_equal(changes_list(upper, -1, refuse_third, &count, &err), -E2BIG);
	assert_int_equal(count, 3);
	assert_string_equal(err.step, "list the layer's changes");
	assert_true(changes_list(-1, -1, refuse_third, &count, &err) < 0);
}

/* 4096 directories within one another, of which the deepest has a new file: each is listed once. */
static void depth(void **state)
{
	struct buf list = { 0 };

	(void)state;
	run("/usr/bin/python3 -c 'import os\n"
	    "for top in \"upper\", \"lower\":\n"
	    "    os.mkdir(top); at = os.open(top, os.O_RDONLY)\n"
	    "    for i in range(4096):\n"
	    "        os.mkdir(\"d\", dir_fd=at); below = os.open(\"d\", os.O_RDONLY, dir_fd=at); os.close(at); at = below\n"
	    "    os.close(os.open(top[0], os.O_CREAT | os.O_WRONLY, dir_fd=at))'");
	fd_auto upper = open_tree_at("upper");
	fd_auto lower = open_tree_at("lower");
	assert_worked(changes_list(upper, lower, note, &list, &err), &err);
	size_t lines = 0;
	for (size_t i = list.start; i < list.end; i++)
		lines += list.data[i] == '\n';
	assert_int_equal(lines, WALK_DEPTH_MAX + 1);
	assert_memory_equal(list.data + list.end - 8, "d/d/d/u\n", 8);
	buf_free(&list);
}

/* moby's ChangesDirs, on two mounts, in its own words. */
static const char oracle[] =
	"import os, stat, sys\n"
	"def cap(p):\n"
	"    try: return os.getxattr(p, 'security.capability', follow_symlinks=False)\n"
	"    except OSError: return None\n"
	"def same_time(a, b): return a == b or (a // 10**9 == b // 10**9 and (a % 10**9 == 0 or b % 10**9 == 0))\n"
	"def differ(a, b):\n"
	"    return ((a.st_mode, a.st_uid, a.st_gid, a.st_rdev) != (b.st_mode, b.st_uid, b.st_gid, b.st_rdev) or\n"
	"        (not stat.S_ISDIR(a.st_mode) and (not same_time(a.st_mtime_ns, b.st_mtime_ns) or a.st_size != b.st_size)))\n"
	"def look(new, old, path, added):\n"
	"    found = []\n"
	"    names = os.listdir(new + path) if stat.S_ISDIR(os.lstat(new + path).st_mode) else []\n"
	"    isdir = lambda p: os.path.isdir(p) and not os.path.islink(p)\n"
	"    below = set(os.listdir(old + path)) if names is not None and old and isdir(old + path) and isdir(new + path) else "
	"set()\n"
	"    for name in names:\n"
	"        p = path + '/' + name; mark = False\n"
	"        if name in below:\n"
	"            below.remove(name)\n"
	"            if differ(os.lstat(old + p), os.lstat(new + p)) or cap(old + p) != cap(new + p):\n"
	"                found.append(('C', p)); mark = True\n"
	"            found += look(new, old, p, mark)\n"
	"        else:\n"
	"            found.append(('A', p)); found += look(new, None, p, True)\n"
	"    found += [('D', path + '/' + name) for name in below]\n"
	"    if found and not added and path: found.append(('C', path))\n"
	"    return found\n"
	"for kind, path in sorted(look('merged', 'below', '', False), key=lambda c: os.fsencode(c[1]).split(b'/')): print(kind, "
	"path)\n";

/* Whatever comes to its mind, on few names, so that it often meets what was there before. */
static const char mutations[] = "import os, random, shutil, sys\n"
				"top, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])\n"
				"r = random.Random(seed)\n"
				"def pick():\n"
				"    at = top\n"
				"    while r.random() < 0.6:\n"
				"        below = [d.path for d in os.scandir(at) if d.is_dir(follow_symlinks=False)]\n"
				"        if not below: break\n"
				"        at = r.choice(below)\n"
				"    return at + '/' + r.choice(['a', 'b', 'b.c', 'd', 'e-'])\n"
				"def remove(p):\n"
				"    shutil.rmtree(p) if os.path.isdir(p) and not os.path.islink(p) else os.unlink(p)\n"
				"for i in range(count):\n"
				"    p, what = pick(), r.randrange(10)\n"
				"    try:\n"
				"        if what < 3:\n"
				"            if os.path.lexists(p): remove(p)\n"
				"            if r.random() < 0.7: os.mkdir(p)\n"
				"        elif what < 5: open(p, 'w').write('x' * r.randrange(4))\n"
				"        elif what == 5: os.symlink(r.choice('xyz') * r.randrange(1, 3), p)\n"
				"        elif what == 6: remove(p)\n"
				"        elif what == 7: os.chmod(p, r.choice([0o700, 0o755]), follow_symlinks=True)\n"
				"        elif what == 8: os.chown(p, r.randrange(2), 0, follow_symlinks=False)\n"
				"        elif what == 9: os.link(p, pick(), follow_symlinks=False)\n"
				"    except OSError: pass\n";

static void as_two_mounts_show_it(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0) {
		print_message("SKIPPED: no mount namespace\n");
		skip();
	}
	fd_auto oracle_file = open("oracle.py", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(oracle_file, oracle, sizeof(oracle) - 1), sizeof(oracle) - 1);
	fd_auto mutate_file = open("mutate.py", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(mutate_file, mutations, sizeof(mutations) - 1), sizeof(mutations) - 1);
	size_t changed = 0;
	for (unsigned seed = 0; seed < 12; seed++) {
		char command[256];
		int failed;

		run("rm -rf l1 l2 up work merged below; mkdir l1 l2 up work merged below; umask 0");
		/* A layer, one upon it, and the one that is asked about. */
		snprintf(command, sizeof(command), "/usr/bin/python3 mutate.py l1 %u 60", seed * 3);
		run(command);
		if (mount("overlay", "merged", "overlay", 0, "lowerdir=l1,upperdir=l2,workdir=work") < 0) {
			print_message("SKIPPED: no overlayfs on %s: %s\n", layer_tree_top, strerror(errno));
			skip();
		}
		snprintf(command, sizeof(command), "/usr/bin/python3 mutate.py merged %u 30", seed * 3 + 1);
		run(command);
		assert_int_equal(umount("merged"), 0);
		run("rm -rf work; mkdir work");
		assert_int_equal(mount("overlay", "below", "overlay", MS_RDONLY, "lowerdir=l2:l1"), 0);
		assert_int_equal(mount("overlay", "merged", "overlay", 0, "lowerdir=l2:l1,upperdir=up,workdir=work"), 0);
		snprintf(command, sizeof(command), "/usr/bin/python3 mutate.py merged %u 30", seed * 3 + 2);
		run(command);
		auto_free char *wanted = output_of("/usr/bin/python3 oracle.py");
		auto_free char *got = changes_of("up", "below");
		failed = strcmp(got, wanted);
		assert_int_equal(umount("merged"), 0);
		assert_int_equal(umount("below"), 0);
		changed += strlen(got);
		check_row(failed == 0, "seed %u\n--- got\n%s--- wanted\n%s", seed, got, wanted);
	}
	assert_true(changed > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(against_one_layer, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(opaque_directories, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(extended_attributes, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(no_other_file_system_is_entered, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(the_lowest_layer, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(the_caller_may_end_it, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(depth, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(as_two_mounts_show_it, layer_tree_fresh, layer_tree_clean),
	};

	return cmocka_run_group_tests(tests, layer_tree_make_top, layer_tree_remove_top);
}
