/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNIT_LAYER_TREE_H
#define UNIT_LAYER_TREE_H

/* A directory for the tests of layers, made anew for each, in which the test runs; and other programs' opinions. */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "unit/test.h"

static char layer_tree_top[] = "/tmp/coffer-layer-XXXXXX";

/* What a command prints; the test fails if the command does.  To be freed. */
static inline char *output_of(const char *command)
{
	size_t size = 0, room = 1 << 20;
	char *text = malloc(room);
	FILE *pipe = popen(command, "re");

	assert_non_null(text);
	assert_non_null(pipe);
	while (size + 1 < room) {
		size_t part = fread(text + size, 1, room - size - 1, pipe);

		if (part == 0)
			break;
		size += part;
	}
	text[size] = '\0';
	int status = pclose(pipe);
	check_row(status == 0, "%s: status %d, printed %s", command, status, text);
	return text;
}

static inline void run(const char *command)
{
	free(output_of(command));
}

static inline void assert_output(const char *command, const char *wanted)
{
	auto_free char *got = output_of(command);

	if (strcmp(got, wanted) == 0)
		return;
	/* cmocka cuts a long message off. */
	fprintf(stderr, "--- got\n%s--- wanted\n%s---\n", got, wanted);
	fail_msg("%s", command);
}

static inline int layer_tree_make_top(void **state)
{
	(void)state;
	return mkdtemp(layer_tree_top) ? 0 : -1;
}

static inline int layer_tree_remove_top(void **state)
{
	(void)state;
	return rmdir(layer_tree_top);
}

static inline int layer_tree_fresh(void **state)
{
	(void)state;
	umask(022);
	return chdir(layer_tree_top);
}

static inline int layer_tree_clean(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "cd %s && find . -mindepth 1 -delete", layer_tree_top);
	run(command);
	return chdir("/");
}

/* Whiteouts and attributes of overlayfs are root's, on a file system that has them. */
static inline void skip_without_overlay_marks(void)
{
	bool can = mkdir("probe", 0700) == 0 && mknod("probe/whiteout", S_IFCHR, 0) == 0 &&
		   setxattr("probe", "trusted.overlay.opaque", "y", 1, 0) == 0 && setxattr("probe", "user.a", "b", 1, 0) == 0;

	run("rm -rf probe");
	if (!can) {
		print_message("SKIPPED: no device nodes or no trusted.* attributes in %s (uid %d): %s\n", layer_tree_top,
			      (int)geteuid(), strerror(errno));
		skip();
	}
}

static inline int open_tree_at(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	check_row(fd >= 0, "%s", path);
	return fd;
}

static inline void make_directory(const char *path)
{
	check_row(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
}

static inline void make_file(const char *path, const char *content)
{
	fd_auto fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	check_row(fd >= 0, "%s: %s", path, strerror(errno));
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
}

static inline void make_whiteout(const char *path)
{
	check_row(mknod(path, S_IFCHR, 0) == 0, "%s: %s", path, strerror(errno));
}

static inline void make_opaque(const char *path)
{
	check_row(setxattr(path, "trusted.overlay.opaque", "y", 1, 0) == 0, "%s: %s", path, strerror(errno));
}

/* The time of everything in the tree, links and the tree's own directory included. */
static inline void set_times(const char *path, const char *time)
{
	char command[512];

	snprintf(command, sizeof(command), "find %s -depth -print0 | xargs -0 touch -h -d '%s'", path, time);
	run(command);
}

#endif
