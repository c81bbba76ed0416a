/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_WALK_H
#define LAYER_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

/*
 * A walk through a tree, or through two of which one lies upon the other, for workers.  By descriptors: no symbolic link is
 * followed, no path is too long, and of each tree one directory is open at a time.  A directory comes before what is in it, names
 * in the order of their bytes, so every walk of the same tree is the same.  A directory on another file system than its tree is
 * given, but not entered.
 *
 * Whoever else changes the tree meanwhile gets an error (ESTALE) or is not noticed, and never leads the walk out of it.
 */

#define WALK_DEPTH_MAX 4096u       /* directories within one another, the tree itself not counted: else ELOOP */
#define WALK_NAMES_MAX (16u << 20) /* bytes, with terminators, of what is in the directories of one path: else E2BIG */

enum { WALK_TREE, WALK_LOWER, WALK_TREES };

struct walk_entry {
	const char *path;          /* "/a/b", and */
	const char *name;          /* "b" of it */
	unsigned depth;            /* 0: in the tree's own directory */
	bool there[WALK_TREES];    /* whether that tree has it; if so: */
	int directory[WALK_TREES]; /* a descriptor of what it is in, of the walk */
	struct stat status[WALK_TREES];
};

struct walk; /* a walk under way */

/* `tree` and `lower`: descriptors of directories, O_PATH is enough; they are not used any more afterwards.  `lower` may be -1. */
must_check int walk_begin(struct walk **walk, int tree, int lower, struct error *err);
/*
 * 1: *entry is the next one, till the next call; 0: there is none; or an error (ERROR_LAYER for a limit, else ERROR_INTERNAL).
 * A directory is entered if `tree` has it, in `lower` too if that has a directory of this name.  Names are those that `tree` has.
 */
must_check int walk_next(struct walk *walk, const struct walk_entry **entry, struct error *err);
/* From here on in the directory that was given last (before the first: in all of the tree), names that only `lower` has come too.
 */
void walk_show_lower(struct walk *walk);
/* NULL is nothing. */
void walk_end(struct walk *walk);

/*
 * For reading, a descriptor of the caller's: the file that is called `name` in `directory`, if it is still the one of `status`.
 * `path` is for the error, ERROR_INTERNAL: ESTALE when it is another one.
 */
must_check int walk_open(int directory, const char *name, const char *path, const struct stat *status, struct error *err);

#endif
