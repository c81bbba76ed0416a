/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/image.h"
#include "service/sealed.h"
#include "service/trees.h"

/* ---- chains ---- */

static int check_parent(const struct agent *agent, const struct store_object *store, const struct layer_object *parent,
			struct error *err)
{
	const struct object *tree;
	unsigned depth = 1;

	if (!parent)
		return 0;
	if (parent->store != store)
		return error_field(err, "parent", "%s lies in the store %s", parent->object.id, parent->store->object.id);
	for (const struct layer_object *layer = parent; layer; layer = layer->parent)
		depth++;
	if (depth > LAYERS_DEPTH_MAX)
		return error_field(err, "parent", "%u layers are the most that can be stacked", LAYERS_DEPTH_MAX);
	tree = objects_find(&agent->objects, OBJECT_TREE, parent->object.id);
	if (tree && ((const struct tree_object *)tree)->writable) {
		error_set(err, ERROR_IN_USE, EBUSY, "the layer %s is being written to", parent->object.id);
		snprintf(err->field, sizeof(err->field), "parent");
		return -EBUSY;
	}
	return 0;
}

/* The layer's own files: an absolute path, or one below the store's; of a sealed one, where `owner` has it. */
static int tree_name(const struct layer_object *layer, const char *owner, char name[LAYERS_NAME_MAX], struct error *err)
{
	int result;

	if (layer->old)
		return text_format(name, LAYERS_NAME_MAX, IMAGES_DIRECTORY "/%s", layer->object.id) < 0
			       ? error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", layer->object.id)
			       : 0;
	if (layer->facts.place == STORE_SEALED)
		return sealed_name(layer, owner, name, LAYERS_NAME_MAX, err);
	if (layer->facts.place == STORE_PLAIN)
		result = text_format(name, LAYERS_NAME_MAX, "%" PRIu64 "/tree", layer->facts.number);
	else
		result = text_format(name, LAYERS_NAME_MAX, IMAGES_DIRECTORY "/%s/" IMAGE_TREE, layer->object.id);
	return result < 0 ? error_set(err, ERROR_INTERNAL, -result, "layer %s", layer->object.id) : 0;
}

int layers_open_tree(const struct layer_object *layer, bool finished, const char *owner, struct error *err)
{
	char path[LAYERS_NAME_MAX];

	if (layer->facts.place == STORE_PLAIN && !layer->old)
		return store_tree(&layer->store->store, layer->facts.number, finished, O_RDONLY, err);
	int result = tree_name(layer, owner, path, err);
	if (result < 0)
		return result;
	int tree = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return tree < 0 ? error_set(err, ERROR_MOUNT, errno, "open %s", path) : tree;
}

int layers_chain_open(struct layers_chain *chain, const struct layer_object *layer, size_t least, const char *owner,
		      struct undo *undo, struct error *err)
{
	int result = sealed_open(layer, LAYERS_DEPTH_MAX, owner, undo, err);

	for (chain->count = 0; layer && chain->count < LAYERS_DEPTH_MAX && result == 0; layer = layer->parent) {
		chain->lower[chain->count] = chain->names[chain->count];
		result = tree_name(layer, owner, chain->names[chain->count++], err);
	}
	while (chain->count < least)
		chain->lower[chain->count++] = STORE_EMPTY;
	return result;
}

/* ---- creating ---- */

struct creating {
	struct layer_object *layer;
	struct image_plan *image; /* NULL: none */
	struct completion completion;
};

static int create_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct layer_object *layer = ((const struct creating *)context)->layer;
	const struct image_plan *image = ((const struct creating *)context)->image;
	const struct store *store = &layer->store->store;
	struct layers_made *made = result;
	struct store_layer facts = layer->facts;
	size_t records;
	int outcome = store_begin(store, facts.number, &worker->undo, err);

	if (outcome == 0 && image) {
		outcome = images_make(worker, layer, image, &made->image, &records, err);
		if (outcome == 0)
			outcome = images_close(worker, records, err);
		memcpy(facts.identity, made->image.identity, sizeof(facts.identity));
	}
	if (outcome == 0)
		outcome = store_commit(store, &facts, err);
	if (outcome < 0)
		return error_step(err, "make the layer");
	steps_done(&worker->steps, "make the layer");
	made->steps = worker->steps;
	return 0;
}

/* A finished layer stays when its object goes: layers_remove is what takes it away. */
static void create_apply(struct object *object, const void *result)
{
	struct layer_object *layer = (struct layer_object *)object;
	const struct layers_made *made = result;

	memcpy(layer->facts.identity, made->image.identity, sizeof(layer->facts.identity));
	undo_free(&object->teardown);
}

static void created(void *context, const struct error *error, const void *result)
{
	auto_free struct creating *creating = context;

	if (creating->image)
		keys_release(&creating->image->key);
	creating->completion.done(creating->completion.context, error, result);
}

static const struct operation_kind create_kind = {
	.name = "layer.create",
	.deadline_ms = 120000,
	.result_size = sizeof(struct layers_made),
	.work = create_work,
	.apply = create_apply,
};

int layers_add(struct agent *agent, const struct layers_create *request, struct layer_object **layer, struct error *err)
{
	struct layer_object *parent = NULL;
	struct store_object *store;
	int result = stores_get(agent, request->store, "store", &store, err);

	if (result == 0 && request->parent)
		result = stores_get_layer(agent, request->parent, "parent", &parent, err);
	if (result == 0)
		result = check_parent(agent, store, parent, err);
	if (result == 0 && request->image)
		result = images_check(request->image, err);
	if (result == 0 && request->image)
		result = keys_hold(agent, &request->image->key, "key", err);
	if (result < 0)
		return result;
	result = stores_add_layer(agent, store, request->id, parent, layer, err);
	if (result < 0 && request->image)
		keys_release(&request->image->key);
	if (result < 0)
		return result;
	(*layer)->facts.writable = request->writable;
	if (request->image)
		(*layer)->facts.place = request->image->has_device ? STORE_DISK : STORE_IMAGE;
	return 0;
}

unsigned layers_wait_ms(const struct layers_create *request)
{
	return request->image ? request->image->timeout_ms + keys_wait_ms(&request->image->key) : 0;
}

void layers_create(struct agent *agent, const struct layers_create *request, struct completion completion)
{
	struct creating *creating = calloc(1, sizeof(*creating));
	struct layer_object *layer;
	struct error err;
	int result = creating ? layers_add(agent, request, &layer, &err) : error_set(&err, ERROR_INTERNAL, ENOMEM, "layer.create");

	if (result < 0) {
		free(creating);
		completion_fail(&completion, &err);
		return;
	}
	*creating = (struct creating){ .layer = layer, .image = request->image, .completion = completion };
	const struct operation_start start = {
		.kind = &create_kind,
		.object = &layer->object,
		.request = creating,
		.wait_ms = layers_wait_ms(request),
		.completion = { created, creating },
	};
	operation_create(agent, &start);
}

/* ---- removing ---- */

struct removing {
	struct agent *agent;
	struct layer_object *layer;
	struct completion completion;
};

static int remove_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct layer_object *layer = ((const struct removing *)context)->layer;

	(void)worker, (void)result;
	return store_remove(&layer->store->store, layer->facts.number, err) < 0 ? error_step(err, "remove the layer") : 0;
}

static const struct operation_kind remove_kind = {
	.name = "layer.remove",
	.deadline_ms = 300000,
	.work = remove_work,
};

/* A worker that was cut short may have come as far as the rename; then the next attempt finds nothing to do, and succeeds. */
static void removed(void *context, const struct error *error, const void *result)
{
	auto_free struct removing *removing = context;

	if (error)
		removing->layer->object.state = OBJECT_READY;
	else
		objects_remove(&removing->agent->objects, &removing->layer->object);
	removing->completion.done(removing->completion.context, error, result);
}

void layers_remove(struct agent *agent, const char *id, struct completion completion)
{
	struct removing *removing = calloc(1, sizeof(*removing));
	struct layer_object *layer;
	struct error err;
	int result = removing ? stores_get_layer(agent, id, "id", &layer, &err)
			      : error_set(&err, ERROR_INTERNAL, ENOMEM, "layer.remove");

	if (result == 0)
		result = objects_check_removable(&layer->object, &err);
	if (result < 0) {
		free(removing);
		completion_fail(&completion, &err);
		return;
	}
	*removing = (struct removing){ .agent = agent, .layer = layer, .completion = completion };
	layer->object.state = OBJECT_REMOVING;
	const struct operation_start start = {
		.kind = &remove_kind, .object = &layer->object, .request = removing, .completion = { removed, removing }
	};
	operation_visit(agent, &start);
}
