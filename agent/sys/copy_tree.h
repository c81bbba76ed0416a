/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_COPY_TREE_H
#define SYS_COPY_TREE_H

#include "base/error.h"

/* Copies directories, regular files and symbolic links below `from`, on its file system only, to `to`, which exists. */
must_check int copy_tree(const char *from, const char *to, struct error *err);

#endif
