/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_PATHS_H
#define SYS_PATHS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Paths inside a tree that somebody else filled (a container's root), resolved by the kernel with openat2(RESOLVE_IN_ROOT):
 * no symbolic link in the tree, however crafted, leads out of it.  `path` may begin with '/', which is the tree's root.
 * Each returns a descriptor of the caller's, or a negative errno with `err` set (ERROR_CONTAINER).
 */

must_check int paths_open(int root, const char *path, int flags, struct error *err);
/* O_PATH of a directory; missing components are made with `mode`, step by step, each one resolved in the root. */
must_check int paths_make_directory(int root, const char *path, mode_t mode, struct error *err);
/* O_PATH of an existing file, or of an empty regular file made there (its parents too). */
must_check int paths_make_file(int root, const char *path, mode_t mode, struct error *err);
/* The parent directory of `path` (made), and the last component by *name, which points into `path`. "/", "." and ".." at the end
 * are refused. */
must_check int paths_open_parent(int root, const char *path, const char **name, struct error *err);

/* mkdir -p for the agent's own paths. */
must_check int paths_mkdirs(const char *path, mode_t mode, struct error *err);
/*
 * Deletes what is in the directory, on its file system only; the directory too, if `itself`.  -ENOENT is success.  What cannot be
 * removed (mount points, for example) stays with the directories above it, all else goes, and the error is ERROR_TEARDOWN, EBUSY.
 */
must_check int paths_remove_tree(int parent, const char *name, bool itself, struct error *err);

#endif
