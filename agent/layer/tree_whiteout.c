/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/tree_whiteout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/tree_attributes.h"
#include "layer/tree_walk.h"

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* 1: there is one, and *child is its descriptor, or it was a whiteout and is gone; 0: nothing to do with it. */
static int purge_entry(int directory, const char *name, int *child, struct error *err)
{
	struct stat status;
	int result = tree_walk_look(directory, name, &status, err);

	*child = -1;
	if (result <= 0)
		return result;
	if (tree_walk_is_whiteout(&status))
		return unlinkat(directory, name, 0) < 0 ? error_set(err, ERROR_INTERNAL, errno, "remove a whiteout") : 0;
	if (!S_ISDIR(status.st_mode))
		return 0;
	*child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (*child < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open a directory to look for whiteouts");
	if (tree_attributes_is_opaque(*child))
		close_fd(child); /* it was looked through when it became that */
	return 0;
}

/*
 * Takes the whiteouts out of a directory and of all below it.  An archive decides how deep that is: one level at a time is open,
 * and what is remembered of those above is how far they were read.
 */
static int purge(struct tree *tree, int top, struct error *err)
{
	fd_auto current = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	off_t back[TREE_DEPTH];
	unsigned depth = 0;

	if (current < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open a directory to look for whiteouts");
	for (;;) {
		ssize_t size = getdents64(current, tree->buffer, sizeof(tree->buffer));
		int next = -1;

		if (size < 0)
			return error_set(err, ERROR_INTERNAL, errno, "read a directory to look for whiteouts");
		if (size == 0 && depth == 0)
			return 0;
		for (ssize_t at = 0; at < size && next < 0;) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)(tree->buffer + at);
			int result = is_dots(entry->d_name) ? 0 : purge_entry(current, entry->d_name, &next, err);

			if (result < 0)
				return result;
			if (next >= 0 && depth < TREE_DEPTH)
				back[depth] = entry->d_off;
			at += entry->d_reclen;
		}
		if (next >= 0 && ++depth > TREE_DEPTH) {
			close(next);
			return error_set(err, ERROR_INTERNAL, ELOOP, "look for whiteouts");
		}
		if (size == 0) {
			next = openat(current, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (next < 0 || lseek(next, back[--depth], SEEK_SET) < 0) {
				error_set(err, ERROR_INTERNAL, errno, "go back from looking for whiteouts");
				cleanup_fd(&next);
				return -err->errnum;
			}
		}
		if (next >= 0) {
			close_fd(&current);
			current = next;
		}
	}
}

static int make_opaque(struct tree *tree, const struct tree_place *place, const char *name, struct error *err)
{
	fd_auto directory = openat(place->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (directory < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the directory");
	if (tree_attributes_is_opaque(directory))
		return 0;
	int result = purge(tree, directory, err);
	return result < 0 ? result : tree_attributes_make_opaque(place, name, err);
}

int tree_whiteout_name(struct tree *tree, const struct tree_place *place, const char *name, struct error *err)
{
	static const struct timespec times[2];
	struct stat status;
	int result = 0;

	if (tree->request->lower < 0)
		result = !tree_attributes_is_opaque(place->upper);
	else if (place->lower >= 0)
		result = tree_walk_look(place->lower, name, &status, err);
	if (result <= 0)
		return result; /* nothing to hide */
	result = tree_walk_look(place->upper, name, &status, err);
	if (result < 0)
		return result;
	if (result > 0)
		return S_ISDIR(status.st_mode) ? make_opaque(tree, place, name, err) : 0;
	result = tree_walk_count(tree, err);
	if (result == 0 && (mknodat(place->upper, name, S_IFCHR, makedev(0, 0)) < 0 ||
			    utimensat(place->upper, name, times, AT_SYMLINK_NOFOLLOW) < 0))
		result = error_set(err, ERROR_INTERNAL, errno, "make a whiteout");
	return result;
}

/* Overlayfs does not look at the mark at the top of a layer: there each name is taken away on its own. */
static int whiteout_top(struct tree *tree, const struct tree_place *place, struct error *err)
{
	fd_auto copy = openat(place->lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_dir stream = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;
	int result = 0;

	if (!stream)
		return error_set(err, ERROR_INTERNAL, errno, "read the top of what is below");
	copy = -1; /* closedir closes it */
	while (result == 0 && (errno = 0, entry = readdir(stream))) {
		if (!is_dots(entry->d_name))
			result = tree_whiteout_name(tree, place, entry->d_name, err);
	}
	if (result == 0 && errno)
		result = error_set(err, ERROR_INTERNAL, errno, "read the top of what is below");
	return result;
}

int tree_whiteout_all(struct tree *tree, struct tree_place *place, struct error *err)
{
	int result = 0;

	if (place->path[0] || place->lower < 0)
		result = make_opaque(tree, place, ".", err);
	else
		result = whiteout_top(tree, place, err);
	if (!place->path[0])
		tree->lower = -1;
	close_fd(&place->lower);
	return result;
}
