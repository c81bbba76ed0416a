/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/import.c agent/layer/tar_reader.c agent/layer/tree.c agent/layer/tree_attributes.c agent/layer/tree_times.c */
/* links: agent/layer/tree_walk.c agent/layer/tree_whiteout.c agent/layer/sandbox.c agent/layer/digest.c agent/sys/libraries.c */
/* links: agent/sys/mounts.c agent/sys/paths.c agent/base/undo.c tests/unit/tar.c -lz -lzstd -Wl,--wrap=tree_add */
/* links: agent/layer/unpack.c */
/* The stream that import_layer reads: how it is packed and summed up, where it is damaged; and the child that takes it apart. */
#include "unit/import.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layer/tree.h"
#include "unit/pack.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED false
#endif

static struct tar a_tar(void)
{
	static char data[300000];
	struct tar tar = { 0 };

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * i >> 7 ^ i);
	tar_add(&tar, &(struct tar_file){ .name = "large", .data = data, .size = sizeof(data) });
	tar_add_text(&tar, "d d;f d/f=text;l l=d");
	tar_end(&tar);
	return tar;
}

static void sum_up(const void *bytes, size_t size, uint8_t sum[DIGEST_SIZE])
{
	struct digest *digest;

	assert_worked(digest_begin(&digest, &err), &err);
	digest_add(digest, bytes, size);
	digest_end(digest, sum);
}

/* How a stream is made of a tar; all come to the same tree. */
enum packing { PLAIN, GZIP, GZIP_TWO, ZSTD, ZSTD_TWO, ZSTD_SKIPPABLE, ZSTD_8M };

static struct tar pack(const struct tar *tar, enum packing packing)
{
	static const unsigned char skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'w', 'o', 'r', 'd' };
	struct tar out = { 0 };
	size_t half = tar->size / 2 + 7;

	switch (packing) {
	case PLAIN:
		tar_append(&out, tar->bytes, tar->size);
		break;
	case GZIP:
		pack_gzip(&out, tar->bytes, tar->size);
		break;
	case GZIP_TWO:
		pack_gzip(&out, tar->bytes, half);
		pack_gzip(&out, tar->bytes + half, tar->size - half);
		break;
	case ZSTD:
		pack_zstd(&out, tar->bytes, tar->size, 0);
		break;
	case ZSTD_8M:
		pack_zstd(&out, tar->bytes, tar->size, 23);
		break;
	case ZSTD_TWO:
	case ZSTD_SKIPPABLE:
		pack_zstd(&out, tar->bytes, half, 0);
		if (packing == ZSTD_SKIPPABLE)
			tar_append(&out, skippable, sizeof(skippable));
		pack_zstd(&out, tar->bytes + half, tar->size - half, 0);
		if (packing == ZSTD_SKIPPABLE)
			tar_append(&out, skippable, sizeof(skippable));
	}
	return out;
}

static void packings(void **state)
{
	(void)state;
	for (enum packing packing = PLAIN; packing <= ZSTD_8M; packing++) {
		struct tar tar = a_tar();
		struct tar stream = pack(&tar, packing);
		uint8_t digest[DIGEST_SIZE], diff_id[DIGEST_SIZE];
		char digest_text[DIGEST_TEXT], diff_id_text[DIGEST_TEXT];

		fresh(NULL);
		sum_up(stream.bytes, stream.size, digest);
		sum_up(tar.bytes, tar.size, diff_id);
		digest_format(digest, digest_text);
		digest_format(diff_id, diff_id_text);
		request.digest = digest_text;
		request.diff_id = diff_id_text;
		check_row(import_bytes(stream.bytes, stream.size) == 0, "packing %u: %s", packing, err.message);
		assert_memory_equal(result.digest, digest, DIGEST_SIZE);
		assert_memory_equal(result.diff_id, diff_id, DIGEST_SIZE);
		assert_int_equal(result.stream_bytes, stream.size);
		assert_int_equal(result.tar_bytes, tar.size);
		assert_int_equal(result.size, 300004);
		assert_int_equal(result.files, 4);
		auto_free char *large = malloc(300000);
		fd_auto fd = open("tree/large", O_RDONLY);
		assert_int_equal(read(fd, large, 300000), 300000);
		assert_memory_equal(large, tar.bytes + 512, 300000);
		assert_int_equal(truncate("tree/large", 0), 0);
		assert_tree("packed", "tree", "d d;f d/f=text;l l=d;e large");
		tar_free(&stream);
		tar_free(&tar);
	}
}

static void digests_that_differ(void **state)
{
	static const char other[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

	(void)state;
	fresh(NULL);
	request.digest = other;
	assert_failed(import_text("f a=1"), &err, ERROR_DIGEST, "");
	assert_true(strstr(err.message, other) && strstr(err.message, "stream"));
	fresh(NULL);
	request.diff_id = other;
	assert_failed(import_text("f a=1"), &err, ERROR_DIGEST, "");
	assert_true(strstr(err.message, other) && strstr(err.message, "diff_id"));
	/* What lies behind the tar's end counts. */
	struct tar tar = a_tar();
	uint8_t sum[DIGEST_SIZE];
	char text[DIGEST_TEXT];
	sum_up(tar.bytes, tar.size, sum);
	digest_format(sum, text);
	tar_append(&tar, "!", 1);
	fresh(NULL);
	request.diff_id = text;
	assert_failed(import_bytes(tar.bytes, tar.size), &err, ERROR_DIGEST, "");
	fresh(NULL);
	request.digest = text;
	assert_failed(import_bytes(tar.bytes, tar.size), &err, ERROR_DIGEST, "");
	tar_free(&tar);
	fresh(NULL);
	request.diff_id = "sha512:0";
	assert_failed(import_text("f a=1"), &err, ERROR_PARAMS, "");
}

static void nothing(void **state)
{
	static const char empty[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct tar packed = { 0 };

	(void)state;
	fresh(NULL);
	request.digest = request.diff_id = empty;
	assert_worked(import_bytes("", 0), &err);
	assert_tree("nothing", "tree", "");
	pack_gzip(&packed, "", 0);
	fresh(NULL);
	request.diff_id = empty;
	assert_worked(import_bytes(packed.bytes, packed.size), &err);
	assert_tree("nothing, packed", "tree", "");
	tar_free(&packed);
}

static void cut_streams(void **state)
{
	(void)state;
	for (enum packing packing = PLAIN; packing <= ZSTD; packing++) {
		struct tar tar = a_tar();
		struct tar stream = pack(&tar, packing);
		const size_t lengths[] = { 1, 100, 511, 513, 1000, stream.size / 2, 300000, 301000 };

		for (size_t i = 0; i < array_count(lengths) && packing != GZIP_TWO; i++) {
			if (lengths[i] >= stream.size - 2000 + (packing == PLAIN ? 0 : 1900))
				continue;
			fresh(NULL);
			check_row(import_bytes(stream.bytes, lengths[i]) < 0, "packing %u cut at %zu was taken", packing,
				  lengths[i]);
			check_row(err.code == ERROR_LAYER, "packing %u cut at %zu: %s", packing, lengths[i], err.message);
		}
		tar_free(&stream);
		tar_free(&tar);
	}
}

static void what_is_no_tar(void **state)
{
	static const unsigned char xz[600] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	struct tar tar = a_tar(), once = { 0 }, twice = { 0 };

	(void)state;
	fresh(NULL);
	assert_failed(import_bytes(xz, sizeof(xz)), &err, ERROR_LAYER, "");
	fresh(NULL);
	assert_failed(import_bytes("hello", 5), &err, ERROR_LAYER, "");
	pack_gzip(&once, tar.bytes, tar.size);
	pack_zstd(&twice, once.bytes, once.size, 0);
	fresh(NULL);
	assert_failed(import_bytes(twice.bytes, twice.size), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "more than once"));
	/* A header whose sum is wrong, after a good entry. */
	struct tar bad = { 0 };
	tar_add_text(&bad, "f a=1;f b=2");
	bad.bytes[1024 + 20] ^= 1;
	fresh(NULL);
	assert_failed(import_tar(&bad), &err, ERROR_LAYER, "");
	tar_free(&tar);
	tar_free(&once);
	tar_free(&twice);
}

/* Memory is bounded whatever the archive. */
static void a_window_that_is_too_large(void **state)
{
	struct tar tar = a_tar(), packed = { 0 };

	(void)state;
	pack_zstd(&packed, tar.bytes, tar.size, 24);
	fresh(NULL);
	assert_failed(import_bytes(packed.bytes, packed.size), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "memory"));
	tar_free(&tar);
	tar_free(&packed);
}

static void a_bomb(void **state)
{
	struct tar tar = { 0 }, packed = { 0 };
	static char zeros[1 << 20];

	(void)state;
	/* Behind the tar's end, where no entry counts it: the limit of the tar is 64 MiB here and what its files are given. */
	tar_add_text(&tar, "f a=1");
	tar_end(&tar);
	for (int i = 0; i < 70; i++)
		tar_append(&tar, zeros, sizeof(zeros));
	pack_gzip(&packed, tar.bytes, tar.size);
	fresh(NULL);
	request.limits = (struct import_limits){ .bytes = 10, .files = 10 };
	assert_failed(import_bytes(packed.bytes, packed.size), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "limits"));
	fresh(NULL);
	request.limits.bytes = 100 << 20;
	assert_worked(import_bytes(packed.bytes, packed.size), &err);
	fresh(NULL);
	request.limits = (struct import_limits){ .bytes = 100 << 20, .files = 10, .ratio = 900 };
	assert_failed(import_bytes(packed.bytes, packed.size), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "900 times"));
	tar_free(&tar);
	tar_free(&packed);
}

static void sparse_files(void **state)
{
	static const char map[] = "2\n0\n3\n500000\n4\n";
	struct tar tar = { 0 };
	char data[1024] = { 0 }, got[8] = "";

	(void)state;
	memcpy(data, map, sizeof(map) - 1);
	memcpy(data + 512, "abcwxyz", 7);
	const struct tar_file file = { .name = "GNUSparseFile.0/s",
				       .data = data,
				       .size = 519,
				       .pax = { "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=s",
						"GNU.sparse.realsize=900000" } };
	tar_add(&tar, &file);
	fresh(NULL);
	assert_worked(import_tar(&tar), &err);
	struct stat status = status_of("tree/s");
	assert_int_equal(status.st_size, 900000);
	assert_true(status.st_blocks < 100);
	assert_int_equal(result.size, 900000);
	fd_auto fd = open("tree/s", O_RDONLY);
	assert_int_equal(pread(fd, got, 4, 500000), 4);
	assert_string_equal(got, "wxyz");

	/* 2^50 bytes: more than the limit, holes or not. */
	struct tar_file huge = file;
	huge.pax[3] = "GNU.sparse.realsize=1125899906842624";
	tar_add(&tar, &huge);
	fresh(NULL);
	assert_failed(import_tar(&tar), &err, ERROR_LAYER, "");
	assert_non_null(strstr(err.message, "bytes"));
}

/* Readers differ in what they make of these; here pax is what counts, and what it has broken is not passed over. */
static void pax_headers(void **state)
{
	static const char decomposed[] = "cafe\xcc\x81", latin[] = "caf\xe9";
	struct tar tar = { 0 };

	(void)state;
	/* CVE-2025-62518: the size of ustar says none, and pax' covers what looks like an entry. */
	char inner[1024] = "";
	struct tar hidden = { 0 };
	tar_add_text(&hidden, "f hidden");
	memcpy(inner, hidden.bytes, 512);
	tar_free(&hidden);
	tar_add(&tar, &(struct tar_file){
			      .name = "outer", .data = inner, .size = 1024, .declared = "00000000000", .pax = { "size=1024" } });
	tar_add_text(&tar, "f last=1");
	fresh(NULL);
	assert_worked(import_tar(&tar), &err);
	assert_int_equal(truncate("tree/outer", 0), 0);
	assert_tree("sizes", "tree", "f last=1;e outer");

	/* Names are bytes: neither composed nor refused. */
	tar_add(&tar, &(struct tar_file){ .name = "x", .data = "1", .pax = { "path=cafe\xcc\x81" } });
	tar_add(&tar, &(struct tar_file){ .name = latin, .data = "2" });
	tar_add(&tar, &(struct tar_file){ .name = "y", .type = '2', .link = "z", .pax = { "linkpath=cafe\xcc\x81" } });
	fresh(NULL);
	assert_worked(import_tar(&tar), &err);
	char wanted[64];
	snprintf(wanted, sizeof(wanted), "f %s=1;f %s=2;l y=%s", decomposed, latin, decomposed);
	assert_tree("names", "tree", wanted);

	static const char *const broken[] = { "size=-1", "size=99999999999999999999", "path=../x", "linkpath=" };
	for (size_t i = 0; i < array_count(broken); i++) {
		tar_add(&tar, &(struct tar_file){ .name = "x", .type = i == 3 ? '2' : '0', .pax = { broken[i] } });
		fresh(NULL);
		check_row(import_tar(&tar) < 0 && err.code == ERROR_LAYER, "%s: %s", broken[i], err.message);
	}
	/* A record whose length is a lie. */
	tar_add(&tar, &(struct tar_file){ .name = "pax", .type = 'x', .data = "99 path=y\n" });
	tar_add_text(&tar, "f x=1");
	fresh(NULL);
	assert_failed(import_tar(&tar), &err, ERROR_LAYER, "");
}

static void unknown_types(void **state)
{
	struct tar tar = { 0 };

	(void)state;
	tar_add(&tar, &(struct tar_file){ .name = "z", .type = 'Z', .data = "1" });
	tar_add(&tar, &(struct tar_file){ .name = "7", .type = '7', .data = "2" });
	tar_add(&tar, &(struct tar_file){ .name = "volume", .type = 'V' });
	fresh(NULL);
	assert_worked(import_tar(&tar), &err);
	assert_tree("types", "tree", "f 7=2;f z=1");
}

/* ---- the child ---- */

int __real_tree_add(struct tree *tree, struct tar_reader *reader, const struct tar_reader_entry *entry, struct error *err);
int __wrap_tree_add(struct tree *tree, struct tar_reader *reader, const struct tar_reader_entry *entry, struct error *err);

/* Says what it can see from within: nothing but the tree and what is below, which is read-only. */
static int look_around(const struct tree *tree, struct error *failure)
{
	struct stat root, above;
	int lower = tree->request->lower;

	if (openat(AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0 || openat(AT_FDCWD, "/proc/self/status", O_RDONLY) >= 0)
		return error_set(failure, ERROR_LAYER, 0, "sees the files outside");
	if (openat(AT_FDCWD, "/new", O_WRONLY | O_CREAT, 0600) >= 0)
		return error_set(failure, ERROR_LAYER, 0, "writes outside of the tree");
	if (openat(tree->request->tree, "../../../../victim/hello", O_RDONLY) >= 0)
		return error_set(failure, ERROR_LAYER, 0, "leaves the tree upwards");
	if (fstatat(AT_FDCWD, "/", &root, 0) < 0 || fstatat(tree->request->tree, "..", &above, 0) < 0 ||
	    root.st_ino != above.st_ino || root.st_dev != above.st_dev)
		return error_set(failure, ERROR_LAYER, 0, "something is above the tree");
	if (openat(lower, "new", O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS)
		return error_set(failure, ERROR_LAYER, 0, "writes below");
	for (int fd = SANITIZED ? 3 : 0, links = 0; fd < 1024; fd++) {
		struct stat status;

		if (fstat(fd, &status) < 0)
			continue;
		if (S_ISDIR(status.st_mode) && ++links && status.st_dev != above.st_dev && fd != tree->request->tree &&
		    fd != lower && fd != tree->last.upper && fd != tree->last.lower)
			return error_set(failure, ERROR_LAYER, 0, "the descriptor %d is of elsewhere", fd);
		if (links > 12)
			return error_set(failure, ERROR_LAYER, 0, "too many directories are open");
	}
	return error_set(failure, ERROR_LAYER, ENOSPC, "looked around\n");
}

int __wrap_tree_add(struct tree *tree, struct tar_reader *reader, const struct tar_reader_entry *entry, struct error *failure)
{
	if (strcmp(entry->path, "look") == 0)
		return look_around(tree, failure);
	if (strcmp(entry->path, "crash") == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)16 = 1;
	}
	if (strcmp(entry->path, "signal") == 0)
		syscall(SYS_tgkill, 1, 1, 0);
	if (strcmp(entry->path, "own") == 0)
		fcntl(3, F_SETOWN, 1);
	if (strcmp(entry->path, "exit") == 0)
		syscall(SYS_exit_group, 7);
	if (strcmp(entry->path, "socket") == 0)
		syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	if (strcmp(entry->path, "mount") == 0)
		syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL);
	if (strcmp(entry->path, "unshare") == 0)
		syscall(SYS_unshare, 0);
	if (strcmp(entry->path, "execute") == 0)
		syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (strcmp(entry->path, "execve") == 0)
		syscall(SYS_execve, "/tree/x", NULL, NULL);
	if (strcmp(entry->path, "kernel") == 0)
		return error_set(failure, ERROR_DIGEST, 0, "a code that is not the reader's to give");
	return __real_tree_add(tree, reader, entry, failure);
}

static void the_sandbox(void **state)
{
	static const struct {
		const char *entry, *why;
	} rows[] = {
		{ "f look", "looked around?" }, { "f crash", "signal 11" },    { "f signal", "may not do" },
		{ "f own", "may not do" },      { "f exit", "status 7" },      { "f socket", "may not do" },
		{ "f mount", "may not do" },    { "f unshare", "may not do" }, { "f execute", "may not do" },
		{ "f execve", "may not do" },   { "f kernel", "a code that" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		fresh("d d");
		check_row(import_text(rows[i].entry) < 0, "%s", rows[i].entry);
		check_row(err.code == ERROR_LAYER && strstr(err.message, rows[i].why), "%s: %s: %s", rows[i].entry,
			  error_wire_name(err.code), err.message);
		check_row(strcmp(rows[i].entry, "f look") != 0 || err.errnum == ENOSPC, "errno %d", err.errnum);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	}
}

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static uint64_t told, times;

static void note(void *context, uint64_t bytes)
{
	assert_ptr_equal(context, &told);
	assert_true(bytes > told);
	told = bytes;
	times++;
}

/* A slow writer at a pipe; progress; and no descriptor is lost. */
static void a_pipe(void **state)
{
	static char data[9 << 20];
	struct tar tar = { 0 };
	int ends[2];

	(void)state;
	tar_add(&tar, &(struct tar_file){ .name = "large", .data = data, .size = sizeof(data) });
	tar_end(&tar);
	fresh(NULL);
	request.limits.bytes = sizeof(data);
	request.progress = note;
	request.progress_context = &told;
	assert_int_equal(pipe(ends), 0);
	pid_t writer = fork();
	if (writer == 0) {
		for (size_t at = 0; at < tar.size;) {
			ssize_t put = write(ends[1], tar.bytes + at, at < 2000 ? 100 : tar.size - at);

			if (put <= 0)
				_exit(1);
			at += (size_t)put;
			if (at < 2000)
				usleep(1000);
		}
		_exit(0);
	}
	close(ends[1]);
	request.from = ends[0];
	int before = count_descriptors(), status = 1;
	assert_worked(import_layer(&request, &result, &err), &err);
	assert_int_equal(count_descriptors(), before);
	close(ends[0]);
	assert_int_equal(waitpid(writer, &status, 0), writer);
	assert_int_equal(status, 0);
	assert_int_equal(result.stream_bytes, tar.size);
	assert_int_equal(times, 2);
	tar_free(&tar);
}

static void a_stream_that_cannot_be_read(void **state)
{
	(void)state;
	fresh(NULL);
	fd_auto from = open("victim", O_RDONLY | O_DIRECTORY);
	request.from = from;
	assert_int_equal(import_layer(&request, &result, &err), -EISDIR);
	assert_int_equal(err.code, ERROR_INTERNAL);
}

/* A file system without room: the errno goes up as it is. */
static void no_space(void **state)
{
	struct tar tar = a_tar();

	(void)state;
	fresh(NULL);
	close_fd(&request.tree);
	assert_int_equal(mount("tmpfs", "tree", "tmpfs", 0, "size=64k"), 0);
	request.tree = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int outcome = import_bytes(tar.bytes, tar.size);
	close_fd(&request.tree);
	assert_int_equal(umount("tree"), 0);
	assert_int_equal(outcome, -ENOSPC);
	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_non_null(strstr(err.message, "large"));
	tar_free(&tar);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(packings, clean),
		cmocka_unit_test_teardown(digests_that_differ, clean),
		cmocka_unit_test_teardown(nothing, clean),
		cmocka_unit_test_teardown(cut_streams, clean),
		cmocka_unit_test_teardown(what_is_no_tar, clean),
		cmocka_unit_test_teardown(a_window_that_is_too_large, clean),
		cmocka_unit_test_teardown(a_bomb, clean),
		cmocka_unit_test_teardown(sparse_files, clean),
		cmocka_unit_test_teardown(pax_headers, clean),
		cmocka_unit_test_teardown(unknown_types, clean),
		cmocka_unit_test_teardown(the_sandbox, clean),
		cmocka_unit_test_teardown(a_pipe, clean),
		cmocka_unit_test_teardown(a_stream_that_cannot_be_read, clean),
		cmocka_unit_test_teardown(no_space, clean),
	};

	request.tree = request.lower = request.spool = -1;
	return cmocka_run_group_tests(tests, make_top, remove_top);
}
