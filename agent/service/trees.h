/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_TREES_H
#define SERVICE_TREES_H

#include "service/layers.h"
#include "service/storage.h"
#include "sys/idmap.h"
#include "sys/labels.h"

/*
 * Layers that are mounted, each once and counted: all that it and the layers below it are together.  A layer that is writable, and
 * on which no other stands, can be written to there.
 *
 * With ranges of ids each layer below is stacked through an idmapped mount of its own.  What is written is not: overlayfs makes
 * files in its upper and work directories with ids of its own, which no range has.  So a writable layer holds the ids that are
 * shown.
 */

struct tree_object {
	struct object object; /* under the layer's id; uses: the layer, then unlocked images */
	struct layer_object *layer;
	bool writable;
	unsigned gets;
	struct getting *getting;    /* while it is being mounted */
	char label[LABELS_MAX + 1]; /* SELinux'; "": none */
	size_t uid_count, gid_count;
	struct id_range ranges[]; /* those of uids, then those of gids */
};

struct trees_get {
	const char *id;
	const char *label; /* SELinux', or NULL */
	struct idmap map;  /* shown with other owners; no ranges: as they are */
};

struct trees_got {
	bool writable;
	unsigned gets;
	char path[128];
};

/* The completion's result is struct trees_got.  ERROR_PARAMS when it is mounted with other ranges. */
void trees_get(struct agent *agent, const struct trees_get *request, struct completion completion);
/* The last one unmounts.  ERROR_NOT_FOUND when it is not mounted; ERROR_IN_USE when a root file system still is that. */
void trees_put(struct agent *agent, const char *id, struct completion completion);

#endif
