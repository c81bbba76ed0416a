/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_COPY_TREE_H
#define SYS_COPY_TREE_H

#include "base/error.h"

/*
 * Copies directories, regular files and symbolic links below `from`, on its file system only, with owners and modes, to `to`, which
 * exists.  No link is followed on the way.
 */
must_check int copy_tree(const char *from, const char *to, struct error *err);
/* The same for open directories (O_RDONLY). */
must_check int copy_tree_into(int from, int to, struct error *err);

#endif
