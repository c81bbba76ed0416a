/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/trees.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/image.h"
#include "service/sealed.h"
#include "storage/overlay.h"
#include "sys/mounts.h"
#include "sys/paths.h"
#include "sys/rollback.h"

/* ---- mounting ---- */

/* overlayfs takes an empty one: what an earlier mount left in it is of no use any more. */
static int make_work(const char *path, struct undo *undo, struct error *err)
{
	int result = undo_push(undo, UNDO_TREE, path, err);

	if (result == 0)
		result = paths_remove_tree(AT_FDCWD, path, true, err);
	if (result == 0 && mkdir(path, 0700) < 0)
		result = error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	return result;
}

static int make_member(const struct layer_object *layer, const char *name, char path[STORE_PATH_MAX + 64], struct error *err)
{
	if (layer->facts.place == STORE_PLAIN)
		return store_member(&layer->store->store, layer->facts.number, true, name, path, err);
	if (text_format(path, STORE_PATH_MAX + 64, IMAGES_DIRECTORY "/%s/%s", layer->object.id, name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", layer->object.id);
	return 0;
}

/* ---- other owners ---- */

#define MAPPED_DIRECTORY "/run/coffer/mapped" /* the layers of a tree, mapped, are mounted on .../ID/NUMBER while it is stacked */

static struct idmap map_of(const struct tree_object *tree)
{
	return (struct idmap){
		.uids = tree->ranges,
		.uid_count = tree->uid_count,
		.gids = tree->ranges + tree->uid_count,
		.gid_count = tree->gid_count,
	};
}

static int open_lower(const char *base, const char *name, struct error *err)
{
	fd_auto folder = open(base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int lower = folder < 0 ? -1 : openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return lower < 0 ? error_set(err, ERROR_MOUNT, errno, "open the layer %s", name) : lower;
}

/* The layer `name` is now one whose owners are mapped, on a place of its own; overlayfs makes a copy of that mount. */
static int map_layer(const char *base, int namespace, const char *target, char name[LAYERS_NAME_MAX], struct undo *undo,
		     struct error *err)
{
	fd_auto lower = open_lower(base, name, err);
	fd_auto mapped = lower < 0 ? lower : idmap_clone(lower, namespace, err);
	int result = mapped < 0 ? mapped : mounts_place(mapped, target, undo, ERROR_MOUNT, err);

	if (result == 0 && text_format(name, LAYERS_NAME_MAX, "%s", target) < 0)
		result = error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", target);
	return result;
}

static int map_chain(const struct tree_object *tree, struct layers_chain *chain, struct undo *undo, struct error *err)
{
	const struct idmap map = map_of(tree);
	char target[LAYERS_NAME_MAX];
	fd_auto namespace = idmap_open(&map, err);
	int result = namespace;

	if (result >= 0)
		result = paths_mkdirs(MAPPED_DIRECTORY, 0700, err);
	if (result == 0 && text_format(target, sizeof(target), MAPPED_DIRECTORY "/%s", tree->object.id) < 0)
		result = error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", tree->object.id);
	if (result == 0)
		result = undo_push(undo, UNDO_RMDIR, target, err);
	if (result == 0 && mkdir(target, 0700) < 0)
		result = error_set(err, ERROR_MOUNT, errno, "make the directory %s", target);
	for (size_t i = 0; i < chain->count && result == 0; i++) {
		if (chain->lower[i] != chain->names[i])
			continue; /* the empty directory */
		if (text_format(target, sizeof(target), MAPPED_DIRECTORY "/%s/%zu", tree->object.id, i) < 0)
			result = error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", tree->object.id);
		else
			result = map_layer(tree->layer->store->store.path, namespace, target, chain->names[i], undo, err);
	}
	return result;
}

/* The directory that shows as "/" is the upper one: its owner is what root is shown as. */
static int own_root(const struct tree_object *tree, const char *upper, struct error *err)
{
	const struct idmap map = map_of(tree);
	uint32_t uid = 0, gid = 0;
	bool has_uid = id_range_map(map.uids, map.uid_count, 0, &uid), has_gid = id_range_map(map.gids, map.gid_count, 0, &gid);
	struct stat status;

	if (stat(upper, &status) < 0)
		return error_set(err, ERROR_MOUNT, errno, "look at %s", upper);
	/* It may have got another one since. */
	if ((status.st_uid == 0 && has_uid && chown(upper, uid, (gid_t)-1) < 0) ||
	    (status.st_gid == 0 && has_gid && chown(upper, (uid_t)-1, gid) < 0))
		return error_set(err, ERROR_MOUNT, errno, "change the owner of %s", upper);
	return 0;
}

static int mount_stack(const struct tree_object *tree, const char *target, struct undo *undo, struct error *err)
{
	const struct layer_object *layer = tree->layer;
	const struct store *store = &layer->store->store;
	char upper[STORE_PATH_MAX + 64], work[STORE_PATH_MAX + 64];
	struct layers_chain chain;
	/* What has a key of its own outlives the store that it is on, perhaps. */
	struct overlay overlay = { .base = store->path,
				   .lower = chain.lower,
				   .label = tree->label[0] ? tree->label : NULL,
				   .lasting = store->lasting || store_has_key(layer->facts.place) };
	int result = layers_chain_open(&chain, tree->writable ? layer->parent : layer, tree->writable ? 1 : 2, tree->object.id,
				       undo, err);

	overlay.count = chain.count;
	if (tree->writable) {
		overlay.upper = upper;
		overlay.work = work;
		if (result == 0)
			result = make_member(layer, IMAGE_TREE, upper, err);
		if (result == 0)
			result = make_member(layer, IMAGE_WORK, work, err);
		if (result == 0)
			result = make_work(work, undo, err);
		if (result == 0 && tree->uid_count)
			result = own_root(tree, upper, err);
	}
	/* They are only needed until the overlay is there. */
	size_t first = undo->count;
	if (result == 0 && tree->uid_count)
		result = map_chain(tree, &chain, undo, err);
	size_t count = undo->count - first;
	if (result == 0)
		result = overlay_stack(&overlay, target, undo, err);
	const struct undo mapped = { .records = undo->records + first, .count = count };
	return result < 0 ? result : rollback_run(&mapped, err);
}

static int get_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct tree_object *tree = context;
	char target[128];

	(void)result;
	if (text_format(target, sizeof(target), STORAGE_LAYER_DIRECTORY "/%s", tree->object.id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", tree->object.id);
	int outcome = paths_mkdirs(STORAGE_LAYER_DIRECTORY, 0700, err);
	if (outcome == 0)
		outcome = mount_stack(tree, target, &worker->undo, err);
	return outcome < 0 ? error_step(err, "mount the layer") : 0;
}

static const struct operation_kind get_kind = { .name = "layer.get", .deadline_ms = 30000, .work = get_work };
static const struct operation_kind put_kind = { .name = "layer.put" };

/* ---- counting ---- */

struct waiter {
	struct completion completion;
	struct waiter *next;
};

/* All who want a layer that is being mounted. */
struct getting {
	struct agent *agent;
	char id[COFFER_ID_MAX + 1];
	struct waiter *waiters;
};

static void answer(struct tree_object *tree, struct completion completion)
{
	struct trees_got got = { .writable = tree->writable, .gets = ++tree->gets };

	snprintf(got.path, sizeof(got.path), STORAGE_LAYER_DIRECTORY "/%s", tree->object.id);
	completion.done(completion.context, NULL, &got);
}

static void got(void *context, const struct error *error, const void *result)
{
	auto_free struct getting *getting = context;
	struct object *object = objects_find(&getting->agent->objects, OBJECT_TREE, getting->id);
	struct tree_object *tree = (struct tree_object *)object;

	(void)result;
	if (tree)
		tree->getting = NULL;
	for (struct waiter *waiter = getting->waiters, *next; waiter; waiter = next) {
		next = waiter->next;
		if (tree && !error) /* without an error there is one */
			answer(tree, waiter->completion);
		else
			waiter->completion.done(waiter->completion.context, error, NULL);
		free(waiter);
	}
}

/* At the end: answers come in the order of the requests. */
static int wait_for(struct getting *getting, struct completion completion, struct error *err)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter)), **at = &getting->waiters;

	if (!waiter)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "layer.get");
	waiter->completion = completion;
	while (*at)
		at = &(*at)->next;
	*at = waiter;
	return 0;
}

static int begin(struct agent *agent, struct layer_object *layer, const struct trees_get *request, struct completion completion,
		 struct error *err)
{
	const struct idmap *map = &request->map;
	size_t size = sizeof(struct tree_object) + (map->uid_count + map->gid_count) * sizeof(struct id_range);
	struct getting *getting = calloc(1, sizeof(*getting));
	struct object *object;
	int result = getting ? objects_add(&agent->objects, OBJECT_TREE, layer->object.id, size, &object, err)
			     : error_set(err, ERROR_INTERNAL, ENOMEM, "layer.get");

	if (result < 0) {
		free(getting);
		return result;
	}
	struct tree_object *tree = (struct tree_object *)object;
	*getting = (struct getting){ .agent = agent };
	snprintf(getting->id, sizeof(getting->id), "%s", layer->object.id);
	tree->layer = layer;
	tree->writable = layer->facts.writable && stores_children(agent, layer) == 0;
	tree->getting = getting;
	snprintf(tree->label, sizeof(tree->label), "%s", request->label ? request->label : "");
	tree->uid_count = map->uid_count;
	tree->gid_count = map->gid_count;
	for (size_t i = 0; i < map->uid_count; i++)
		tree->ranges[i] = map->uids[i];
	for (size_t i = 0; i < map->gid_count; i++)
		tree->ranges[map->uid_count + i] = map->gids[i];
	result = objects_use(object, &layer->object, err);
	if (result == 0)
		result = images_use(agent, layer, object, err);
	if (result == 0)
		result = wait_for(getting, completion, err);
	if (result < 0) {
		objects_remove(&agent->objects, object);
		free(getting);
		return result;
	}
	const struct operation_start start = {
		.kind = &get_kind,
		.object = object,
		.request = tree,
		.wait_ms = sealed_wait_ms(layer),
		.completion = { got, getting },
	};
	operation_create(agent, &start);
	return 0;
}

static bool are_equal(const struct id_range *some, size_t some_count, const struct id_range *others, size_t other_count)
{
	/* An empty list may be NULL. */
	return some_count == other_count && (some_count == 0 || memcmp(some, others, some_count * sizeof(*some)) == 0);
}

static bool is_mapped_so(const struct tree_object *tree, const struct idmap *wanted)
{
	const struct idmap map = map_of(tree);

	return are_equal(map.uids, map.uid_count, wanted->uids, wanted->uid_count) &&
	       are_equal(map.gids, map.gid_count, wanted->gids, wanted->gid_count);
}

void trees_get(struct agent *agent, const struct trees_get *request, struct completion completion)
{
	const char *id = request->id;
	struct object *object = objects_find(&agent->objects, OBJECT_TREE, id);
	struct tree_object *tree = (struct tree_object *)object;
	struct layer_object *layer;
	struct error err;
	int result;

	if (!tree) {
		result = stores_get_layer(agent, id, "id", &layer, &err);
		if (result == 0 && request->label)
			result = labels_check(request->label, "label", &err);
		if (result == 0)
			result = begin(agent, layer, request, completion, &err);
	} else if (strcmp(tree->label, request->label ? request->label : "") != 0) {
		result = error_field(&err, "label", "the layer %s is mounted with another label", id);
	} else if (!is_mapped_so(tree, &request->map)) {
		result = error_field(&err, "uids", "the layer %s is mounted with other ranges of ids", id);
	} else if (object->state == OBJECT_READY) {
		answer(tree, completion);
		return;
	} else if (tree->getting) {
		result = wait_for(tree->getting, completion, &err);
	} else {
		result = error_set(&err, ERROR_STATE, EAGAIN, "the layer %s is being unmounted", id);
	}
	if (result < 0)
		completion_fail(&completion, &err);
}

void trees_put(struct agent *agent, const char *id, struct completion completion)
{
	struct object *object;
	struct error err;
	int result = objects_get(&agent->objects, OBJECT_TREE, id, "id", &object, &err);
	struct tree_object *tree = (struct tree_object *)object;

	if (result == 0 && object->state == OBJECT_READY && tree->gets > 1) {
		tree->gets--;
		completion.done(completion.context, NULL, NULL);
		return;
	}
	if (result == 0)
		result = objects_check_removable(object, &err);
	if (result < 0)
		completion_fail(&completion, &err);
	else
		operation_remove(agent, &put_kind, object, completion);
}
