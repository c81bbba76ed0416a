/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNIT_IMPORT_H
#define UNIT_IMPORT_H

#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "layer/import.h"
#include "sys/paths.h"
#include "unit/tar.h"

/* What the tests of import_layer share: a directory with tree, lower and victim in it, and an import into that. */

static char top[] = "/tmp/coffer-import-XXXXXX";
static struct error err;
static struct import_result result;
static struct import_request request;

static inline int make_top(void **state)
{
	(void)state;
	umask(022);
	if (geteuid() != 0) {
		print_message("SKIPPED: import_layer makes namespaces and owners, which takes root\n");
		return -1;
	}
	return mkdtemp(top) && chdir(top) == 0 ? 0 : -1;
}

static inline int remove_top(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(top) == 0 ? 0 : -1;
}

static inline int clean(void **state)
{
	fd_auto fd = open(top, O_RDONLY | O_DIRECTORY);

	(void)state;
	close_fd(&request.tree);
	close_fd(&request.lower);
	close_fd(&request.spool);
	return paths_remove_tree(fd, ".", false, &err);
}

/* A fresh tree; `lower` as a text, or NULL for none. */
static inline void fresh(const char *lower)
{
	assert_int_equal(clean(NULL), 0);
	assert_int_equal(mkdir("tree", 0700), 0);
	assert_int_equal(mkdir("lower", 0755), 0);
	assert_int_equal(mkdir("work", 0755), 0);
	assert_int_equal(mkdir("merged", 0755), 0);
	assert_int_equal(mkdir("victim", 0755), 0);
	request = (struct import_request){
		.from = -1,
		.tree = open("tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.lower = -1,
		.spool = open("spool", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
		.limits = { .bytes = 1 << 20, .files = 4000 },
	};
	fd_auto fd = open("victim", O_RDONLY | O_DIRECTORY);
	tree_text_make(fd, "f hello=hello");
	if (lower) {
		request.lower = open("lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		tree_text_make(request.lower, lower);
	}
}

static inline int import_bytes(const void *bytes, size_t size)
{
	fd_auto from = memfd_create("layer", MFD_CLOEXEC);

	assert_int_equal(write(from, bytes, size), size);
	assert_int_equal(lseek(from, 0, SEEK_SET), 0);
	request.from = from;
	err = (struct error){ 0 };
	return import_layer(&request, &result, &err);
}

static inline int import_tar(struct tar *tar)
{
	tar_end(tar);
	int outcome = import_bytes(tar->bytes, tar->size);
	tar_free(tar);
	return outcome;
}

static inline int import_text(const char *text)
{
	struct tar tar = { 0 };

	tar_add_text(&tar, text);
	return import_tar(&tar);
}

static inline char *read_tree(const char *path)
{
	fd_auto fd = open(path, O_RDONLY | O_DIRECTORY);

	return tree_text_read(fd);
}

static inline void assert_tree(const char *what, const char *path, const char *wanted)
{
	auto_free char *got = read_tree(path);

	check_row(strcmp(got, wanted) == 0, "%s: %s is\n    \"%s\", not\n    \"%s\"", what, path, got, wanted);
}

static inline struct stat status_of(const char *path)
{
	struct stat status;

	check_row(lstat(path, &status) == 0, "%s", path);
	return status;
}

#endif
