/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_STORES_H
#define SERVICE_STORES_H

#include "layer/store.h"
#include "service/operation.h"
#include "sys/steps.h"

/*
 * Stores of layers, each on a scratch or an encrypted volume, and their layers as objects: what the disk says (layer/store.h) is
 * read once, when a store is opened.  A layer stands on its store and on its parent, so neither goes before it.
 */

#define LAYERS_DEPTH_MAX 500u /* layers in one chain: what overlayfs stacks */

struct store_object {
	struct object object; /* uses: the scratch or the volume */
	struct store store;
	uint64_t next; /* the number of the next layer */
};

struct layer_object {
	struct object object; /* uses: the store, then the parent */
	struct store_object *store;
	struct layer_object *parent; /* NULL: none */
	struct store_layer facts;
	unsigned looks; /* how often its files were wanted by service/exports.c: what is mounted for it is named by that */
	bool old;       /* its tree holds an image of an older kind, which is open in its place (service/images.h) */
};

/* Do its files lie in an image that must be open, or is? */
static inline bool stores_in_image(const struct layer_object *layer)
{
	return layer->old || store_has_key(layer->facts.place);
}

struct stores_open {
	const char *store;
	const char *scratch, *volume; /* one of them */
};

struct stores_opened {
	unsigned layers, removed; /* removed: what was found half made, or half deleted */
	struct steps steps;
};

/* ERROR_EXISTS when a layer of it has the id of another store's. */
void stores_open(struct agent *agent, const struct stores_open *request, struct completion completion);
/* Forgets its layers; all stays on the disk.  ERROR_IN_USE when one of them is in use. */
void stores_close(struct agent *agent, const char *store, struct completion completion);
/* At shutdown: forgets what nothing stands on.  Returns how many layers and stores are left. */
unsigned stores_forget(struct agent *agent);

/* A store that is ready. */
must_check int stores_get(const struct agent *agent, const char *id, const char *field, struct store_object **store,
			  struct error *err);
/* A layer that is ready, and has not been asked to go. */
must_check int stores_get_layer(const struct agent *agent, const char *id, const char *field, struct layer_object **layer,
				struct error *err);
/* A layer object that is CREATING, on `store` and `parent` (NULL: none); it has a number of its own. */
must_check int stores_add_layer(struct agent *agent, struct store_object *store, const char *id, struct layer_object *parent,
				struct layer_object **layer, struct error *err);
/* The store that is open on a scratch or volume, or NULL. */
const struct object *stores_on(const struct agent *agent, const struct object *place);
/* Layers that stand on this one. */
unsigned stores_children(const struct agent *agent, const struct layer_object *layer);

#endif
