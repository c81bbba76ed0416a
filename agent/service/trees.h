/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_TREES_H
#define SERVICE_TREES_H

#include "service/layers.h"
#include "service/storage.h"

/*
 * Layers that are mounted, each once and counted: all that it and the layers below it are together.  A layer that is writable, and
 * on which no other stands, can be written to there.
 */

struct tree_object {
	struct object object; /* under the layer's id; uses: the layer, then unlocked images */
	struct layer_object *layer;
	bool writable;
	unsigned gets;
	struct getting *getting; /* while it is being mounted */
};

struct trees_got {
	bool writable;
	unsigned gets;
	char path[128];
};

/* The completion's result is struct trees_got. */
void trees_get(struct agent *agent, const char *id, struct completion completion);
/* The last one unmounts.  ERROR_NOT_FOUND when it is not mounted; ERROR_IN_USE when a root file system still is that. */
void trees_put(struct agent *agent, const char *id, struct completion completion);

#endif
