/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/export.c agent/layer/walk.c agent/layer/xattrs.c agent/layer/link_table.c agent/layer/tar_write.c */
/* links: agent/layer/digest.c agent/sys/libraries.c */
#include "unit/test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "layer/export.h"
#include "layer/link_table.h"
#include "layer/walk.h"
#include "unit/layer_tree.h"

static struct error err;

static int export_with(const char *tree, const char *archive, const struct id_range *map, size_t maps, struct export_result *result)
{
	fd_auto from = open_tree_at(tree);
	fd_auto out = open(archive, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const struct export_request request = {
		.tree = from,
		.out = out,
		.uids = map,
		.gids = map,
		.uid_count = maps,
		.gid_count = maps,
	};

	assert_true(out >= 0);
	return export_layer(&request, result, &err);
}

static struct export_result export_to(const char *tree, const char *archive)
{
	struct export_result result;

	assert_worked(export_with(tree, archive, NULL, 0, &result), &err);
	return result;
}

/* One line an entry, with attributes in hexadecimal digits; the tree's own directory is in the first. */
#define LISTING                                                                                                                    \
	"/usr/bin/python3 -c '\n"                                                                                                  \
	"import tarfile\n"                                                                                                         \
	"for m in tarfile.open(\"layer.tar\", \"r:\", errorlevel=2):\n"                                                            \
	"    hex = lambda v: v.encode(\"utf-8\", \"surrogateescape\").hex()\n"                                                     \
	"    xattrs = [k[13:] + \"=\" + hex(v) for k, v in m.pax_headers.items() if k[:13] == \"SCHILY.xattr.\"]\n"                \
	"    print(m.name, m.type.decode(), m.linkname, oct(m.mode)[2:], f\"{m.uid}:{m.gid}\", m.size, m.mtime,\n"                 \
	"          f\"{m.devmajor}:{m.devminor}\", *xattrs, sep=\"|\")'"

static void set(const char *path, const char *name, const void *value, size_t size)
{
	check_row(lsetxattr(path, name, value, size, 0) == 0, "%s %s: %s", path, name, strerror(errno));
}

static const uint8_t capability_2[20] = { 1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0x20 };
/* user::rw-, user:1001:r--, group::r--, group:1002:r--, mask::r--, other::r-- */
static const uint8_t acl[] = { 2,  0, 0, 0, 1,   0,   6,   0,   255, 255, 255, 255, 2,   0,   4,    0,  0xe9, 3,
			       0,  0, 4, 0, 4,   0,   255, 255, 255, 255, 8,   0,   4,   0,   0xea, 3,  0,    0,
			       16, 0, 4, 0, 255, 255, 255, 255, 32,  0,   4,   0,   255, 255, 255,  255 };

static void make_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	fd_auto fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

/* What is no matter of layers below. */
static void fill_tree(void)
{
	make_directory("tree");
	assert_int_equal(chown("tree", 7, 8), 0);
	assert_int_equal(chmod("tree", 01711), 0);
	make_directory("tree/a");
	make_file("tree/a/z", "zz");
	make_directory("tree/a/y");
	make_file("tree/a-b", "1");
	make_file("tree/a.b", "22");
	make_directory("tree/lost+found");
	make_file("tree/set-id", "#!");
	assert_int_equal(chown("tree/set-id", 1000, 2000), 0);
	assert_int_equal(chmod("tree/set-id", 06755), 0);
	set("tree/set-id", "security.capability", capability_2, sizeof(capability_2));
	set("tree/set-id", "user.b", "2", 1);
	set("tree/set-id", "user.a", "1", 1);
	set("tree/set-id", "user.overlay.origin", "x", 1);
	set("tree/set-id", "trusted.overlay.origin", "x", 1);
	set("tree/set-id", "trusted.other", "x", 1);
	set("tree/a-b", "system.posix_acl_access", acl, sizeof(acl));
	assert_int_equal(symlink("../outside", "tree/soft"), 0);
	assert_int_equal(mkfifo("tree/fifo", 0600), 0);
	assert_int_equal(mknod("tree/tty", S_IFCHR | 0600, makedev(4, 64)), 0);
	assert_int_equal(mknod("tree/disk", S_IFBLK | 0640, makedev(8, 300)), 0);
	make_socket("tree/socket");
	assert_int_equal(link("tree/set-id", "tree/a/other name"), 0);
	assert_int_equal(link("tree/soft", "tree/a/soft"), 0);
	assert_int_equal(link("tree/tty", "tree/tty2"), 0);
	set_times("tree", "@1700000000");
}

static void a_tree(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	fill_tree();
	struct export_result result = export_to("tree", "layer.tar");
	assert_output(LISTING,
		      ".|5||1711|7:8|0|1700000000|0:0\n"
		      "a|5||755|0:0|0|1700000000|0:0\n"
		      "a/other name|0||6755|1000:2000|2|1700000000|0:0|security.capability="
		      "0100000200200000002000000000000000000000|user.a=31|user.b=32\n"
		      "a/soft|2|../outside|777|0:0|0|1700000000|0:0\n"
		      "a/y|5||755|0:0|0|1700000000|0:0\n"
		      "a/z|0||644|0:0|2|1700000000|0:0\n"
		      "a-b|0||644|0:0|1|1700000000|0:0|system.posix_acl_access="
		      "0200000001000600ffffffff02000400e903000004000400ffffffff08000400ea03000010000400ffffffff20000400ffffffff\n"
		      "a.b|0||644|0:0|2|1700000000|0:0\n"
		      "disk|4||640|0:0|0|1700000000|8:300\n"
		      "fifo|6||600|0:0|0|1700000000|0:0\n"
		      "lost+found|5||755|0:0|0|1700000000|0:0\n"
		      "set-id|1|a/other name|6755|1000:2000|0|1700000000|0:0|security.capability="
		      "0100000200200000002000000000000000000000|user.a=31|user.b=32\n"
		      "soft|1|a/soft|777|0:0|0|1700000000|0:0\n"
		      "tty|3||600|0:0|0|1700000000|4:64\n"
		      "tty2|1|tty|600|0:0|0|1700000000|0:0\n");
	assert_output("tar -tf layer.tar",
		      "./\na/\na/other name\na/soft\na/y/\na/z\na-b\na.b\ndisk\nfifo\nlost+found/\nset-id\nsoft\n"
		      "tty\ntty2\n");
	assert_int_equal(result.files, 15);
	assert_int_equal(result.size, 2 + 2 + 1 + 2);
}

/* What GNU tar makes of the archive gives the same archive: nothing is lost on the way, the tree's own directory included. */
static void there_and_back(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	fill_tree();
	make_file("tree/\303\244\377", "not quite UTF-8");
	assert_int_equal(truncate("tree/a/z", 300000), 0);
	set_times("tree/a", "@1700000000.123456789");
	set_times("tree/soft", "@-5.5");
	assert_int_equal(chown("tree/a", 4000000000u, 3999999999u), 0);
	struct export_result first = export_to("tree", "layer.tar");
	assert_output("/usr/bin/python3 -c 'import tarfile\n"
		      "tar = tarfile.open(\"layer.tar\")\n"
		      "for name in \"a\", \"a/z\", \"soft\", \"a.b\": print(tar.getmember(name).pax_headers.get(\"mtime\"))'",
		      "1700000000.123456789\n1700000000.123456789\n-5.5\nNone\n");
	struct export_result again = export_to("tree", "again.tar");
	assert_memory_equal(&first, &again, sizeof(first));
	run("cmp layer.tar again.tar");
	make_directory("back");
	run("tar -xpf layer.tar --numeric-owner --xattrs '--xattrs-include=*' -C back 2>&1");
	struct export_result back = export_to("back", "back.tar");
	run("cmp layer.tar back.tar");
	assert_memory_equal(&first, &back, sizeof(first));
}

static void whiteouts_and_opaque_directories(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	make_directory("tree");
	make_opaque("tree");
	make_directory("tree/d1");
	make_directory("tree/d2");
	make_opaque("tree/d2");
	make_file("tree/d2/!", "before the dot");
	make_whiteout("tree/d2/f1");
	/* Linux makes links of one whiteout. */
	assert_int_equal(link("tree/d2/f1", "tree/f2"), 0);
	assert_int_equal(link("tree/d2/f1", "tree/d1/f3"), 0);
	assert_int_equal(chown("tree/f2", 1, 1), 0);
	make_directory("tree/d3");
	set("tree/d3", "trusted.overlay.opaque", "n", 1);
	set_times("tree", "@1700000000");
	struct export_result result = export_to("tree", "layer.tar");
	assert_output(LISTING, ".|5||755|0:0|0|1700000000|0:0\n"
			       ".wh..wh..opq|0||600|0:0|0|0|0:0\n"
			       "d1|5||755|0:0|0|1700000000|0:0\n"
			       "d1/.wh.f3|0||600|0:0|0|0|0:0\n"
			       "d2|5||755|0:0|0|1700000000|0:0\n"
			       "d2/.wh..wh..opq|0||600|0:0|0|0|0:0\n"
			       "d2/!|0||644|0:0|14|1700000000|0:0\n"
			       "d2/.wh.f1|0||600|0:0|0|0|0:0\n"
			       "d3|5||755|0:0|0|1700000000|0:0\n"
			       ".wh.f2|0||600|0:0|0|0|0:0\n");
	assert_int_equal(result.files, 10);
	/* Nothing of it needs an extended record. */
	assert_int_equal(result.tar_bytes, 10 * 512 + 512 + 2 * 512);
}

static void ids_are_mapped(void **state)
{
	static const struct id_range maps[] = { { 100000, 0, 1000 }, { 200000, 1000, 65536 }, { 4294967295u, 5, 2 } };
	static const uint8_t capability_3[24] = { 1, 0, 0, 3, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xa0, 0x86, 1, 0 };
	struct export_result result;
	uint8_t mapped[sizeof(acl)];

	(void)state;
	skip_without_overlay_marks();
	make_directory("tree");
	make_file("tree/a", "");
	memcpy(mapped, acl, sizeof(acl));
	memcpy(mapped + 16, (const uint32_t[]){ 200001 }, 4);
	memcpy(mapped + 32, (const uint32_t[]){ 100999 }, 4);
	set("tree/a", "system.posix_acl_access", mapped, sizeof(mapped));
	make_file("tree/b", "");
	set("tree/b", "security.capability", capability_3, sizeof(capability_3));
	make_whiteout("tree/c"); /* the kernel's, of user 0 */
	assert_int_equal(chown("tree", 100000, 200000), 0);
	assert_int_equal(chown("tree/a", 100999, 265535), 0);
	assert_int_equal(lchown("tree/b", 100001, 100002), 0);
	set("tree/b", "security.capability", capability_3, sizeof(capability_3));
	set_times("tree", "@1");
	assert_worked(export_with("tree", "layer.tar", maps, array_count(maps), &result), &err);
	assert_output(LISTING,
		      ".|5||755|0:1000|0|1|0:0\n"
		      "a|0||644|999:66535|0|1|0:0|system.posix_acl_access="
		      "0200000001000600ffffffff02000400e903000004000400ffffffff08000400e703000010000400ffffffff20000400ffffffff\n"
		      "b|0||644|1:2|0|1|0:0|security.capability=0100000200200000000000000000000000000000\n"
		      ".wh.c|0||600|0:0|0|0|0:0\n");
	/* Just beside each range. */
	static const uint32_t outside[] = { 0, 99999, 101000, 199999, 265536, 4294967294u };
	for (size_t i = 0; i < array_count(outside); i++) {
		assert_int_equal(chown("tree/a", outside[i], 100000), 0);
		assert_int_equal(export_with("tree", "layer.tar", maps, array_count(maps), &result), -EOVERFLOW);
		assert_int_equal(chown("tree/a", 100000, outside[i]), 0);
		assert_int_equal(export_with("tree", "layer.tar", maps, array_count(maps), &result), -EOVERFLOW);
		assert_int_equal(err.code, ERROR_LAYER);
	}
	assert_int_equal(chown("tree/a", 100000, 100000), 0);
	memcpy(mapped + 32, (const uint32_t[]){ 5 }, 4);
	set("tree/a", "system.posix_acl_access", mapped, sizeof(mapped));
	assert_int_equal(export_with("tree", "layer.tar", maps, array_count(maps), &result), -EOVERFLOW);
}

static void make_nothing(void)
{
	make_file("tree/fine", "");
}
static void make_prefixed_file(void)
{
	make_file("tree/.wh.x", "");
}
static void make_prefixed_directory(void)
{
	make_directory("tree/.wh..wh.plnk");
}
static void make_prefixed_whiteout(void)
{
	make_whiteout("tree/.wh.x");
}
static void make_redirect(void)
{
	make_directory("tree/x");
	set("tree/x", "trusted.overlay.redirect", "y", 1);
}
static void make_metacopy(void)
{
	make_file("tree/x", "");
	set("tree/x", "trusted.overlay.metacopy", "", 0);
}
static void make_attribute_whiteout(void)
{
	make_file("tree/x", "");
	set("tree/x", "trusted.overlay.whiteout", "y", 1);
}
static void make_equals(void)
{
	make_file("tree/x", "");
	set("tree/x", "user.a=b", "y", 1);
}
static void make_bad_root(void)
{
	set("tree", "trusted.overlay.redirect", "/y", 2);
}

static void what_no_archive_can_say(void **state)
{
	static const struct {
		void (*make)(void);
		int error;
	} rows[] = {
		{ make_nothing, 0 },
		{ make_prefixed_file, EINVAL },
		{ make_prefixed_directory, EINVAL },
		{ make_prefixed_whiteout, EINVAL },
		{ make_redirect, EOPNOTSUPP },
		{ make_metacopy, EOPNOTSUPP },
		{ make_attribute_whiteout, EOPNOTSUPP },
		{ make_equals, EINVAL },
		{ make_bad_root, EOPNOTSUPP },
	};
	struct export_result result;

	(void)state;
	skip_without_overlay_marks();
	for (size_t i = 0; i < array_count(rows); i++) {
		make_directory("tree");
		rows[i].make();
		int got = export_with("tree", "layer.tar", NULL, 0, &result);
		check_row(got == -rows[i].error, "row %zu: %d, %s", i, got, err.message);
		check_row(got == 0 || err.code == ERROR_LAYER, "row %zu", i);
		run("rm -rf tree");
	}
}

static void no_other_file_system_is_entered(void **state)
{
	struct export_result result;
	uint64_t size;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		skip();
	make_directory("tree");
	make_directory("tree/m");
	make_file("tree/z", "1");
	assert_int_equal(mount("tmpfs", "tree/m", "tmpfs", 0, NULL), 0);
	make_file("tree/m/file", "12345");
	fd_auto tree = open_tree_at("tree");
	int got = export_with("tree", "layer.tar", NULL, 0, &result), measured = export_size(tree, &size, &err);
	assert_int_equal(umount("tree/m"), 0);
	assert_int_equal(got, -EXDEV);
	assert_int_equal(measured, 0);
	assert_int_equal(size, 1);
}

static void links_lead_nowhere(void **state)
{
	uint64_t size;

	(void)state;
	make_directory("outside");
	make_file("outside/secret", "not to be seen");
	make_directory("tree");
	assert_int_equal(symlink("../outside", "tree/d"), 0);
	assert_int_equal(symlink("../outside/secret", "tree/f"), 0);
	export_to("tree", "layer.tar");
	assert_output("tar -tf layer.tar", "./\nd\nf\n");
	run("! grep -q seen layer.tar");
	fd_auto tree = open_tree_at("tree");
	assert_worked(export_size(tree, &size, &err), &err);
	assert_int_equal(size, 0);
}

/* moby's TestChangesSizeWithHardlinks and TestHardLinkOrder. */
static void sizes_and_links(void **state)
{
	char path[64], other[64];
	uint64_t size;

	(void)state;
	make_directory("tree");
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "tree/file-%03d", i);
		make_file(path, "123456789");
		for (int k = 0; k < 5; k++) {
			snprintf(other, sizeof(other), "tree/file-%03d.link%d", i, k);
			assert_int_equal(link(path, other), 0);
		}
	}
	make_file("tree/sparse", "");
	assert_int_equal(truncate("tree/sparse", 1000000), 0);
	fd_auto tree = open_tree_at("tree");
	assert_worked(export_size(tree, &size, &err), &err);
	assert_int_equal(size, 300 * 9 + 1000000);
	struct export_result result = export_to("tree", "layer.tar");
	assert_int_equal(result.size, size);
	assert_int_equal(result.files, 1 + 300 * 6 + 1);
	run("/usr/bin/python3 -c 'import tarfile\n"
	    "for m in tarfile.open(\"layer.tar\"):\n"
	    "    assert m.isdir() or m.name == \"sparse\" or (m.isreg() and m.size == 9 and len(m.name) == 8) or (\n"
	    "        m.islnk() and m.size == 0 and m.linkname == m.name[:8]), m'");
}

static void descend(int *at)
{
	assert_int_equal(mkdirat(*at, "d", 0755), 0);
	int next = openat(*at, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(next >= 0);
	close(*at);
	*at = next;
}

static void depth(void **state)
{
	struct export_result result;

	(void)state;
	make_directory("tree");
	int at = open_tree_at("tree");
	for (unsigned i = 0; i < WALK_DEPTH_MAX; i++)
		descend(&at);
	fd_auto file = openat(at, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	result = export_to("tree", "layer.tar");
	assert_int_equal(result.files, 2 + WALK_DEPTH_MAX);
	assert_output("tar -tf layer.tar | tail -n 1 | wc -c", "8197\n");
	descend(&at);
	close(at);
	assert_int_equal(export_with("tree", "layer.tar", NULL, 0, &result), -ELOOP);
	assert_int_equal(err.code, ERROR_LAYER);
}

/* Files of two names in a directory of a long path: the memory for names ends before there are many. */
static void too_many_links(void **state)
{
	char name[256], other[256];
	struct export_result result;
	uint64_t size;

	(void)state;
	make_directory("tree");
	memset(name, 'n', 255);
	name[255] = '\0';
	int at = open_tree_at("tree");
	for (int i = 0; i < 128; i++) {
		assert_int_equal(mkdirat(at, name, 0755), 0);
		int next = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(at);
		at = next;
	}
	for (unsigned i = 0; i < LINK_TABLE_MAX / (128 * 256) + 16; i++) {
		snprintf(name, sizeof(name), "%u", i);
		snprintf(other, sizeof(other), "%u-", i);
		assert_int_equal(mknodat(at, name, S_IFREG | 0600, 0), 0);
		assert_int_equal(linkat(at, name, at, other, 0), 0);
	}
	close(at);
	assert_int_equal(export_with("tree", "/dev/null", NULL, 0, &result), -E2BIG);
	assert_int_equal(err.code, ERROR_LAYER);
	/* Without names there is room for more. */
	fd_auto tree = open_tree_at("tree");
	assert_worked(export_size(tree, &size, &err), &err);
}

/* As many as there may be, in two directories; one within the other, they are too many. */
static void too_many_names(void **state)
{
	static const char *const paths[] = { "tree/a", "tree/b" };
	char name[256];
	uint64_t size;

	(void)state;
	make_directory("tree");
	fd_auto tree = open_tree_at("tree");
	memset(name, 'n', 255);
	name[255] = '\0';
	for (size_t p = 0; p < array_count(paths); p++) {
		make_directory(paths[p]);
		fd_auto at = open_tree_at(paths[p]);
		assert_int_equal(mknodat(at, "one", S_IFREG | 0600, 0), 0);
		for (unsigned i = 0; i < WALK_NAMES_MAX / 256 / 2; i++) {
			for (unsigned k = 0; k < 4; k++)
				name[k] = (char)('a' + (i >> 4 * k) % 16);
			assert_int_equal(linkat(at, "one", at, name, 0), 0);
		}
	}
	assert_worked(export_size(tree, &size, &err), &err);
	assert_int_equal(rename("tree/b", "tree/a/b"), 0);
	assert_int_equal(export_size(tree, &size, &err), -E2BIG);
	assert_int_equal(err.code, ERROR_LAYER);
}

static void what_fails(void **state)
{
	struct export_result result;
	uint64_t size;

	(void)state;
	make_directory("tree");
	make_file("tree/f", "x");
	assert_int_equal(export_with("tree", "/dev/full", NULL, 0, &result), -ENOSPC);
	assert_string_equal(err.step, "export the layer");
	assert_true(export_size(-1, &size, &err) < 0);
	fd_auto file = open("tree/f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(export_size(file, &size, &err), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_tree, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(there_and_back, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(whiteouts_and_opaque_directories, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(ids_are_mapped, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(what_no_archive_can_say, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(no_other_file_system_is_entered, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(links_lead_nowhere, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(sizes_and_links, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(depth, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(too_many_links, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(too_many_names, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(what_fails, layer_tree_fresh, layer_tree_clean),
	};

	return cmocka_run_group_tests(tests, layer_tree_make_top, layer_tree_remove_top);
}
