/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/imports.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "service/pumps.h"
#include "service/sealed.h"
#include "service/storage.h"
#include "service/transfers.h"
#include "service/views.h"

struct importing {
	struct agent *agent;
	const struct imports_request *request;
	struct layer_object *layer;
	struct layer_object *held; /* its parent, which with all below it stays unlocked meanwhile; the layer may go before */
	struct object *volume;     /* the archive is one of its files; NULL: a stream */
	struct transfer transfer;
	struct completion completion;
};

/* ---- the worker ---- */

static int unpack(const struct importing *importing, int from, const struct view *view, struct worker *worker,
		  struct import_result *result, struct error *err)
{
	const struct imports_request *request = importing->request;
	const struct layer_object *layer = importing->layer;
	const struct store *store = &layer->store->store;
	char folder[STORE_PATH_MAX + 64];
	int outcome = store_member(store, layer->facts.number, false, "", folder, err);

	if (outcome < 0)
		return outcome;
	fd_auto tree = layers_open_tree(layer, false, NULL, err);
	if (tree < 0)
		return tree;
	fd_auto spool = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (spool < 0)
		return error_set(err, ERROR_MOUNT, errno, "make a file in %s", folder);
	const struct import_request import = {
		.from = from,
		.tree = tree,
		.lower = view->folder,
		.spool = spool,
		.digest = request->digest,
		.diff_id = request->diff_id,
		.uids = request->uids,
		.uid_count = request->uid_count,
		.gids = request->gids,
		.gid_count = request->gid_count,
		.devices = request->devices,
		.limits = request->limits,
	};
	outcome = import_layer(&import, result, err);
	steps_done(&worker->steps, "unpack the layer");
	return outcome < 0 ? error_step(err, "unpack the layer") : 0;
}

static int unpack_stream(const struct importing *importing, const struct view *view, struct worker *worker,
			 struct import_result *result, struct error *err)
{
	const struct transfer_peer *peer = &importing->transfer.peer;
	struct pump pump;
	struct error cut;
	int outcome = pumps_receive(&pump, peer->fd, peer->early, peer->early_length, err);

	if (outcome < 0)
		return outcome;
	outcome = unpack(importing, pump.fd, view, worker, result, err);
	int end = pumps_end(&pump, outcome < 0, &cut);
	/* A stream that was cut off explains what is wrong with the archive. */
	if (end < 0) {
		*err = cut;
		return error_step(err, "receive the layer");
	}
	return outcome;
}

static int unpack_any(const struct importing *importing, const struct view *view, struct worker *worker,
		      struct import_result *result, struct error *err)
{
	if (!importing->volume)
		return unpack_stream(importing, view, worker, result, err);
	fd_auto file = storage_open_file(importing->volume->id, importing->request->path, "path", err);
	if (file < 0)
		return error_step(err, "open the archive");
	return unpack(importing, file, view, worker, result, err);
}

/* Its tree is filled, with a view of what is below it meanwhile. */
static int fill(const struct importing *importing, struct worker *worker, struct import_result *result, struct error *err)
{
	const struct layer_object *layer = importing->layer;
	struct view view = { .folder = -1 };
	char path[STORE_PATH_MAX + 64], owner[SEALED_OWNER_MAX + 1];
	int outcome = store_member(&layer->store->store, layer->facts.number, false, "below", path, err);

	if (outcome == 0 && text_format(owner, sizeof(owner), "import+%s", layer->object.id) < 0)
		outcome = error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", layer->object.id);
	if (outcome == 0)
		outcome = views_open(&view, layer->parent, path, owner, &worker->undo, err);
	if (outcome < 0)
		return error_step(err, "prepare the layer");
	outcome = unpack_any(importing, &view, worker, result, err);
	return outcome < 0 ? outcome : views_close(&view, err);
}

static void tell(const struct import_result *import, struct imports_made *made)
{
	made->facts.imported = true;
	memcpy(made->facts.identity, made->image.identity, sizeof(made->facts.identity));
	memcpy(made->facts.digest, import->digest, sizeof(import->digest));
	memcpy(made->facts.diff_id, import->diff_id, sizeof(import->diff_id));
	made->facts.tar_bytes = import->tar_bytes;
	made->facts.size = import->size;
	made->facts.files = import->files;
	made->stream_bytes = import->stream_bytes;
}

/* Until it is committed it is a plain one. */
static int seal(const struct store *store, struct worker *worker, struct store_layer *facts, struct error *err)
{
	facts->place = STORE_SEALED;
	if (store_seal(store, facts->number, facts->diff_id, &facts->seal, err) < 0)
		return error_step(err, "seal the layer");
	steps_done(&worker->steps, "seal the layer");
	return 0;
}

static int import_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct importing *importing = context;
	const struct layer_object *layer = importing->layer;
	const struct image_plan *image = importing->request->layer.image;
	const struct store *store = &layer->store->store;
	struct imports_made *made = result;
	struct import_result import = { 0 };
	size_t records = 0;

	if (store_begin(store, layer->facts.number, &worker->undo, err) < 0)
		return error_step(err, "prepare the layer");
	int outcome = image ? images_make(worker, layer, image, &made->image, &records, err) : 0;
	if (outcome == 0)
		outcome = fill(importing, worker, &import, err);
	if (outcome == 0 && image)
		outcome = images_close(worker, records, err);
	if (outcome < 0)
		return outcome;
	made->facts = layer->facts;
	tell(&import, made);
	if (importing->request->layer.seal)
		outcome = seal(store, worker, &made->facts, err);
	if (outcome < 0)
		return outcome;
	if (store_commit(store, &made->facts, err) < 0)
		return error_step(err, "finish the layer");
	steps_done(&worker->steps, "finish the layer");
	made->steps = worker->steps;
	return 0;
}

/* ---- PID 1 ---- */

static void apply(struct object *object, const void *result)
{
	struct layer_object *layer = (struct layer_object *)object;
	const struct store_layer *facts = &((const struct imports_made *)result)->facts;

	/* What it is called, and what it stands on, was known before. */
	layer->facts.imported = true;
	layer->facts.place = facts->place;
	layer->facts.seal = facts->seal;
	memcpy(layer->facts.identity, facts->identity, sizeof(facts->identity));
	memcpy(layer->facts.digest, facts->digest, sizeof(facts->digest));
	memcpy(layer->facts.diff_id, facts->diff_id, sizeof(facts->diff_id));
	layer->facts.tar_bytes = facts->tar_bytes;
	layer->facts.size = facts->size;
	layer->facts.files = facts->files;
	undo_free(&object->teardown); /* a finished layer stays when its object goes */
}

static const struct operation_kind import_kind = {
	.name = "layer.import",
	.result_size = sizeof(struct imports_made),
	.work = import_work,
	.apply = apply,
};

/* Nothing of what was held may be used any more. */
static void release(const struct importing *importing)
{
	struct image_plan *image = importing->request->layer.image;

	if (importing->volume)
		importing->volume->users--;
	images_release(importing->agent, importing->held, LAYERS_DEPTH_MAX);
	if (image)
		keys_release(&image->key);
}

static void finished(void *context, const struct error *error, const void *result)
{
	auto_free struct importing *importing = context;

	release(importing);
	importing->completion.done(importing->completion.context, error, result);
	if (importing->transfer.agent)
		transfers_end(&importing->transfer);
}

static void begin(struct agent *agent, struct importing *importing)
{
	const struct operation_start start = {
		.kind = &import_kind,
		.object = &importing->layer->object,
		.request = importing,
		.wait_ms = importing->request->timeout_ms + layers_wait_ms(&importing->request->layer),
		.keep = &importing->transfer.peer.fd,
		.keep_count = importing->volume ? 0 : 1,
		.completion = { finished, importing },
	};

	operation_create(agent, &start);
}

static void begin_with_stream(struct transfer *transfer)
{
	begin(transfer->agent, transfer->context);
}

static void expired(struct transfer *transfer)
{
	auto_free struct importing *importing = transfer->context;
	struct error err;

	error_set(&err, ERROR_TIMEOUT, ETIMEDOUT, "no stream was opened for the layer %s", importing->layer->object.id);
	error_step(&err, "wait for the stream");
	release(importing);
	objects_remove(&transfer->agent->objects, &importing->layer->object);
	completion_fail(&importing->completion, &err);
}

static int use_volume(struct agent *agent, struct importing *importing, struct error *err)
{
	int result = objects_get(&agent->objects, OBJECT_VOLUME, importing->request->volume, "volume", &importing->volume, err);

	if (result == 0)
		result = objects_check_ready(importing->volume, err);
	if (result < 0)
		importing->volume = NULL;
	else
		importing->volume->users++; /* it cannot go meanwhile */
	return result;
}

/* What is below it is looked at, and so it must be unlocked. */
static int add_layer(struct agent *agent, struct importing *importing, struct error *err)
{
	struct layer_object *layer;
	int result = layers_add(agent, &importing->request->layer, &layer, err);

	if (result < 0)
		return result;
	result = images_hold(agent, layer->parent, LAYERS_DEPTH_MAX, err);
	if (result == 0)
		importing->held = layer->parent;
	importing->layer = layer;
	return result;
}

static int prepare(struct agent *agent, struct importing *importing, struct error *err)
{
	const struct imports_request *request = importing->request;
	int result = request->volume ? use_volume(agent, importing, err) : 0;

	if (result == 0)
		result = add_layer(agent, importing, err);
	if (result < 0 || request->volume)
		return result;
	importing->transfer = (struct transfer){
		.layer = importing->layer->object.id, .begin = begin_with_stream, .expired = expired, .context = importing
	};
	return transfers_wait(agent, &importing->transfer, request->open_ms, err);
}

void imports_start(struct agent *agent, const struct imports_request *request, struct completion completion)
{
	struct importing *importing = calloc(1, sizeof(*importing));
	struct error err;
	int result;

	if (!importing) {
		error_set(&err, ERROR_INTERNAL, ENOMEM, "layer.import");
		completion_fail(&completion, &err);
		return;
	}
	importing->agent = agent;
	importing->request = request;
	importing->completion = completion;
	result = prepare(agent, importing, &err);
	if (result < 0) {
		release(importing);
		if (importing->layer)
			objects_remove(&agent->objects, &importing->layer->object);
		free(importing);
		completion_fail(&completion, &err);
	} else if (importing->volume) {
		begin(agent, importing);
	}
}
