/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_LAYERS_H
#define SERVICE_LAYERS_H

#include "service/images.h"

/*
 * Layers: making empty ones, and removing.  A layer that is `writable` is written to where it is mounted (service/trees.h), until
 * another layer stands on it: from then on it is read-only, as every layer that was imported is.
 */

struct layers_create {
	const char *id, *store, *parent; /* parent NULL: none */
	bool writable;
	bool seal;                /* layer.import only: layer/seal.h */
	struct image_plan *image; /* NULL: it has no key of its own */
};

struct layers_made {
	struct image_made image; /* if it has one */
	struct steps steps;
};

void layers_create(struct agent *agent, const struct layers_create *request, struct completion completion);
/* ERROR_IN_USE while it is unlocked or mounted, or a layer stands on it.  A disk of its own keeps what it holds. */
void layers_remove(struct agent *agent, const char *id, struct completion completion);

/*
 * The object of a layer that is to be made, CREATING; the key of its image is held (keys_release).  ERROR_PARAMS for a parent in
 * another store, or a chain that is too long.
 */
must_check int layers_add(struct agent *agent, const struct layers_create *request, struct layer_object **layer, struct error *err);

/* What waiting for a disk and a key adds to the time of a request. */
unsigned layers_wait_ms(const struct layers_create *request);

#define LAYERS_NAME_MAX 160
/*
 * A descriptor of the directory of the layer's own files, for reading; of a sealed one, where `owner` has it; of a layer that is
 * being made, not `finished`.
 */
must_check int layers_open_tree(const struct layer_object *layer, bool finished, const char *owner, struct error *err);

/*
 * `layer` (NULL: none) and what is below it, the top one first: names for overlayfs, below the store's directory or absolute, and
 * so `least` of them at least: an empty directory stands in.  What is sealed is mounted for `owner` (service/sealed.h).
 */
struct layers_chain {
	char names[LAYERS_DEPTH_MAX][LAYERS_NAME_MAX];
	const char *lower[LAYERS_DEPTH_MAX];
	size_t count;
};
must_check int layers_chain_open(struct layers_chain *chain, const struct layer_object *layer, size_t least, const char *owner,
				 struct undo *undo, struct error *err);

#endif
