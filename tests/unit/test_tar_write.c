/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/tar_write.c agent/layer/digest.c agent/sys/libraries.c */
#include "unit/test.h"

#include "layer/tar_write.h"
#include "unit/layer_tree.h"

#define ARCHIVE "archive.tar"

static struct error err;

/* One line an entry: all that Python's reader makes of it. */
static const char listing[] =
	"/usr/bin/python3 -c '\n"
	"import tarfile, hashlib\n"
	"for m in (tar := tarfile.open(\"" ARCHIVE "\", \"r:\", errorlevel=2)):\n"
	"    pax = {k: v for k, v in m.pax_headers.items() if k not in (\"path\", \"linkpath\")}\n"
	"    text = lambda s: repr(s if len(s) < 40 else (len(s), "
	"hashlib.sha256(s.encode(errors=\"surrogateescape\")).hexdigest()[:8]))\n"
	"    print(text(m.name), m.type.decode(), text(m.linkname), oct(m.mode)[2:], m.uid, m.gid, m.size, m.mtime,\n"
	"          f\"{m.devmajor}:{m.devminor}\", \" \".join(f\"{k}={v!r}\" for k, v in pax.items()), end=\"|\\n\")'";

static struct tar_write *begin(int *fd)
{
	struct tar_write *tar;

	*fd = open(ARCHIVE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(*fd >= 0);
	assert_worked(tar_write_begin(&tar, *fd, &err), &err);
	return tar;
}

static void end(struct tar_write *tar, int fd)
{
	uint8_t digest[DIGEST_SIZE];
	char text[DIGEST_TEXT], wanted[DIGEST_TEXT + 1];
	struct stat status;
	uint64_t bytes;

	assert_worked(tar_write_end(tar, digest, &bytes, &err), &err);
	tar_write_free(tar);
	assert_int_equal(fstat(fd, &status), 0);
	close(fd);
	assert_int_equal(status.st_size, bytes);
	assert_int_equal(bytes % 512, 0);
	digest_format(digest, text);
	snprintf(wanted, sizeof(wanted), "%s\n", text + strlen("sha256:"));
	assert_output("sha256sum <" ARCHIVE " | cut -d ' ' -f 1", wanted);
}

static void every_kind(void **state)
{
	static struct xattr xattrs[] = {
		{ "user.a", (uint8_t *)"b", 1 },
		{ "user.empty", (uint8_t *)"", 0 },
		{ "user.lines", (uint8_t *)"1\n2", 3 },
	};
	static const struct {
		struct tar_entry entry;
		const char *content, *listed;
	} rows[] = {
		{ { TAR_DIRECTORY, "./", NULL, .mode = 040755, .mtime = { 5, 0 } }, NULL, "'.' 5 '' 755 0 0 0 5 0:0 |" },
		{ { TAR_FILE, "file", NULL, .mode = 0104755, 1000, 2000, 5, { 1700000000, 0 } },
		  "hello",
		  "'file' 0 '' 4755 1000 2000 5 1700000000 0:0 |" },
		{ { TAR_FILE, "empty", NULL, .mode = 0100000 }, NULL, "'empty' 0 '' 0 0 0 0 0 0:0 |" },
		{ { TAR_HARD_LINK, "hard", "file", .mode = 0104755, 1000, 2000, 5, { 7, 0 } },
		  NULL,
		  "'hard' 1 'file' 4755 1000 2000 0 7 0:0 |" },
		{ { TAR_SYMBOLIC_LINK, "soft", "/a/b", .mode = 0120777 }, NULL, "'soft' 2 '/a/b' 777 0 0 0 0 0:0 |" },
		{ { TAR_CHARACTER_DEVICE, "null", NULL, .mode = 020666, .device_major = 1, .device_minor = 3 },
		  NULL,
		  "'null' 3 '' 666 0 0 0 0 1:3 |" },
		{ { TAR_BLOCK_DEVICE, "disk", NULL, .mode = 060660, .device_major = 4095, .device_minor = 1048575 },
		  NULL,
		  "'disk' 4 '' 660 0 0 0 0 4095:1048575 |" },
		{ { TAR_FIFO, "fifo", NULL, .mode = 010600 }, NULL, "'fifo' 6 '' 600 0 0 0 0 0:0 |" },
		{ { TAR_FILE, "x", NULL, .mode = 0100644, .xattrs = xattrs, .xattr_count = array_count(xattrs) },
		  NULL,
		  "'x' 0 '' 644 0 0 0 0 0:0 SCHILY.xattr.user.a='b' SCHILY.xattr.user.empty='' SCHILY.xattr.user.lines='1\\n2'|" },
		/* Ids. */
		{ { TAR_FILE, "i1", NULL, .mode = 0100644, 2097151, 2097151 }, NULL, "'i1' 0 '' 644 2097151 2097151 0 0 0:0 |" },
		{ { TAR_FILE, "i2", NULL, .mode = 0100644, 2097152, 0 }, NULL, "'i2' 0 '' 644 2097152 0 0 0 0:0 uid='2097152'|" },
		{ { TAR_FILE, "i3", NULL, .mode = 0100644, 0, 4294967294 },
		  NULL,
		  "'i3' 0 '' 644 0 4294967294 0 0 0:0 gid='4294967294'|" },
		/* Times. */
		{ { TAR_FILE, "t1", NULL, .mode = 0100644, .mtime = { 8589934591, 0 } },
		  NULL,
		  "'t1' 0 '' 644 0 0 0 8589934591 0:0 |" },
		{ { TAR_FILE, "t2", NULL, .mode = 0100644, .mtime = { 8589934592, 0 } },
		  NULL,
		  "'t2' 0 '' 644 0 0 0 8589934592.0 0:0 mtime='8589934592'|" },
		{ { TAR_FILE, "t3", NULL, .mode = 0100644, .mtime = { 5, 250000000 } },
		  NULL,
		  "'t3' 0 '' 644 0 0 0 5.25 0:0 mtime='5.25'|" },
		{ { TAR_FILE, "t4", NULL, .mode = 0100644, .mtime = { 5, 1 } },
		  NULL,
		  "'t4' 0 '' 644 0 0 0 5.000000001 0:0 mtime='5.000000001'|" },
		{ { TAR_FILE, "t5", NULL, .mode = 0100644, .mtime = { -1, 0 } }, NULL, "'t5' 0 '' 644 0 0 0 -1.0 0:0 mtime='-1'|" },
		{ { TAR_FILE, "t6", NULL, .mode = 0100644, .mtime = { -6, 500000000 } },
		  NULL,
		  "'t6' 0 '' 644 0 0 0 -5.5 0:0 mtime='-5.5'|" },
		{ { TAR_FILE, "t7", NULL, .mode = 0100644, .mtime = { -1, 750000000 } },
		  NULL,
		  "'t7' 0 '' 644 0 0 0 -0.25 0:0 mtime='-0.25'|" },
		{ { TAR_FILE, "t8", NULL, .mode = 0100644, .mtime = { -10, 0 } },
		  NULL,
		  "'t8' 0 '' 644 0 0 0 -10.0 0:0 mtime='-10'|" },
		{ { TAR_FILE, "t9", NULL, .mode = 0100644, .mtime = { 10, 0 } }, NULL, "'t9' 0 '' 644 0 0 0 10 0:0 |" },
		/* Names. */
		{ { TAR_FILE, "\303\244", NULL, .mode = 0100644 }, NULL, "'\303\244' 0 '' 644 0 0 0 0 0:0 |" },
		{ { TAR_SYMBOLIC_LINK, "n2", "\342\202\254", .mode = 0120777 }, NULL, "'n2' 2 '\342\202\254' 777 0 0 0 0 0:0 |" },
		{ { TAR_FILE, "n3\377", NULL, .mode = 0100644 }, NULL, "'n3\\udcff' 0 '' 644 0 0 0 0 0:0 hdrcharset='BINARY'|" },
		{ { TAR_SYMBOLIC_LINK, "n4", "\300\200", .mode = 0120777 },
		  NULL,
		  "'n4' 2 '\\udcc0\\udc80' 777 0 0 0 0 0:0 hdrcharset='BINARY'|" },
		{ { TAR_FILE, "n5\nx = y", NULL, .mode = 0100644 }, NULL, "'n5\\nx = y' 0 '' 644 0 0 0 0 0:0 |" },
	};
	char wanted[8192] = "";
	size_t used = 0;
	int fd;

	(void)state;
	struct tar_write *tar = begin(&fd);
	for (size_t i = 0; i < array_count(rows); i++) {
		assert_worked(tar_write_entry(tar, &rows[i].entry, &err), &err);
		if (rows[i].content)
			assert_worked(tar_write_data(tar, rows[i].content, strlen(rows[i].content), &err), &err);
		used += (size_t)snprintf(wanted + used, sizeof(wanted) - used, "%s\n", rows[i].listed);
	}
	end(tar, fd);
	setenv("PYTHONIOENCODING", "utf-8", 1);
	assert_output(listing, wanted);
	assert_output("tar -xOf " ARCHIVE " file hard 2>/dev/null", "hello");
	run("tar --test-label -f " ARCHIVE " && tar -tvf " ARCHIVE " 2>/dev/null");
}

/* Each length of name and link around what a header holds, and around where a record's own length gets a digit more. */
static void names_of_every_length(void **state)
{
	static const struct {
		size_t from, to, slash; /* `slash`: one every so many characters */
	} ranges[] = { { 1, 130, 0 },      { 90, 300, 50 },     { 90, 290, 101 },   { 90, 290, 156 },
		       { 980, 1010, 200 }, { 4080, 4110, 255 }, { 9985, 9999, 255 } };
	FILE *wanted = fopen("wanted", "we");
	int fd, count = 0;

	(void)state;
	struct tar_write *tar = begin(&fd);
	for (size_t r = 0; r < array_count(ranges); r++) {
		for (size_t length = ranges[r].from; length <= ranges[r].to; length++, count++) {
			auto_free char *name = malloc(length + 1);

			assert_non_null(name);
			for (size_t i = 0; i < length; i++)
				name[i] =
					ranges[r].slash && i % ranges[r].slash == ranges[r].slash - 1 ? '/' : (char)('a' + i % 26);
			name[length] = '\0';
			bool directory = length % 2 == 0;
			if (directory)
				name[length - 1] = '/';
			struct tar_entry entry = { directory ? TAR_DIRECTORY : TAR_SYMBOLIC_LINK, name, directory ? NULL : name,
						   .mode = 0755 };
			assert_worked(tar_write_entry(tar, &entry, &err), &err);
			fprintf(wanted, "%s\n", name);
		}
	}
	assert_int_equal(fclose(wanted), 0);
	end(tar, fd);
	run("tar -tf " ARCHIVE " >got && cmp got wanted");
	run("/usr/bin/python3 -c 'import tarfile\n"
	    "got = [m for m in tarfile.open(\"" ARCHIVE "\", errorlevel=2)]\n"
	    "names = [line.rstrip(chr(10)).rstrip(chr(47)) for line in open(\"wanted\")]\n"
	    "assert [m.name.rstrip(chr(47)) for m in got] == names\n"
	    "assert all(m.linkname.rstrip(chr(47)) == m.name.rstrip(chr(47)) for m in got if m.issym())'");
	assert_true(count > 500);
}

/* What a header alone can say has nothing else: two blocks at the end and one an entry. */
static void records_only_where_needed(void **state)
{
	static const struct {
		size_t length,
			slash; /* a name of so many characters, of which one (not the first) may be a slash, and one at the end */
		int blocks;
	} rows[] = {
		{ 100, 0, 3 },   { 101, 0, 5 },   { 101, 1, 3 },   { 101, 100, 5 }, /* only the one at the end, and nothing is
										       behind that */
		{ 156, 155, 5 }, { 255, 154, 3 }, { 256, 155, 3 }, { 256, 154, 5 }, { 257, 156, 5 },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		char name[300] = "";
		struct tar_entry entry = { TAR_DIRECTORY, name, NULL, .mode = 0755, .mtime = { 1, 0 } };
		struct stat status;
		int fd;

		memset(name, 'a', rows[i].length);
		name[rows[i].length - 1] = '/';
		if (rows[i].slash)
			name[rows[i].slash] = '/';
		struct tar_write *tar = begin(&fd);
		assert_worked(tar_write_entry(tar, &entry, &err), &err);
		end(tar, fd);
		assert_int_equal(stat(ARCHIVE, &status), 0);
		check_row(status.st_size == rows[i].blocks * 512, "row %zu: %ld", i, (long)status.st_size);
	}
}

static void large_sizes(void **state)
{
	static const struct {
		uint64_t size;
		const char *said;
	} rows[] = { { 8589934591, "77777777777" },
		     { 8589934592, "size=8589934592\n" },
		     { 1ull << 50, "size=1125899906842624\n" } };
	static char zeros[512 * 512];

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct tar_entry entry = { TAR_FILE, "large", NULL, .mode = 0644, .size = rows[i].size };
		static char head[2048];
		uint8_t digest[DIGEST_SIZE];
		uint64_t bytes;
		int fd;

		struct tar_write *tar = begin(&fd);
		assert_worked(tar_write_entry(tar, &entry, &err), &err);
		assert_worked(tar_write_data(tar, zeros, sizeof(zeros), &err), &err); /* the first piece is out now */
		assert_failed(tar_write_end(tar, digest, &bytes, &err), &err, ERROR_INTERNAL, "");
		tar_write_free(tar);
		assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
		close(fd);
		check_row(memmem(head, sizeof(head), rows[i].said, strlen(rows[i].said)), "%s", rows[i].said);
	}
}

static void contents_of_every_size(void **state)
{
	static const size_t sizes[] = { 1, 511, 512, 513, 262143, 262144, 262145, 600000 };
	static char bytes[600000];
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 31 + i / 256);
	struct tar_write *tar = begin(&fd);
	for (size_t i = 0; i < array_count(sizes); i++) {
		char name[32];
		struct tar_entry entry = { TAR_FILE, name, NULL, .mode = 0644, .size = sizes[i] };
		fd_auto file = open("content", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		snprintf(name, sizeof(name), "read-%zu", sizes[i]);
		assert_int_equal(write(file, bytes, sizes[i]), sizes[i]);
		assert_int_equal(lseek(file, 0, SEEK_SET), 0);
		assert_worked(tar_write_entry(tar, &entry, &err), &err);
		assert_worked(tar_write_content(tar, file, &err), &err);
		snprintf(name, sizeof(name), "given-%zu", sizes[i]);
		assert_worked(tar_write_entry(tar, &entry, &err), &err);
		assert_worked(tar_write_data(tar, bytes, sizes[i] / 3, &err), &err);
		assert_worked(tar_write_data(tar, bytes + sizes[i] / 3, sizes[i] - sizes[i] / 3, &err), &err);
	}
	end(tar, fd);
	run("tar -xf " ARCHIVE);
	for (size_t i = 0; i < array_count(sizes); i++) {
		static char got[sizeof(bytes) + 1];
		char name[32];

		for (int way = 0; way < 2; way++) {
			snprintf(name, sizeof(name), "%s-%zu", way ? "read" : "given", sizes[i]);
			fd_auto file = open(name, O_RDONLY | O_CLOEXEC);
			check_row(read(file, got, sizeof(got)) == (ssize_t)sizes[i], "%s", name);
			check_row(memcmp(got, bytes, sizes[i]) == 0, "%s", name);
		}
	}
}

static void what_fails(void **state)
{
	static uint8_t value[1 << 20];
	struct xattr large = { "user.large", value, sizeof(value) }, equals = { "user.a=b", value, 1 };
	struct tar_entry file = { TAR_FILE, "file", NULL, .mode = 0644, .size = 1000 };
	struct tar_entry directory = { TAR_DIRECTORY, "directory/", NULL, .mode = 0755 };
	struct tar_write *tar;
	uint8_t digest[DIGEST_SIZE];
	uint64_t bytes;
	int fd;

	(void)state;
	tar = begin(&fd);
	assert_worked(tar_write_entry(tar, &file, &err), &err);
	assert_failed(tar_write_entry(tar, &directory, &err), &err, ERROR_INTERNAL, "");
	assert_failed(tar_write_data(tar, value, 1001, &err), &err, ERROR_INTERNAL, "");
	make_file("short", "short");
	fd_auto content = open("short", O_RDONLY | O_CLOEXEC);
	assert_int_equal(tar_write_content(tar, content, &err), -ESTALE);
	tar_write_free(tar);
	close(fd);
	tar = begin(&fd);
	directory.xattrs = &large;
	directory.xattr_count = 1;
	assert_failed(tar_write_entry(tar, &directory, &err), &err, ERROR_LAYER, "");
	assert_int_equal(err.errnum, E2BIG);
	directory.xattrs = &equals;
	assert_failed(tar_write_entry(tar, &directory, &err), &err, ERROR_LAYER, "");
	directory.xattr_count = 0;
	directory.device_minor = 1 << 21;
	assert_failed(tar_write_entry(tar, &directory, &err), &err, ERROR_LAYER, "");
	tar_write_free(tar);
	close(fd);
	fd_auto full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_worked(tar_write_begin(&tar, full, &err), &err);
	assert_int_equal(tar_write_end(tar, digest, &bytes, &err), -ENOSPC);
	tar_write_free(tar);
	tar_write_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(names_of_every_length, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(records_only_where_needed, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(large_sizes, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(contents_of_every_size, layer_tree_fresh, layer_tree_clean),
		cmocka_unit_test_setup_teardown(what_fails, layer_tree_fresh, layer_tree_clean),
	};

	return cmocka_run_group_tests(tests, layer_tree_make_top, layer_tree_remove_top);
}
