/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_TREE_TIMES_H
#define LAYER_TREE_TIMES_H

#include "layer/tree.h"

/*
 * The times of directories, which last only when nothing is written into them any more: kept in the spool until then.  There is a
 * record for each time that a directory was made or changed, so the last one of a path is right whatever had been there before.
 */
must_check int tree_times_record(struct tree *tree, const char *path, const char *name, const struct timespec times[2],
				 struct error *err);
must_check int tree_times_apply(struct tree *tree, struct error *err);

#endif
