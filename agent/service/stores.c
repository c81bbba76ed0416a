/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/stores.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "service/storage.h"

#define DIRECTORY "layers"

/* ---- lookups ---- */

static int check_ready(const struct object *object, const char *field, struct error *err)
{
	int result = objects_check_ready(object, err);

	if (result < 0)
		snprintf(err->field, sizeof(err->field), "%s", field);
	return result;
}

int stores_get(const struct agent *agent, const char *id, const char *field, struct store_object **store, struct error *err)
{
	int result = objects_get(&agent->objects, OBJECT_STORE, id, field, (struct object **)store, err);

	return result < 0 ? result : check_ready(&(*store)->object, field, err);
}

int stores_get_layer(const struct agent *agent, const char *id, const char *field, struct layer_object **layer, struct error *err)
{
	int result = objects_get(&agent->objects, OBJECT_LAYER, id, field, (struct object **)layer, err);

	return result < 0 ? result : check_ready(&(*layer)->object, field, err);
}

unsigned stores_children(const struct agent *agent, const struct layer_object *layer)
{
	unsigned count = 0;

	for (const struct object *object = agent->objects.lists[OBJECT_LAYER]; object; object = object->next)
		count += ((const struct layer_object *)object)->parent == layer;
	return count;
}

int stores_add_layer(struct agent *agent, struct store_object *store, const char *id, struct layer_object *parent,
		     struct layer_object **layer, struct error *err)
{
	struct object *made;
	int result = objects_add(&agent->objects, OBJECT_LAYER, id, sizeof(struct layer_object), &made, err);

	if (result < 0)
		return result;
	*layer = (struct layer_object *)made;
	(*layer)->store = store;
	(*layer)->parent = parent;
	(*layer)->facts.number = store->next++;
	snprintf((*layer)->facts.id, sizeof((*layer)->facts.id), "%s", id);
	if (parent)
		snprintf((*layer)->facts.parent, sizeof((*layer)->facts.parent), "%s", parent->object.id);
	result = objects_use(made, &store->object, err);
	if (result == 0 && parent)
		result = objects_use(made, &parent->object, err);
	if (result < 0)
		objects_remove(&agent->objects, made);
	return result;
}

const struct object *stores_on(const struct agent *agent, const struct object *place)
{
	const struct object *store = agent->objects.lists[OBJECT_STORE];

	while (store && !objects_uses(store, place))
		store = store->next;
	return store;
}

/* ---- forgetting ---- */

/* Those of one store, or of all (NULL), that nothing stands on; a layer's children come after it in the list, so the last first. */
static unsigned forget_layers(struct agent *agent, const struct store_object *store)
{
	struct object *found;
	unsigned left;

	do {
		found = NULL;
		left = 0;
		for (struct object *object = agent->objects.lists[OBJECT_LAYER]; object; object = object->next) {
			if (store && ((struct layer_object *)object)->store != store)
				continue;
			left++;
			if (object->state == OBJECT_READY && object->users == 0)
				found = object;
		}
		if (found)
			objects_remove(&agent->objects, found);
	} while (found);
	return left;
}

unsigned stores_forget(struct agent *agent)
{
	unsigned left = forget_layers(agent, NULL);
	struct object *next;

	for (struct object *store = agent->objects.lists[OBJECT_STORE]; store; store = next) {
		next = store->next;
		if (store->state == OBJECT_READY && store->users == 0)
			objects_remove(&agent->objects, store);
		else
			left++;
	}
	return left;
}

/* What a layer is used by, its children apart: a mounted tree, a request under way. */
static const struct object *find_used(const struct agent *agent, const struct store_object *store)
{
	for (const struct object *object = agent->objects.lists[OBJECT_LAYER]; object; object = object->next) {
		const struct layer_object *layer = (const struct layer_object *)object;

		if (layer->store == store && (object->state != OBJECT_READY || object->users > stores_children(agent, layer)))
			return object;
	}
	return NULL;
}

void stores_close(struct agent *agent, const char *id, struct completion completion)
{
	struct store_object *store;
	struct error err;
	int result = stores_get(agent, id, "store", &store, &err);
	const struct object *used = result == 0 ? find_used(agent, store) : NULL;

	if (used)
		result = error_set(&err, ERROR_IN_USE, EBUSY, "layer %s is in use", used->id);
	if (result < 0) {
		completion_fail(&completion, &err);
		return;
	}
	forget_layers(agent, store);
	objects_remove(&agent->objects, &store->object);
	completion.done(completion.context, NULL, NULL);
}

/* ---- opening ---- */

struct opening {
	struct agent *agent;
	struct store_object *store;
	int found; /* a file in memory: what the worker finds, a struct store_layer after the other */
	struct completion completion;
};

static int open_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct opening *opening = context;
	struct stores_opened *opened = result;

	if (store_open(&opening->store->store, opening->found, &opened->removed, err) < 0)
		return error_step(err, "open the store");
	steps_done(&worker->steps, "open the store");
	opened->steps = worker->steps;
	return 0;
}

static const struct operation_kind open_kind = {
	.name = "layer.open",
	.deadline_ms = 300000, /* it may have a large half-made layer to delete */
	.result_size = sizeof(struct stores_opened),
	.work = open_work,
};

/* One layer of the disk becomes an object.  The worker has read a file: nothing of it is taken without a look. */
static int take_layer(struct opening *opening, struct store_layer *facts, struct error *err)
{
	struct layer_object *parent = NULL, *layer;
	int result;

	facts->id[sizeof(facts->id) - 1] = '\0';
	facts->parent[sizeof(facts->parent) - 1] = '\0';
	if (facts->number < opening->store->next)
		return error_set(err, ERROR_LAYER, EINVAL, "the layers of %s are out of order", opening->store->object.id);
	if (facts->parent[0]) {
		result = stores_get_layer(opening->agent, facts->parent, "", &parent, err);
		if (result < 0 || parent->store != opening->store)
			return error_set(err, ERROR_LAYER, ENOENT, "layer %s has no parent %s below it", facts->id, facts->parent);
	}
	opening->store->next = facts->number;
	result = stores_add_layer(opening->agent, opening->store, facts->id, parent, &layer, err);
	if (result < 0)
		return result;
	layer->facts = *facts;
	layer->object.state = OBJECT_READY;
	return 0;
}

static int take_layers(struct opening *opening, unsigned *count, struct error *err)
{
	struct store_layer facts;
	ssize_t got = 0;
	int result = 0;

	*count = 0;
	while (result == 0 && (got = pread(opening->found, &facts, sizeof(facts), (off_t)(*count * sizeof(facts)))) > 0) {
		if (got != sizeof(facts))
			return error_set(err, ERROR_INTERNAL, EIO, "layers of a store");
		result = take_layer(opening, &facts, err);
		++*count;
	}
	return got < 0 ? error_set(err, ERROR_INTERNAL, errno, "layers of a store") : result;
}

static void opened(void *context, const struct error *error, const void *result)
{
	auto_free struct opening *opening = context;
	struct stores_opened answer;
	struct error err;

	if (!error) {
		answer = *(const struct stores_opened *)result;
		if (take_layers(opening, &answer.layers, &err) < 0) {
			forget_layers(opening->agent, opening->store);
			objects_remove(&opening->agent->objects, &opening->store->object);
			error = &err;
		}
	}
	close_fd(&opening->found);
	opening->completion.done(opening->completion.context, error, error ? NULL : &answer);
}

/* On a scratch nothing outlives the VM; of the volumes only encrypted ones may be trusted with what is written. */
static int find_place(struct agent *agent, const struct stores_open *request, struct object **place, struct error *err)
{
	if (!request->scratch == !request->volume)
		return error_field(err, "scratch", "exactly one of scratch and volume is needed");
	if (request->scratch)
		return storage_get_scratch(agent, request->scratch, "scratch", place, err);
	int result = objects_get(&agent->objects, OBJECT_VOLUME, request->volume, "volume", place, err);
	if (result == 0 && strcmp(((const struct volume_object *)*place)->attached.type, "encrypted") != 0)
		result = error_field(err, "volume", "%s is not an encrypted volume", request->volume);
	return result;
}

/* Nobody else may write there: what is found in a store is believed. */
static int check_place(const struct agent *agent, const struct object *place, const char *field, struct error *err)
{
	const struct object *store = stores_on(agent, place);

	if (store)
		return error_field(err, field, "the store %s is open there", store->id);
	for (const struct object *container = agent->objects.lists[OBJECT_CONTAINER]; container; container = container->next) {
		if (objects_uses(container, place))
			return error_field(err, field, "the container %s has it mounted", container->id);
	}
	return 0;
}

static int prepare(struct agent *agent, const struct stores_open *request, struct opening *opening, struct error *err)
{
	struct object *place, *made = NULL;
	int result = find_place(agent, request, &place, err);

	if (result == 0)
		result = check_place(agent, place, request->scratch ? "scratch" : "volume", err);
	if (result == 0)
		result = objects_add(&agent->objects, OBJECT_STORE, request->store, sizeof(struct store_object), &made, err);
	if (!made)
		return result;
	struct store_object *store = (struct store_object *)made;
	store->next = 1;
	store->store.lasting = place->kind == OBJECT_VOLUME;
	result = objects_use(made, place, err);
	if (result == 0 && text_format(store->store.path, sizeof(store->store.path), "%s/%s/" DIRECTORY,
				       place->kind == OBJECT_VOLUME ? VOLUME_DIRECTORY : STORAGE_SCRATCH_DIRECTORY, place->id) < 0)
		result = error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "store %s", request->store);
	opening->found = result == 0 ? memfd_create("layers", MFD_CLOEXEC) : -1;
	if (result == 0 && opening->found < 0)
		result = error_set(err, ERROR_INTERNAL, errno, "layers of a store");
	if (result < 0)
		objects_remove(&agent->objects, made);
	opening->store = store;
	return result;
}

void stores_open(struct agent *agent, const struct stores_open *request, struct completion completion)
{
	struct opening *opening = calloc(1, sizeof(*opening));
	struct error err;

	if (!opening) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "layer.open");
		completion_fail(&completion, &err);
		return;
	}
	*opening = (struct opening){ .agent = agent, .found = -1, .completion = completion };
	if (prepare(agent, request, opening, &err) < 0) {
		free(opening);
		completion_fail(&completion, &err);
		return;
	}
	const struct operation_start start = {
		.kind = &open_kind,
		.object = &opening->store->object,
		.request = opening,
		.keep = &opening->found,
		.keep_count = 1,
		.completion = { opened, opening },
	};
	operation_create(agent, &start);
}
