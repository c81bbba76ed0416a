/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fake of service/stores.c, layers.c, trees.c, imports.c and exports.c, beside tests/fake/services.c: each checks what a request
 * must have been checked for, and completes with zeros.
 */
#include <stdlib.h>
#include <string.h>

#include "base/decode.h"
#include "service/exports.h"
#include "service/imports.h"
#include "service/trees.h"

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_id(const char *id)
{
	struct error err;

	must(id && decode_check_id(id, &err) == 0);
}

static void check_digest(const char *digest)
{
	struct error err;

	must(!digest || digest_check(digest, &err) == 0);
}

static void check_ranges(const struct id_range *ranges, size_t count)
{
	must(count <= ID_RANGE_MOST);
	for (size_t i = 0; i < count; i++)
		must(ranges[i].count > 0 && ranges[i].from + ranges[i].count <= UINT32_MAX &&
		     ranges[i].to + ranges[i].count <= UINT32_MAX);
}

static void complete(struct completion completion, const void *result)
{
	completion.done(completion.context, NULL, result);
}

void stores_open(struct agent *agent, const struct stores_open *request, struct completion completion)
{
	static const struct stores_opened opened;

	(void)agent;
	check_id(request->store);
	complete(completion, &opened);
}

void stores_close(struct agent *agent, const char *store, struct completion completion)
{
	(void)agent;
	check_id(store);
	complete(completion, NULL);
}

int stores_get(const struct agent *agent, const char *id, const char *field, struct store_object **store, struct error *err)
{
	check_id(id);
	return objects_get(&agent->objects, OBJECT_STORE, id, field, (struct object **)store, err);
}

int stores_get_layer(const struct agent *agent, const char *id, const char *field, struct layer_object **layer, struct error *err)
{
	check_id(id);
	return objects_get(&agent->objects, OBJECT_LAYER, id, field, (struct object **)layer, err);
}

unsigned stores_children(const struct agent *agent, const struct layer_object *layer)
{
	(void)agent, (void)layer;
	return 0;
}

static void check_plan(const struct image_plan *plan)
{
	must(!plan || keys_given(&plan->key));
	must(!plan || !plan->has_device || (plan->timeout_ms >= 1 && plan->timeout_ms <= 600000));
}

bool keys_given(const struct key_request *key)
{
	return key->passphrase || key->raw || key->has_file || key->has_service;
}

const char *keys_source(const struct key_request *key)
{
	must(keys_given(key));
	return "request";
}

struct object *images_find(const struct agent *agent, const struct layer_object *layer)
{
	return objects_find(&agent->objects, OBJECT_IMAGE, layer->object.id);
}

void images_unlock(struct agent *agent, struct image_unlock *request, struct completion completion)
{
	static const struct image_unlocked unlocked;

	(void)agent;
	check_id(request->id);
	must(keys_given(&request->key));
	must(!request->has_device || (request->timeout_ms >= 1 && request->timeout_ms <= 600000));
	complete(completion, &unlocked);
}

void images_lock(struct agent *agent, const char *id, struct completion completion)
{
	(void)agent;
	check_id(id);
	complete(completion, NULL);
}

void layers_create(struct agent *agent, const struct layers_create *request, struct completion completion)
{
	static const struct layers_made made;

	(void)agent;
	check_id(request->id);
	check_id(request->store);
	check_plan(request->image);
	complete(completion, &made);
}

void layers_remove(struct agent *agent, const char *id, struct completion completion)
{
	(void)agent;
	check_id(id);
	complete(completion, NULL);
}

void trees_get(struct agent *agent, const struct trees_get *request, struct completion completion)
{
	static const struct trees_got got;

	(void)agent;
	check_id(request->id);
	must(!request->map.uid_count == !request->map.gid_count);
	check_ranges(request->map.uids, request->map.uid_count);
	check_ranges(request->map.gids, request->map.gid_count);
	complete(completion, &got);
}

void trees_put(struct agent *agent, const char *id, struct completion completion)
{
	layers_remove(agent, id, completion);
}

void imports_start(struct agent *agent, const struct imports_request *request, struct completion completion)
{
	static const struct imports_made made;

	(void)agent;
	check_id(request->layer.id);
	check_id(request->layer.store);
	check_digest(request->digest);
	check_digest(request->diff_id);
	must(!request->volume == !request->path && request->limits.bytes > 0 && request->limits.files > 0);
	must(request->open_ms > 0 && request->timeout_ms > 0);
	must(!request->layer.seal || !request->layer.image);
	check_ranges(request->uids, request->uid_count);
	check_ranges(request->gids, request->gid_count);
	complete(completion, &made);
}

void exports_archive(struct agent *agent, const struct exports_request *request, struct completion completion)
{
	static const struct exports_made made;

	(void)agent;
	check_id(request->id);
	check_ranges(request->uids, request->uid_count);
	check_ranges(request->gids, request->gid_count);
	complete(completion, &made);
}

void exports_changes(struct agent *agent, const struct exports_request *request, struct completion completion)
{
	exports_archive(agent, request, completion);
}

void exports_size(struct agent *agent, const char *id, struct completion completion)
{
	static const struct exports_sized sized;

	(void)agent;
	check_id(id);
	complete(completion, &sized);
}
