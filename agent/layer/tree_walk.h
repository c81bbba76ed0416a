/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_TREE_WALK_H
#define LAYER_TREE_WALK_H

#include <stdbool.h>
#include <sys/stat.h>

#include "layer/tree.h"

/*
 * From names of the archive to places in the tree.  Every step is one component, opened by the kernel beneath its directory without
 * following anything (openat2); links are followed here, within the layer's root, through upper and lower as overlayfs would
 * show them.  A directory that is only below is copied up, one that is nowhere is made.
 */

/* An archive's name without what means nothing ("/", "//", "."): "" is the top.  ".." is refused, and so is what is too long. */
must_check int tree_walk_name(const char *name, char clean[TREE_PATH], struct error *err);

/* The directory of this clean name.  The place is made ready by TREE_PLACE_NONE, and the caller leaves it in every case. */
#define TREE_PLACE_NONE ((struct tree_place){ .upper = -1, .lower = -1 })
must_check int tree_walk(struct tree *tree, const char *name, struct tree_place *place, struct error *err);
void tree_walk_leave(struct tree_place *place);

/* 1: there is something of the name in the directory, and status is its own, 0: there is not. */
must_check int tree_walk_look(int directory, const char *name, struct stat *status, struct error *err);
bool tree_walk_is_whiteout(const struct stat *status);

/* Counts one more, before it is made. */
must_check int tree_walk_count(struct tree *tree, struct error *err);
/* Makes what is at the name below at the same name in the upper directory, where nothing of that name is: not what is in a
 * directory. */
must_check int tree_walk_copy_up(struct tree *tree, const struct tree_place *place, const char *name, const struct stat *below,
				 struct error *err);

#endif
