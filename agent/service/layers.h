/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_LAYERS_H
#define SERVICE_LAYERS_H

#include "service/stores.h"

/*
 * Layers: making empty ones, and removing.  A layer that is `writable` is written to where it is mounted (service/trees.h), until
 * another layer stands on it: from then on it is read-only, as every layer that was imported is.
 */

#define LAYERS_DEPTH_MAX 500u /* layers in one chain: what overlayfs stacks */

struct layers_create {
	const char *id, *store, *parent; /* parent NULL: none */
	bool writable;
};

struct layers_made {
	struct steps steps;
};

void layers_create(struct agent *agent, const struct layers_create *request, struct completion completion);
/* ERROR_IN_USE while it is mounted, or a layer stands on it. */
void layers_remove(struct agent *agent, const char *id, struct completion completion);

/* The object of a layer that is to be made, CREATING.  ERROR_PARAMS for a parent in another store, or a chain that is too long. */
must_check int layers_add(struct agent *agent, const struct layers_create *request, struct layer_object **layer, struct error *err);

/*
 * `layer` (NULL: none) and what is below it, the top one first: names below the store's directory, for overlayfs, and so `least` of
 * them at least: an empty directory stands in.
 */
struct layers_chain {
	char names[LAYERS_DEPTH_MAX][32];
	const char *lower[LAYERS_DEPTH_MAX];
	size_t count;
};
void layers_chain_from(struct layers_chain *chain, const struct layer_object *layer, size_t least);

#endif
