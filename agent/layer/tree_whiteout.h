/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_TREE_WHITEOUT_H
#define LAYER_TREE_WHITEOUT_H

#include "layer/tree.h"

/*
 * What a layer takes away.  Overlayfs hides a whiteout only in a directory that it merges with one below: in any other it is a name
 * in the listing that leads nowhere.  So none is made where nothing is to hide, and none stays in a directory that becomes opaque.
 * Without a lower directory all is made that the archive names, as it is not known what is there.
 */

/* Nothing below shows at this name; what this layer has there stays, and a directory of it becomes opaque. */
must_check int tree_whiteout_name(struct tree *tree, const struct tree_place *place, const char *name, struct error *err);
/* Nothing below shows in the directory of the place. */
must_check int tree_whiteout_all(struct tree *tree, struct tree_place *place, struct error *err);

#endif
