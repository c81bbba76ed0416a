/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/tar_reader.c agent/layer/tree.c agent/layer/tree_attributes.c agent/layer/tree_times.c */
/* links: agent/layer/tree_walk.c agent/layer/tree_whiteout.c agent/layer/digest.c agent/sys/libraries.c agent/sys/paths.c */
/* links: agent/layer/unpack.c */
/* fuzz: -max_len=20000 -rss_limit_mb=1024 */
/*
 * A layer's stream, from its packing to the tree, without the sandbox: what the sandbox is there to hold may not happen to begin
 * with. The tree and what is below lie in a directory with a third, which nothing may ever reach.
 */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/tar_reader.h"
#include "layer/tree.h"
#include "sys/paths.h"

static char top[] = "/tmp/coffer-fuzz-import-XXXXXX";
static int root = -1, start = -1;

static void remove_top(void)
{
	struct error err;

	if (root >= 0 && paths_remove_tree(root, ".", false, &err) == 0)
		rmdir(top);
}

static void write_file(const char *path, const char *text)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	must_hold(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_top(void)
{
	start = open(".", O_RDONLY | O_DIRECTORY);
	must_hold(start >= 0 && mkdtemp(top));
	root = open(top, O_RDONLY | O_DIRECTORY);
	must_hold(root >= 0 && atexit(remove_top) == 0);
	must_hold(mkdirat(root, "victim", 0755) == 0 && mkdirat(root, "lower", 0755) == 0 && mkdirat(root, "lower/d", 0755) == 0);
	write_file("victim/hello", "hello");
	write_file("lower/d/f", "text");
	must_hold(symlinkat("d", root, "lower/l") == 0 && symlinkat("/../victim", root, "lower/out") == 0);
}

static void look_at_victim(void)
{
	struct stat directory, file;

	must_hold(fstatat(root, "victim", &directory, 0) == 0 && fstatat(root, "victim/hello", &file, 0) == 0);
	must_hold(directory.st_mode == (S_IFDIR | 0755) && directory.st_nlink == 2);
	must_hold(file.st_mode == (S_IFREG | 0644) && file.st_nlink == 1 && file.st_size == 5);
	must_hold(fstatat(root, "lower/d/f", &file, 0) == 0 && file.st_nlink == 1 && file.st_size == 4);
}

static int unpack(struct tar_reader *reader, const struct import_request *request, struct error *err)
{
	struct tar_reader_entry entry;
	struct tree *tree;
	uint8_t sum[DIGEST_SIZE];
	uint64_t bytes;
	int result = tree_begin(&tree, request, err);

	must_hold(result == 0);
	while ((result = tar_reader_next(reader, &entry, err)) > 0) {
		must_hold(entry.path[0] && entry.mode <= 07777 && entry.changed.tv_sec >= 0);
		result = tree_add(tree, reader, &entry, err);
		if (result < 0)
			break;
	}
	if (result == 0)
		result = tree_finish(tree, err);
	if (result == 0)
		result = tar_reader_finish(reader, sum, &bytes, err);
	must_hold(tree->bytes <= request->limits.bytes && tree->files <= request->limits.files);
	tree_end(tree);
	return result;
}

/* What looks like a header gets the sum that it should have: else hardly one that was changed would be looked at. */
static void write_stream(int fd, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	must_hold(copy);
	memcpy(copy, data, size);
	for (size_t at = 0; at + 512 <= size; at += 512) {
		unsigned sum = 0;

		if (memcmp(copy + at + 257, "ustar", 5) != 0)
			continue;
		memset(copy + at + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += copy[at + i];
		char text[8];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(copy + at + 148, text, 7);
	}
	must_hold(write(fd, copy, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tar_reader *reader;
	struct error err = { 0 };

	if (root < 0)
		make_top();
	must_hold(mkdirat(root, "tree", 0700) == 0);
	struct import_request request = {
		.from = memfd_create("stream", MFD_CLOEXEC),
		.tree = openat(root, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.lower = size % 2 ? openat(root, "lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1,
		.spool = memfd_create("spool", MFD_CLOEXEC),
		.limits = { .bytes = 1 << 20, .files = 200 },
	};
	must_hold(request.from >= 0 && request.tree >= 0 && request.spool >= 0);
	write_stream(request.from, data, size);
	must_hold(tar_reader_open(&reader, request.from, 8 << 20, 0, &err) == 0);
	if (unpack(reader, &request, &err) < 0)
		must_hold(err.code == ERROR_LAYER || err.code == ERROR_INTERNAL);
	tar_reader_close(reader);
	close(request.from);
	close(request.tree);
	close(request.spool);
	if (request.lower >= 0)
		close(request.lower);
	/* The working directory was in the tree, as extended attributes are set from there; libFuzzer's paths start where it was.
	 */
	must_hold(fchdir(start) == 0);
	look_at_victim();
	must_hold(paths_remove_tree(root, "tree", true, &err) == 0);
	return 0;
}
