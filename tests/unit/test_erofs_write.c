/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/erofs_write.c agent/layer/erofs_plan.c agent/layer/erofs_chunks.c agent/layer/erofs_tree.c */
/* links: agent/layer/erofs_directory.c agent/layer/erofs_attributes.c agent/layer/walk.c agent/layer/xattrs.c */
/* links: agent/layer/link_table.c agent/storage/erofs.c -Wl,--wrap=copy_file_range */
#include "unit/test.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "layer/erofs_attributes.h"
#include "layer/erofs_directory.h"
#include "layer/erofs_write.h"
#include "storage/erofs.h"
#include "storage/erofs_format.h"
#include "unit/layer_tree.h"

static struct error err;

/* Linux' copying, as some file systems have it; and somebody who changes the tree between the two rounds. */
static struct {
	bool refuse, nothing;
	const char *command; /* is run once */
} copying;

ssize_t __real_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags);
ssize_t __wrap_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags);

ssize_t __wrap_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags)
{
	const char *command = copying.command;

	copying.command = NULL;
	if (command)
		run(command);
	if (copying.nothing)
		return 0;
	if (!copying.refuse)
		return __real_copy_file_range(from, from_at, to, to_at, size, flags);
	errno = EXDEV;
	return -1;
}

static int seal_as(const char *tree, const char *path, struct erofs_written *written)
{
	static const struct erofs_options options = { .uuid = { 0xc0, 0xff, 0xee } };
	fd_auto from = open_tree_at(tree);
	fd_auto image = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(image >= 0);
	return erofs_write(from, image, &options, written, &err);
}

/* Seals "tree" as "image", and has it looked through by other programs, and by the code that attaches images. */
static struct erofs_written seal_unread(void)
{
	struct erofs_written written;
	struct erofs_layout layout;
	struct stat status;

	assert_worked(seal_as("tree", "image", &written), &err);
	fd_auto image = open("image", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(image, &status), 0);
	assert_int_equal(status.st_size, written.bytes);
	assert_int_equal(written.bytes % 4096, 0);
	assert_worked(erofs_read(image, written.bytes, &layout, &err), &err);
	assert_int_equal(layout.bytes, written.bytes);
	run("dump.erofs -s image | grep -q 'Filesystem UUID: *c0ffee00-0000-0000-0000-000000000000'");
	return written;
}

static struct erofs_written seal(void)
{
	struct erofs_written written = seal_unread();

	/* Its status alone says nothing of a superblock that it does not accept. */
	run("fsck.erofs image >said 2>&1 && ! grep '^<E>' said");
	return written;
}

static bool can_mount(void)
{
	static int can = -1;

	if (can < 0) {
		/* Of another's image: ours may be wrong. */
		run("mkdir m e && mkfs.erofs other e >/dev/null 2>&1");
		can = geteuid() == 0 && system("mount -t erofs -o loop,ro other m 2>/dev/null && umount m") == 0;
		if (!can)
			print_message("images are not mounted: no root, no loop devices, or no EROFS in this kernel\n");
		run("rm -rf m e other");
	}
	return can;
}

/* With the image mounted on `m`; the first line of what the command prints has to be its own. */
static char *mounted(const char *command)
{
	char text[4096];

	snprintf(text, sizeof(text), "mkdir -p m && mount -t erofs -o loop,ro image m && { %s; }; s=$?; umount m && exit $s",
		 command);
	return output_of(text);
}

/* One line a file: everything that the image is to have, and which names are one file. */
#define LISTER                                                                                                                     \
	"/usr/bin/python3 -c '\n"                                                                                                  \
	"import hashlib, os, stat, sys\n"                                                                                          \
	"seen = {}\n"                                                                                                              \
	"def show(path, name):\n"                                                                                                  \
	"    s = os.lstat(path)\n"                                                                                                 \
	"    kind = stat.S_IFMT(s.st_mode)\n"                                                                                      \
	"    if kind == stat.S_IFSOCK: return\n"                                                                                   \
	"    what = size = b\"\"\n"                                                                                                \
	"    if kind == stat.S_IFLNK: what = os.readlink(path)\n"                                                                  \
	"    if kind == stat.S_IFREG: what, size = hashlib.sha256(open(path, \"rb\").read()).hexdigest(), s.st_size\n"             \
	"    xattrs = [(n, hashlib.sha256(os.getxattr(path, n, follow_symlinks=False)).hexdigest()[:16])\n"                        \
	"              for n in sorted(os.listxattr(path, follow_symlinks=False))]\n"                                              \
	"    print(name, oct(s.st_mode), s.st_uid, s.st_gid, s.st_nlink, s.st_rdev, size, s.st_mtime_ns, xattrs, what,\n"          \
	"          seen.setdefault(s.st_ino, name))\n"                                                                             \
	"    assert not os.path.lexists(path + b\"x\") or kind == stat.S_IFREG, path\n"                                            \
	"    if kind == stat.S_IFDIR:\n"                                                                                           \
	"        for n in sorted(os.listdir(path)): show(path + b\"/\" + n, name + b\"/\" + n)\n"                                  \
	"show(sys.argv[1].encode(), b\".\")' "

/* The kernel shows the same as the tree has. */
static void seal_and_compare(void)
{
	(void)seal();
	if (!can_mount())
		return;
	auto_free char *wanted = output_of(LISTER "tree");
	auto_free char *got = mounted(LISTER "m");
	if (strcmp(wanted, got) == 0)
		return;
	size_t at = 0, line = 0;
	for (; wanted[at] && wanted[at] == got[at]; at++)
		line = wanted[at] == '\n' ? at + 1 : line;
	fail_msg("the tree has\n%.400s\nand the image\n%.400s", wanted + line, got + line);
}

static void set(const char *path, const char *name, const void *value, size_t size)
{
	check_row(lsetxattr(path, name, value, size, 0) == 0, "%s %s: %s", path, name, strerror(errno));
}

/* `size` bytes that differ from file to file. */
static void make_sized(const char *path, size_t size, unsigned seed)
{
	auto_free char *bytes = malloc(size + 1);
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_non_null(bytes);
	check_row(fd >= 0, "%s: %s", path, strerror(errno));
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)((seed = seed * 1664525u + 1013904223u) >> 24);
	assert_int_equal(write(fd, bytes, size), size);
}

static void nothing_in_it(void **state)
{
	(void)state;
	make_directory("tree");
	struct erofs_written written = seal();
	assert_int_equal(written.files, 1);
	assert_int_equal(written.bytes, 4096);
	seal_and_compare();
}

static void files_around_a_block(void **state)
{
	static const size_t sizes[] = {
		0, 1, 2047, 4031, 4032, 4033, 4063, 4064, 4065, 4095, 4096, 4097, 8191, 8192, 8193, 300000
	};
	char path[64];

	(void)state;
	make_directory("tree");
	for (size_t i = 0; i < array_count(sizes); i++) {
		snprintf(path, sizeof(path), "tree/%zu", sizes[i]);
		make_sized(path, sizes[i], (unsigned)i);
		/* Small inodes and large ones. */
		snprintf(path, sizeof(path), "tree/%zu-of-a-user", sizes[i]);
		make_sized(path, sizes[i], (unsigned)i + 100);
		assert_int_equal(chown(path, 100000, 5), 0);
	}
	set_times("tree", "@1700000000");
	seal_and_compare();
	/* Each alone, so that it comes first in its block. */
	for (size_t i = 0; i < array_count(sizes); i++) {
		run("rm -rf tree");
		make_directory("tree");
		make_sized("tree/a", sizes[i], (unsigned)i);
		seal_and_compare();
	}
}

/* The inline parts lie anywhere in a block, and the blocks fill up in every way. */
static void many_sizes(void **state)
{
	unsigned random = 7;
	char path[64], value[600];

	(void)state;
	skip_without_overlay_marks();
	make_directory("tree");
	memset(value, 'v', sizeof(value));
	for (unsigned i = 0; i < 1500; i++) {
		random = random * 1664525u + 1013904223u;
		snprintf(path, sizeof(path), "tree/%u", i);
		make_sized(path, random >> 8 & 0x3fff, i);
		if (random >> 28 == 0)
			set(path, "user.a", value, random >> 20 & 0x1ff);
		if (random >> 29 == 1)
			assert_int_equal(chown(path, i, 70000), 0);
	}
	seal_and_compare();
}

static void names(void **state)
{
	char path[600];

	(void)state;
	make_directory("tree");
	make_directory("tree/many");
	make_directory("tree/long");
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "tree/many/%u", i * 7919 % 5000);
		make_file(path, "");
	}
	for (unsigned i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "tree/long/%c%0254u", i % 2 ? '!' : 'z', i);
		make_directory(path);
	}
	/* Before, between and after "." and "..". */
	static const char *const odd[] = { "!", "-", "...", "..a", ".a", ".!", "..!", "\001", "\377", "a b\nc", "\303\244" };
	for (size_t i = 0; i < array_count(odd); i++) {
		snprintf(path, sizeof(path), "tree/%s", odd[i]);
		make_file(path, odd[i]);
	}
	set_times("tree", "@1");
	seal_and_compare();
}

/* What the kernel's search relies on, and where ".." leads, which nobody sees in a mounted image. */
static void check_block(const uint8_t *block, unsigned size, char last[256], unsigned *entries)
{
	struct erofs_dirent entry, next;
	char name[256];

	memcpy(&entry, block, sizeof(entry));
	unsigned count = entry.name / (unsigned)sizeof(entry);
	assert_int_equal(entry.name % sizeof(entry), 0);
	for (unsigned i = 0; i < count; i++) {
		unsigned end = size;

		memcpy(&entry, block + i * sizeof(entry), sizeof(entry));
		memcpy(&next, block + (i + 1) * sizeof(entry), sizeof(entry));
		if (i + 1 < count)
			end = next.name;
		snprintf(name, sizeof(name), "%.*s", (int)(end - entry.name), (const char *)block + entry.name);
		check_row(strcmp(last, name) < 0, "\"%s\" comes before \"%s\"", last, name);
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			assert_int_equal(entry.inode, name[1] ? 77 : 66);
		else
			assert_int_equal(entry.inode, 1000 + *entries);
		*entries += name[0] != '.' || (name[1] && strcmp(name, "..") != 0);
		strcpy(last, name);
	}
}

static void directories_are_sorted(void **state)
{
	static struct erofs_directory directory;
	static uint8_t block[EROFS_DIRECTORY_BLOCK];

	(void)state;
	/* How many names come before the dots: among these are all that let them begin, fill or follow a block. */
	for (unsigned before = 0; before < 700; before++) {
		char last[256] = "", name[256];
		unsigned entries = 0;

		erofs_directory_begin(&directory, 66, 77);
		for (unsigned i = 0; i < before + before % 3; i++) {
			snprintf(name, sizeof(name), "%c%0*u", i < before ? '!' : 'a', (int)(before % 5 * 3 + 4), i);
			if (erofs_directory_add(&directory, name, 1000 + i, S_IFREG, block))
				check_block(block, sizeof(block), last, &entries);
		}
		if (erofs_directory_close(&directory, block))
			check_block(block, sizeof(block), last, &entries);
		unsigned size = erofs_directory_last(&directory, block);
		assert_true(size > 0);
		check_block(block, size, last, &entries);
		assert_int_equal(entries, before + before % 3);
		assert_int_equal(directory.dots, 2);
	}
}

static void symbolic_links(void **state)
{
	static const unsigned sizes[] = { 1, 100, 2000, 4000, 4031, 4032, 4033, 4063, 4064, 4065, 4094, 4095 };
	char path[64], text[4096];

	(void)state;
	make_directory("tree");
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < array_count(sizes); i++) {
			memset(text, 'a' + (int)i, sizes[i]);
			text[sizes[i]] = '\0';
			snprintf(path, sizeof(path), "tree/%u-%u", round, sizes[i]);
			assert_int_equal(symlink(text, path), 0);
			if (round == 1)
				assert_int_equal(lchown(path, 70000, 70000), 0);
		}
	}
	/* The kernel wants a short link in the block of its inode: some of these begin in the last bytes of one. */
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%.*s", (int)(i % 32 + 1), "abcdefghijklmnopqrstuvwxyz0123456789");
		snprintf(path, sizeof(path), "tree/short%u", i);
		assert_int_equal(symlink(text, path), 0);
	}
	set_times("tree", "@5");
	seal_and_compare();
}

static void make_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	fd_auto fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
}

static const uint8_t capability[20] = { 1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0x20 };
/* user::rw-, user:1001:r--, group::r--, mask::r--, other::r-- */
static const uint8_t acl[] = { 2, 0, 0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,   4,  0, 0xe9, 3, 0,   0,   4,   0,
			       4, 0, 255, 255, 255, 255, 16, 0, 4,   0,   255, 255, 255, 255, 32, 0, 4,    0, 255, 255, 255, 255 };

static void everything_about_a_file(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	make_directory("tree");
	make_directory("tree/d");
	make_directory("tree/d/e");
	assert_int_equal(chown("tree", 7, 8), 0);
	assert_int_equal(chmod("tree", 01711), 0);
	make_file("tree/set-id", "#!");
	assert_int_equal(chown("tree/set-id", 4294967294u, 65536), 0);
	assert_int_equal(chmod("tree/set-id", 06755), 0);
	set("tree/set-id", "security.capability", capability, sizeof(capability));
	set("tree/set-id", "user.b", "2", 1);
	set("tree/set-id", "user.a", "", 0);
	make_file("tree/acl", "a");
	set("tree/acl", "system.posix_acl_access", acl, sizeof(acl));
	set("tree/d", "system.posix_acl_default", acl, sizeof(acl));
	set("tree", "user.of-the-root", "1", 1);
	assert_int_equal(chmod("tree/d/e", 03000), 0);
	make_file("tree/65535", "");
	assert_int_equal(chown("tree/65535", 65535, 65535), 0);
	assert_int_equal(mkfifo("tree/fifo", 0600), 0);
	assert_int_equal(mknod("tree/tty", S_IFCHR | 0600, makedev(4, 64)), 0);
	assert_int_equal(mknod("tree/disk", S_IFBLK | 0640, makedev(4095, 1048575)), 0);
	assert_int_equal(mknod("tree/disk2", S_IFBLK | 0640, makedev(259, 257)), 0);
	assert_int_equal(link("tree/set-id", "tree/d/e/other"), 0);
	assert_int_equal(link("tree/tty", "tree/d/tty"), 0);
	make_file("before", "x");
	assert_int_equal(link("before", "tree/x"), 0);
	make_file("tree/old", "");
	make_file("tree/very-old", "");
	make_file("tree/new", "");
	set_times("tree", "@1700000000");
	set_times("tree/old", "@-1.5");
	set_times("tree/very-old", "@-2147483648");
	set_times("tree/new", "@1700000000.000000001");
	/* One name of two is outside of the tree. */
	auto_free char *outside = output_of("ln -f tree/x x2 && rm before x2 && stat -c %h tree/x");
	assert_string_equal(outside, "1\n");
	seal_and_compare();
}

static void what_is_left_out(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	make_directory("tree");
	make_file("tree/a", "a");
	set("tree/a", "user.overlay.origin", "x", 1);
	set("tree/a", "trusted.overlay.origin", "x", 1);
	set("tree/a", "trusted.other", "x", 1);
	set("tree/a", "user.kept", "x", 1);
	make_socket("tree/socket");
	/* Its other name is outside. */
	assert_int_equal(link("tree/a", "b"), 0);
	struct erofs_written written = seal();
	assert_int_equal(written.files, 2);
	if (!can_mount())
		return;
	auto_free char *got =
		mounted("ls -a m | xargs; stat -c %h m/a; /usr/bin/python3 -c 'import os; print(os.listxattr(\"m/a\"))'");
	assert_string_equal(got, ". .. a\n1\n['user.kept']\n");
}

static void whiteouts_and_opaque_directories(void **state)
{
	(void)state;
	skip_without_overlay_marks();
	make_directory("base");
	make_directory("base/d");
	make_directory("base/e");
	make_file("base/d/hidden", "");
	make_file("base/e/seen", "");
	make_file("base/gone", "");
	make_file("base/gone2", "");
	make_directory("tree");
	make_directory("tree/d");
	make_directory("tree/e");
	make_opaque("tree/d");
	make_whiteout("tree/gone");
	assert_int_equal(link("tree/gone", "tree/gone2"), 0);
	make_whiteout("tree/never-was");
	make_file("tree/d/own", "");
	struct erofs_written written = seal();
	assert_int_equal(written.files, 6);
	seal_and_compare();
	if (!can_mount())
		return;
	make_directory("o");
	auto_free char *got = mounted("mount -t overlay -o ro,lowerdir=m:base o o && { find o | sort; umount o; }");
	assert_string_equal(got, "o\no/d\no/d/own\no/e\no/e/seen\n");
}

static void large_attributes(void **state)
{
	auto_free char *value = calloc(1, 65536);
	struct xattr items[5];
	struct xattrs xattrs = { .items = items, .count = 1 };
	uint32_t size;

	(void)state;
	assert_non_null(value);
	items[0] = (struct xattr){ .name = "user.large", .value = (uint8_t *)value, .size = 65535 };
	assert_worked(erofs_attributes_size(&xattrs, &size, &err), &err);
	assert_int_equal(size, 12 + (4 + 5 + 65535 + 3) / 4 * 4);
	items[0].size = 65536;
	assert_failed(erofs_attributes_size(&xattrs, &size, &err), &err, ERROR_LAYER, "");
	for (size_t i = 0; i < array_count(items); i++)
		items[i] = (struct xattr){ .name = "user.x", .value = (uint8_t *)value, .size = 65536 - 4 - 1 };
	xattrs.count = 4; /* each is 65536 with its entry and its name: the last one has 8 less */
	items[3].size -= 8;
	assert_worked(erofs_attributes_size(&xattrs, &size, &err), &err);
	assert_int_equal(size, EROFS_ATTRIBUTES_MAX);
	assert_int_equal(erofs_attributes_count(size), 65535);
	items[3].size += 1;
	assert_failed(erofs_attributes_size(&xattrs, &size, &err), &err, ERROR_LAYER, "");
	xattrs.count = 5;
	assert_failed(erofs_attributes_size(&xattrs, &size, &err), &err, ERROR_LAYER, "");
	items[0] = (struct xattr){ .name = "security.selinux.not", .size = 0 };
	items[1] = (struct xattr){ .name = "system.other", .size = 0 };
	xattrs.count = 2;
	assert_failed(erofs_attributes_size(&xattrs, &size, &err), &err, ERROR_LAYER, "");
}

/* In a file system of memory, which takes large attributes and any number of links. */
static void attributes_of_many_blocks(void **state)
{
	static char value[60000];
	char name[32];

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	make_directory("tree");
	assert_int_equal(mount("tmpfs", "tree", "tmpfs", 0, NULL), 0);
	make_file("tree/a", "content");
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (char)(i * i >> 7);
	bool can = lsetxattr("tree/a", "user.large", value, sizeof(value), 0) == 0;
	if (can) {
		for (unsigned i = 0; i < 100; i++) {
			snprintf(name, sizeof(name), "user.%u", i);
			set("tree/a", name, value + i, i * 5);
		}
		make_directory("tree/d");
		set("tree/d", "user.x", value, 5000);
		seal_and_compare();
		set("tree/a", "user.large", value, 0);
		/* Links more than 16 bits count. */
		char path[64];
		for (unsigned i = 0; i < 65536; i++) {
			snprintf(path, sizeof(path), "tree/d/%u", i);
			assert_int_equal(link("tree/a", path), 0);
		}
		/* All of one time, or the inode would be a large one anyway. */
		run("touch -d @1 tree/a tree");
		(void)seal();
		auto_free char *got = can_mount() ? mounted("stat -c %h m/a m/d/60000") : NULL;
		if (got)
			assert_string_equal(got, "65537\n65537\n");
	}
	assert_int_equal(umount("tree"), 0);
	if (!can)
		skip();
}

static void holes(void **state)
{
	(void)state;
	make_directory("tree");
	run("truncate -s 1T tree/huge && printf begin | dd of=tree/huge conv=notrunc status=none &&"
	    " printf middle | dd of=tree/huge bs=1M seek=500001 conv=notrunc status=none &&"
	    " truncate -s +5 tree/huge && printf end | dd of=tree/huge bs=1 seek=1099511627778 conv=notrunc status=none");
	run("truncate -s 1G tree/empty; truncate -s 65535 tree/little");
	run("truncate -s 1M tree/some && dd if=/dev/urandom of=tree/some bs=4096 count=3 seek=100 conv=notrunc status=none &&"
	    " dd if=/dev/urandom of=tree/some bs=1000 count=1 seek=1 conv=notrunc status=none");
	struct erofs_written written = seal_unread();
	check_row(written.bytes < 64 << 20, "%llu bytes", (unsigned long long)written.bytes);
	struct stat status;
	assert_int_equal(stat("image", &status), 0);
	check_row(status.st_blocks * 512 < 4 << 20, "%llu bytes", (unsigned long long)status.st_blocks * 512);
	if (!can_mount())
		return;
	auto_free char *got = mounted(
		"/usr/bin/python3 -c 'import os\n"
		"f = os.open(\"m/huge\", 0)\n"
		"print(os.fstat(f).st_size, os.pread(f, 7, 0), os.pread(f, 8, 500001 << 20), os.pread(f, 9, (1 << 40) - 1),\n"
		"      os.pread(f, 9, 1 << 35))'; cmp m/some tree/some && cmp m/empty tree/empty && cmp m/little tree/little");
	assert_string_equal(got, "1099511627781 b'begin\\x00\\x00' b'middle\\x00\\x00' b'\\x00\\x00\\x00end' "
				 "b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\n");
	run("rm tree/huge tree/empty");
	seal_and_compare();
}

static void the_same_bytes(void **state)
{
	struct erofs_written written;

	(void)state;
	make_directory("tree");
	make_directory("tree/d");
	for (unsigned i = 0; i < 200; i++) {
		char path[64];

		snprintf(path, sizeof(path), "tree/d/%u", i);
		make_sized(path, i * 100, i);
	}
	set_times("tree", "@1700000000");
	assert_worked(seal_as("tree", "image", &written), &err);
	/* A copy, into a file that has been something else and was longer. */
	run("cp -a tree copy && yes | head -c 3000000 >again");
	assert_worked(seal_as("copy", "again", &written), &err);
	run("cmp image again");
	run("echo >>copy/d/7 && touch -d @1700000000 copy/d/7");
	assert_worked(seal_as("copy", "again", &written), &err);
	run("! cmp -s image again");
}

static void copied_by_hand(void **state)
{
	struct erofs_written written;

	(void)state;
	make_directory("tree");
	make_sized("tree/a", 700001, 1);
	run("truncate -s 1M tree/b && echo x | dd of=tree/b bs=1 seek=700000 conv=notrunc status=none");
	assert_worked(seal_as("tree", "image", &written), &err);
	copying.refuse = true;
	assert_worked(seal_as("tree", "by-hand", &written), &err);
	copying.refuse = false;
	run("cmp image by-hand");
	copying.nothing = true;
	assert_worked(seal_as("tree", "by-hand", &written), &err);
	copying.nothing = false;
	run("cmp image by-hand");
}

/* While the first file is copied: what lies behind it has been measured, and is not what it was. */
static void a_tree_that_changes(void **state)
{
	static const char *const commands[] = {
		"echo more >>tree/b/file",
		"truncate -s 4095 tree/b/file",
		"truncate -s 8191 tree/b/plain",
		"rm tree/b/file",
		"rm tree/b/file; mkdir tree/b/file",
		"touch tree/b/zzz",
		"mv tree/b/file tree/b/x",
		"ln -sf longer tree/b/link",
		"chown 70000 tree/b/file; ln tree/b/file tree/b/z",
		"rm -r tree/b",
		"touch tree/b/!; rm tree/b/plain",
		"truncate -s 0 tree/b/holes; truncate -s 1M tree/b/holes",
	};
	struct erofs_written written;

	(void)state;
	for (size_t i = 0; i < array_count(commands); i++) {
		run("rm -rf tree");
		make_directory("tree");
		make_directory("tree/b");
		make_sized("tree/a", 5000, 1);
		make_sized("tree/b/file", 5000, 2);
		make_sized("tree/b/plain", 8192, 3);
		assert_int_equal(symlink("short", "tree/b/link"), 0);
		run("truncate -s 1M tree/b/holes && echo x | dd of=tree/b/holes bs=1 seek=700000 conv=notrunc status=none");
		copying.command = commands[i];
		int result = seal_as("tree", "image", &written);
		check_row(result < 0 && err.code == ERROR_INTERNAL, "%s: %d", commands[i], result);
		assert_null(copying.command);
		assert_int_equal(written.bytes, 0);
	}
}

static void another_file_system(void **state)
{
	struct erofs_written written;

	(void)state;
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	make_directory("tree");
	make_directory("tree/proc");
	assert_int_equal(mount("tmpfs", "tree/proc", "tmpfs", 0, NULL), 0);
	int result = seal_as("tree", "image", &written);
	assert_int_equal(umount("tree/proc"), 0);
	assert_failed(result, &err, ERROR_LAYER, "");
	assert_int_equal(result, -EXDEV);
	assert_non_null(strstr(err.message, "proc"));
	assert_int_equal(written.bytes, 0);
}

#define in_a_tree(name) cmocka_unit_test_setup_teardown(name, layer_tree_fresh, layer_tree_clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_a_tree(nothing_in_it),
		in_a_tree(files_around_a_block),
		in_a_tree(many_sizes),
		in_a_tree(names),
		cmocka_unit_test(directories_are_sorted),
		in_a_tree(symbolic_links),
		in_a_tree(everything_about_a_file),
		in_a_tree(what_is_left_out),
		in_a_tree(whiteouts_and_opaque_directories),
		cmocka_unit_test(large_attributes),
		in_a_tree(attributes_of_many_blocks),
		in_a_tree(holes),
		in_a_tree(the_same_bytes),
		in_a_tree(copied_by_hand),
		in_a_tree(a_tree_that_changes),
		in_a_tree(another_file_system),
	};

	return cmocka_run_group_tests(tests, layer_tree_make_top, layer_tree_remove_top);
}
