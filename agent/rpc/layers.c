/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/layers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "rpc/layer_images.h"
#include "rpc/params.h"
#include "rpc/results.h"
#include "service/exports.h"
#include "service/imports.h"
#include "service/trees.h"

#define OPEN_MS      10000u
#define TIMEOUT_MS   600000u
#define TIMEOUT_MOST (24u * 3600u * 1000u)

/* What an archive may unpack to, unless the request says something else. */
#define BYTES_MOST (64ull << 30)
#define FILES_MOST 4000000u

#define FIELD(type, key, decode_kind, member) .name = key, .kind = decode_kind, .offset = offsetof(struct type, member)
#define ID(type, key, member, more)                                                                                                \
	{                                                                                                                          \
		FIELD(type, key, DECODE_STRING, member), .flags = DECODE_NONZERO | (more), .max = COFFER_ID_MAX,                   \
							 .check = decode_check_id                                                  \
	}
#define DIGEST(type, key, member)                                                                                                  \
	{                                                                                                                          \
		FIELD(type, key, DECODE_STRING, member), .flags = DECODE_NONZERO, .max = DIGEST_TEXT, .check = digest_check        \
	}
#define SCHEMA(fields, type, check)                                                                                                \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), check                                                            \
	}

static unsigned or_else(uint64_t asked, unsigned usual)
{
	return asked ? (unsigned)asked : usual;
}

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

void rpc_layers_run_get(struct rpc_call *call)
{
	trees_get(call->agent, id_of(call), rpc_call_answer(call));
}

void rpc_layers_encode_get(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct trees_got *got = result;

	encode_string(e, "id", id_of(call));
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

static void encode_digest(struct encode *e, const char *key, const uint8_t digest[DIGEST_SIZE])
{
	char text[DIGEST_TEXT];

	digest_format(digest, text);
	encode_string(e, key, text);
}

static void encode_facts(struct encode *e, const struct store_layer *facts)
{
	encode_digest(e, "digest", facts->digest);
	encode_digest(e, "diff_id", facts->diff_id);
	encode_uint(e, "tar_bytes", facts->tar_bytes);
	encode_uint(e, "size", facts->size);
	encode_uint(e, "files", facts->files);
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
	encode_bool(e, "encrypted", layer->facts.place != STORE_PLAIN);
	encode_bool(e, "locked", layer->facts.place != STORE_PLAIN && !images_find(agent, layer));
	if (layer->facts.imported)
		encode_facts(e, &layer->facts);
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

	if (layer->facts.place == STORE_PLAIN)
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

/* ---- archives ---- */

#define UINT32(type, key, member)                                                                                                  \
	{                                                                                                                          \
		FIELD(type, key, DECODE_UINT, member), .flags = DECODE_REQUIRED, .max = UINT32_MAX - 1                             \
	}

struct params_range {
	uint64_t archive, tree, count;
};

static int check_range(const void *object, struct error *err)
{
	const struct params_range *range = object;

	if (range->count == 0 || range->archive + range->count > UINT32_MAX || range->tree + range->count > UINT32_MAX)
		return error_field(err, "count", "ids are below 2^32 - 1, and there is one at least");
	return 0;
}

static const struct decode_field range_fields[] = { UINT32(params_range, "archive", archive), UINT32(params_range, "tree", tree),
						    UINT32(params_range, "count", count) };
static const struct decode_schema range_schema = SCHEMA(range_fields, params_range, check_range);

#define RANGES(type, key, member)                                                                                                  \
	{                                                                                                                          \
		FIELD(type, key, DECODE_LIST, member), .schema = &range_schema, .max = IMPORTS_MAPS_MAX                            \
	}

struct params_import {
	const char *id, *store, *parent, *digest, *diff_id, *volume, *path;
	struct decode_list uids, gids;
	bool devices, has_key, has_image;
	struct key_request key;
	struct params_image image;
	struct image_plan plan;
	uint64_t bytes, files, ratio, open_ms, timeout_ms;
	struct imports_request request;
};

static int check_import(const void *object, struct error *err)
{
	const struct params_import *params = object;

	if (!params->volume != !params->path)
		return error_field(err, params->volume ? "path" : "volume", "is required: an archive is a path in a volume");
	if (params->image.existing)
		return error_field(err, "image.existing", "goes with layer.create");
	return rpc_layer_images_check(params->has_key, params->has_image, err);
}

static const struct decode_field import_fields[] = {
	ID(params_import, "id", id, DECODE_REQUIRED),
	ID(params_import, "store", store, DECODE_REQUIRED),
	ID(params_import, "parent", parent, 0),
	DIGEST(params_import, "digest", digest),
	DIGEST(params_import, "diff_id", diff_id),
	ID(params_import, "volume", volume, 0),
	{ FIELD(params_import, "path", DECODE_STRING, path), .flags = DECODE_NONZERO, .max = COFFER_PATH_MAX },
	RANGES(params_import, "uids", uids),
	RANGES(params_import, "gids", gids),
	{ FIELD(params_import, "devices", DECODE_BOOL, devices) },
	RPC_LAYER_IMAGE(params_import),
	{ FIELD(params_import, "max_bytes", DECODE_UINT, bytes), .min = 1, .max = INT64_MAX },
	{ FIELD(params_import, "max_files", DECODE_UINT, files), .min = 1, .max = INT64_MAX },
	{ FIELD(params_import, "max_ratio", DECODE_UINT, ratio), .min = 1, .max = UINT32_MAX },
	{ FIELD(params_import, "open_ms", DECODE_UINT, open_ms), .min = 1, .max = TIMEOUT_MS },
	{ FIELD(params_import, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST },
};
const struct decode_schema rpc_layers_import_schema = SCHEMA(import_fields, params_import, check_import);

static struct import_map *import_maps(struct rpc_call *call, const struct decode_list *list)
{
	const struct params_range *ranges = list->items;
	struct import_map *maps = decode_alloc(&call->memory, list->count + 1, sizeof(*maps));

	for (size_t i = 0; maps && i < list->count; i++)
		maps[i] = (struct import_map){ .inside = (uint32_t)ranges[i].archive,
					       .outside = (uint32_t)ranges[i].tree,
					       .count = (uint32_t)ranges[i].count };
	return maps;
}

static struct export_map *export_maps(struct rpc_call *call, const struct decode_list *list)
{
	const struct params_range *ranges = list->items;
	struct export_map *maps = decode_alloc(&call->memory, list->count + 1, sizeof(*maps));

	for (size_t i = 0; maps && i < list->count; i++)
		maps[i] = (struct export_map){ .tree = (uint32_t)ranges[i].tree,
					       .archive = (uint32_t)ranges[i].archive,
					       .count = (uint32_t)ranges[i].count };
	return maps;
}

static void refuse_without_memory(struct rpc_call *call)
{
	struct error err;

	error_set(&err, ERROR_INTERNAL, ENOMEM, "maps of ids");
	rpc_call_fail(call, &err);
}

void rpc_layers_run_import(struct rpc_call *call)
{
	struct params_import *params = call->params;

	rpc_layer_images_plan(&params->image, &params->key, &params->plan);
	params->request = (struct imports_request){
		.layer = { .id = params->id,
			   .store = params->store,
			   .parent = params->parent,
			   .image = params->has_image ? &params->plan : NULL },
		.digest = params->digest,
		.diff_id = params->diff_id,
		.volume = params->volume,
		.path = params->path,
		.uids = import_maps(call, &params->uids),
		.uid_count = params->uids.count,
		.gids = import_maps(call, &params->gids),
		.gid_count = params->gids.count,
		.limits = { .bytes = params->bytes ? params->bytes : BYTES_MOST,
			    .files = params->files ? params->files : FILES_MOST,
			    .ratio = params->ratio },
		.devices = params->devices,
		.open_ms = or_else(params->open_ms, OPEN_MS),
		.timeout_ms = or_else(params->timeout_ms, TIMEOUT_MS),
	};
	if (!params->request.uids || !params->request.gids)
		refuse_without_memory(call);
	else
		imports_start(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_layers_encode_import(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct params_import *params = call->params;
	const struct imports_made *made = result;

	encode_string(e, "id", params->id);
	encode_facts(e, &made->facts);
	if (params->has_image)
		rpc_layer_images_encode(e, &params->plan, &made->image);
	encode_uint(e, "stream_bytes", made->stream_bytes);
	rpc_results_steps(e, &made->steps);
}

struct params_export {
	const char *id;
	struct decode_list uids, gids;
	uint64_t open_ms, timeout_ms;
	struct exports_request request;
};

static const struct decode_field export_fields[] = {
	ID(params_export, "id", id, DECODE_REQUIRED),
	RANGES(params_export, "uids", uids),
	RANGES(params_export, "gids", gids),
	{ FIELD(params_export, "open_ms", DECODE_UINT, open_ms), .min = 1, .max = TIMEOUT_MS },
	{ FIELD(params_export, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST },
};
const struct decode_schema rpc_layers_export_schema = SCHEMA(export_fields, params_export, NULL);

static void run_stream(struct rpc_call *call, void (*service)(struct agent *, const struct exports_request *, struct completion))
{
	struct params_export *params = call->params;

	params->request = (struct exports_request){
		.id = params->id,
		.uids = export_maps(call, &params->uids),
		.uid_count = params->uids.count,
		.gids = export_maps(call, &params->gids),
		.gid_count = params->gids.count,
		.open_ms = or_else(params->open_ms, OPEN_MS),
		.timeout_ms = or_else(params->timeout_ms, TIMEOUT_MS),
	};
	if (!params->request.uids || !params->request.gids)
		refuse_without_memory(call);
	else
		service(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_layers_run_export(struct rpc_call *call)
{
	run_stream(call, exports_archive);
}

void rpc_layers_run_changes(struct rpc_call *call)
{
	run_stream(call, exports_changes);
}

void rpc_layers_encode_export(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct exports_made *made = result;

	encode_string(e, "id", ((const struct params_export *)call->params)->id);
	encode_digest(e, "diff_id", made->archive.digest);
	encode_uint(e, "tar_bytes", made->archive.tar_bytes);
	encode_uint(e, "size", made->archive.size);
	encode_uint(e, "files", made->archive.files);
	rpc_results_steps(e, &made->steps);
}

void rpc_layers_encode_changes(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct exports_made *made = result;

	encode_string(e, "id", ((const struct params_export *)call->params)->id);
	encode_uint(e, "added", made->added);
	encode_uint(e, "modified", made->modified);
	encode_uint(e, "deleted", made->deleted);
	rpc_results_steps(e, &made->steps);
}

void rpc_layers_run_size(struct rpc_call *call)
{
	exports_size(call->agent, id_of(call), rpc_call_answer(call));
}

void rpc_layers_encode_size(struct encode *e, const struct rpc_call *call, const void *result)
{
	encode_string(e, "id", id_of(call));
	encode_uint(e, "size", ((const struct exports_sized *)result)->size);
}
