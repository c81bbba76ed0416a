/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/layers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "rpc/layer_fields.h"
#include "rpc/layer_images.h"
#include "rpc/params.h"
#include "rpc/results.h"
#include "service/trees.h"

static const char *id_of(const struct rpc_call *call)
{
	return ((const struct params_id *)call->params)->id;
}

/* ---- stores ---- */

static const struct decode_field open_fields[] = {
	ID(stores_open, "store", store, DECODE_REQUIRED),
	ID(stores_open, "scratch", scratch, 0),
	ID(stores_open, "volume", volume, 0),
};
const struct decode_schema rpc_layers_open_schema = SCHEMA(open_fields, stores_open, NULL);

struct params_store {
	const char *store;
};

static const struct decode_field store_fields[] = { ID(params_store, "store", store, DECODE_REQUIRED) };
const struct decode_schema rpc_layers_store_schema = SCHEMA(store_fields, params_store, NULL);

static const struct decode_field list_fields[] = { ID(params_store, "store", store, 0) };
const struct decode_schema rpc_layers_list_schema = SCHEMA(list_fields, params_store, NULL);

void rpc_layers_run_open(struct rpc_call *call)
{
	stores_open(call->agent, call->params, rpc_call_answer(call));
}

void rpc_layers_run_close(struct rpc_call *call)
{
	stores_close(call->agent, ((const struct params_store *)call->params)->store, rpc_call_answer(call));
}

void rpc_layers_run_status(struct rpc_call *call)
{
	struct store_object *store;
	struct error err;

	if (stores_get(call->agent, ((const struct params_store *)call->params)->store, "store", &store, &err) < 0)
		rpc_call_fail(call, &err);
	else
		rpc_call_done(call, NULL, store);
}

void rpc_layers_encode_open(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct stores_opened *opened = result;

	encode_string(e, "store", ((const struct stores_open *)call->params)->store);
	encode_uint(e, "layers", opened->layers);
	encode_uint(e, "removed", opened->removed);
	rpc_results_steps(e, &opened->steps);
}

void rpc_layers_encode_status(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct store_object *store = result;
	const struct object *place = store->object.uses[0];
	uint64_t layers = 0, mounted = 0, size = 0;

	for (const struct object *object = call->agent->objects.lists[OBJECT_LAYER]; object; object = object->next) {
		const struct layer_object *layer = (const struct layer_object *)object;

		if (layer->store != store)
			continue;
		layers++;
		size += layer->facts.size;
		mounted += objects_find(&call->agent->objects, OBJECT_TREE, object->id) != NULL;
	}
	encode_string(e, "store", store->object.id);
	encode_string(e, place->kind == OBJECT_SCRATCH ? "scratch" : "volume", place->id);
	encode_string(e, "path", store->store.path);
	encode_bool(e, "lasting", store->store.lasting);
	encode_uint(e, "layers", layers);
	encode_uint(e, "mounted", mounted);
	encode_uint(e, "size", size);
}

/* ---- layers ---- */

struct params_create {
	const char *id, *store, *parent;
	bool writable, has_key, has_image;
	struct key_request key;
	struct params_image image;
	struct image_plan plan;
	struct layers_create request;
};

static int check_create(const void *object, struct error *err)
{
	const struct params_create *params = object;

	return rpc_layer_images_check(params->has_key, params->has_image, err);
}

static const struct decode_field create_fields[] = {
	ID(params_create, "id", id, DECODE_REQUIRED),
	ID(params_create, "store", store, DECODE_REQUIRED),
	ID(params_create, "parent", parent, 0),
	{ FIELD(params_create, "writable", DECODE_BOOL, writable) },
	RPC_LAYER_IMAGE(params_create),
};
const struct decode_schema rpc_layers_create_schema = SCHEMA(create_fields, params_create, check_create);

void rpc_layers_run_create(struct rpc_call *call)
{
	struct params_create *params = call->params;

	rpc_layer_images_plan(&params->image, &params->key, &params->plan);
	params->request = (struct layers_create){
		.id = params->id,
		.store = params->store,
		.parent = params->parent,
		.writable = params->writable,
		.image = params->has_image ? &params->plan : NULL,
	};
	layers_create(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_layers_encode_create(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct params_create *params = call->params;
	const struct layers_made *made = result;

	encode_string(e, "id", params->id);
	if (params->has_image)
		rpc_layer_images_encode(e, &params->plan, &made->image);
	rpc_results_steps(e, &made->steps);
}

struct params_get {
	const char *id, *label;
	struct decode_list uids, gids;
	struct trees_get request;
};

static int check_get(const void *object, struct error *err)
{
	const struct params_get *params = object;

	if (!params->uids.count == !params->gids.count)
		return 0;
	return error_field(err, params->uids.count ? "gids" : "uids", "is required: both are mapped, or none");
}

static const struct decode_field shown_fields[] = { UINT32(id_range, "tree", from), UINT32(id_range, "mount", to),
						    UINT32(id_range, "count", count) };
static const struct decode_schema shown_range = SCHEMA(shown_fields, id_range, id_range_check);

static const struct decode_field get_fields[] = {
	ID(params_get, "id", id, DECODE_REQUIRED),
	{ FIELD(params_get, "label", DECODE_STRING, label), .flags = DECODE_NONZERO, .max = LABELS_MAX },
	RANGES(params_get, "uids", uids, shown_range),
	RANGES(params_get, "gids", gids, shown_range),
};
const struct decode_schema rpc_layers_get_schema = SCHEMA(get_fields, params_get, check_get);

void rpc_layers_run_get(struct rpc_call *call)
{
	struct params_get *params = call->params;

	params->request = (struct trees_get){
		.id = params->id,
		.label = params->label,
		.map = { .uids = params->uids.items,
			 .gids = params->gids.items,
			 .uid_count = params->uids.count,
			 .gid_count = params->gids.count },
	};
	trees_get(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_layers_encode_get(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct trees_got *got = result;

	encode_string(e, "id", ((const struct params_get *)call->params)->id);
	encode_string(e, "path", got->path);
	encode_bool(e, "writable", got->writable);
	encode_uint(e, "gets", got->gets);
}

void rpc_layers_run_put(struct rpc_call *call)
{
	trees_put(call->agent, id_of(call), rpc_call_answer(call));
}

void rpc_layers_run_remove(struct rpc_call *call)
{
	layers_remove(call->agent, id_of(call), rpc_call_answer(call));
}

void rpc_layers_run_exists(struct rpc_call *call)
{
	rpc_call_done(call, NULL, NULL);
}

void rpc_layers_encode_exists(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct object *layer = objects_find(&call->agent->objects, OBJECT_LAYER, id_of(call));

	(void)result;
	encode_bool(e, "exists", layer && layer->state == OBJECT_READY);
}

/* ---- lists ---- */

void rpc_layers_encode_digest(struct encode *e, const char *key, const uint8_t digest[DIGEST_SIZE])
{
	char text[DIGEST_TEXT];

	digest_format(digest, text);
	encode_string(e, key, text);
}

void rpc_layers_encode_facts(struct encode *e, const struct store_layer *facts)
{
	char root[2 * DIGEST_SIZE + 1];

	rpc_layers_encode_digest(e, "digest", facts->digest);
	rpc_layers_encode_digest(e, "diff_id", facts->diff_id);
	encode_uint(e, "tar_bytes", facts->tar_bytes);
	encode_uint(e, "size", facts->size);
	encode_uint(e, "files", facts->files);
	if (facts->place != STORE_SEALED)
		return;
	text_to_hex(facts->seal.root, sizeof(facts->seal.root), root);
	encode_string(e, "root_hash", root);
	encode_uint(e, "sealed_bytes", facts->seal.bytes);
}

static void encode_layer(struct encode *e, const struct agent *agent, const struct layer_object *layer)
{
	const struct object *tree = objects_find(&agent->objects, OBJECT_TREE, layer->object.id);

	encode_string(e, "id", layer->object.id);
	encode_string(e, "store", layer->store->object.id);
	encode_string(e, "state", objects_state_name(layer->object.state));
	if (layer->parent)
		encode_string(e, "parent", layer->parent->object.id);
	else
		encode_null(e, "parent");
	encode_bool(e, "writable", layer->facts.writable && stores_children(agent, layer) == 0);
	encode_uint(e, "children", stores_children(agent, layer));
	encode_uint(e, "gets", tree ? ((const struct tree_object *)tree)->gets : 0);
	encode_bool(e, "encrypted", stores_in_image(layer));
	encode_bool(e, "locked", store_has_key(layer->facts.place) && !images_find(agent, layer));
	encode_bool(e, "sealed", layer->facts.place == STORE_SEALED);
	if (layer->facts.imported)
		rpc_layers_encode_facts(e, &layer->facts);
}

void rpc_layers_run_list(struct rpc_call *call)
{
	const char *id = ((const struct params_store *)call->params)->store;
	struct store_object *store = NULL;
	struct error err;

	if (id && stores_get(call->agent, id, "store", &store, &err) < 0)
		rpc_call_fail(call, &err);
	else
		rpc_call_done(call, NULL, store);
}

/* In the order of making: a layer comes behind those below it. */
void rpc_layers_encode_list(struct encode *e, const struct rpc_call *call, const void *result)
{
	encode_open(e, "layers", '[');
	for (const struct object *object = call->agent->objects.lists[OBJECT_LAYER]; object; object = object->next) {
		const struct layer_object *layer = (const struct layer_object *)object;

		if (result && layer->store != result)
			continue;
		encode_open(e, NULL, '{');
		encode_layer(e, call->agent, layer);
		encode_close(e, '}');
	}
	encode_close(e, ']');
}

void rpc_layers_run_metadata(struct rpc_call *call)
{
	struct layer_object *layer;
	struct error err;

	if (stores_get_layer(call->agent, id_of(call), "id", &layer, &err) < 0)
		rpc_call_fail(call, &err);
	else
		rpc_call_done(call, NULL, layer);
}

static void encode_member(struct encode *e, const char *key, const struct layer_object *layer, const char *name)
{
	char path[STORE_PATH_MAX + 64];

	if (layer->facts.place == STORE_SEALED)
		name = STORE_SEALED_FILE;
	if (!store_has_key(layer->facts.place))
		snprintf(path, sizeof(path), "%s/%" PRIu64 "/%s", layer->store->store.path, layer->facts.number, name);
	else
		snprintf(path, sizeof(path), IMAGES_DIRECTORY "/%s/%s", layer->object.id, name);
	encode_string(e, key, path);
}

void rpc_layers_encode_metadata(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct layer_object *layer = result;
	const struct object *object = objects_find(&call->agent->objects, OBJECT_TREE, layer->object.id);
	const struct tree_object *tree = object && object->state == OBJECT_READY ? (const struct tree_object *)object : NULL;
	char merged[128];

	encode_layer(e, call->agent, layer);
	encode_member(e, "upper", layer, "tree");
	encode_open(e, "lower", '[');
	for (const struct layer_object *below = layer->parent; below; below = below->parent)
		encode_member(e, NULL, below, "tree");
	encode_close(e, ']');
	if (tree && tree->writable)
		encode_member(e, "work", layer, "work");
	else
		encode_null(e, "work");
	snprintf(merged, sizeof(merged), STORAGE_LAYER_DIRECTORY "/%s", layer->object.id);
	if (tree)
		encode_string(e, "merged", merged);
	else
		encode_null(e, "merged");
}
