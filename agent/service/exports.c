/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/exports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/text.h"
#include "layer/changes.h"
#include "service/pumps.h"
#include "service/sealed.h"
#include "service/transfers.h"
#include "service/views.h"
#include "sys/paths.h"
#include "sys/rollback.h"

#define VIEW_DIRECTORY "/run/coffer/below" /* what is below a layer whose changes are asked for is mounted on .../ID */

struct exporting {
	struct agent *agent;
	const struct exports_request *request;
	const struct operation_kind *kind;
	struct layer_object *layer;
	unsigned depth;                   /* so many layers must be unlocked, this one counted */
	char owner[SEALED_OWNER_MAX + 1]; /* of sealed layers that are mounted for it */
	struct transfer transfer;
	struct completion completion;
};

/* ---- the worker ---- */

static int write_archive(const struct exporting *exporting, int tree, int out, struct worker *worker, struct exports_made *made,
			 struct error *err)
{
	const struct exports_request *request = exporting->request;
	const struct export_request export = {
		.tree = tree,
		.out = out,
		.uids = request->uids,
		.uid_count = request->uid_count,
		.gids = request->gids,
		.gid_count = request->gid_count,
	};

	(void)worker;
	return export_layer(&export, &made->archive, err);
}

/* A list that is being written. */
struct listing {
	int out;
	struct buf lines;
	struct exports_made *made;
};

#define LISTING_FULL (32u * 1024u)

static int flush_lines(struct listing *listing, struct error *err)
{
	while (buf_length(&listing->lines) > 0) {
		ssize_t done = write(listing->out, buf_bytes(&listing->lines), buf_length(&listing->lines));

		if (done < 0 && errno != EINTR)
			return error_set(err, ERROR_LAYER, errno, "send the list");
		if (done > 0)
			buf_consume(&listing->lines, (size_t)done);
	}
	return 0;
}

static int list_change(void *context, enum change_kind kind, const char *path, struct error *err)
{
	static const char *const names[] = {
		[CHANGE_MODIFIED] = "modified", [CHANGE_ADDED] = "added", [CHANGE_DELETED] = "deleted"
	};
	struct listing *listing = context;
	struct exports_made *made = listing->made;
	struct encode e = { .buf = &listing->lines };

	*(kind == CHANGE_MODIFIED ? &made->modified : kind == CHANGE_ADDED ? &made->added : &made->deleted) += 1;
	encode_open(&e, NULL, '{');
	encode_string(&e, "kind", names[kind]);
	encode_string(&e, "path", path);
	encode_close(&e, '}');
	if (encode_result(&e) < 0 || buf_append(&listing->lines, "\n", 1) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "list of changes");
	return buf_length(&listing->lines) < LISTING_FULL ? 0 : flush_lines(listing, err);
}

static int write_changes(const struct exporting *exporting, int tree, int out, struct worker *worker, struct exports_made *made,
			 struct error *err)
{
	struct listing listing = { .out = out, .made = made };
	char path[128];
	struct view view = { .folder = -1 };

	if (text_format(path, sizeof(path), VIEW_DIRECTORY "/%s", exporting->layer->object.id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", exporting->layer->object.id);
	int result = paths_mkdirs(VIEW_DIRECTORY, 0700, err);
	if (result == 0)
		result = views_open(&view, exporting->layer->parent, path, exporting->owner, &worker->undo, err);
	if (result < 0)
		return result;
	result = changes_list(tree, view.folder, list_change, &listing, err);
	if (result == 0)
		result = flush_lines(&listing, err);
	buf_free(&listing.lines);
	return result < 0 ? result : views_close(&view, err);
}

/* A descriptor of the layer's own files. */
static int open_tree(struct worker *worker, const struct exporting *exporting, struct error *err)
{
	int result = sealed_open(exporting->layer, 1, exporting->owner, &worker->undo, err);

	return result < 0 ? result : layers_open_tree(exporting->layer, true, exporting->owner, err);
}

/* All that was mounted.  A failure of the work itself counts for more, and has it taken back by whoever plays the records. */
static int close_tree(struct worker *worker, int *tree, int outcome, struct error *err)
{
	close_fd(tree);
	return outcome < 0 ? outcome : rollback_since(&worker->undo, 0, err);
}

static int send_stream(struct worker *worker, const struct exporting *exporting, struct exports_made *made,
		       int (*write_it)(const struct exporting *, int, int, struct worker *, struct exports_made *, struct error *),
		       struct error *err)
{
	struct error cut;
	struct pump pump;
	fd_auto tree = open_tree(worker, exporting, err);

	if (tree < 0)
		return tree;
	int outcome = pumps_send(&pump, exporting->transfer.peer.fd, err);
	if (outcome < 0)
		return outcome;
	outcome = write_it(exporting, tree, pump.fd, worker, made, err);
	if (pumps_end(&pump, outcome < 0, &cut) < 0) {
		*err = cut;
		return error_step(err, "send the stream");
	}
	steps_done(&worker->steps, "send the stream");
	made->steps = worker->steps;
	return close_tree(worker, &tree, outcome, err);
}

static int archive_work(struct worker *worker, void *context, void *result, struct error *err)
{
	return send_stream(worker, context, result, write_archive, err) < 0 ? error_step(err, "archive the layer") : 0;
}

static int changes_work(struct worker *worker, void *context, void *result, struct error *err)
{
	return send_stream(worker, context, result, write_changes, err) < 0 ? error_step(err, "list the changes") : 0;
}

static int size_work(struct worker *worker, void *context, void *result, struct error *err)
{
	fd_auto tree = open_tree(worker, context, err);
	int outcome = tree < 0 ? tree : export_size(tree, &((struct exports_sized *)result)->size, err);

	outcome = close_tree(worker, &tree, outcome, err);
	return outcome < 0 ? error_step(err, "measure the layer") : 0;
}

/* ---- PID 1 ---- */

static const struct operation_kind archive_kind = { .name = "layer.export",
						    .result_size = sizeof(struct exports_made),
						    .work = archive_work };
static const struct operation_kind changes_kind = { .name = "layer.changes",
						    .result_size = sizeof(struct exports_made),
						    .work = changes_work };
static const struct operation_kind size_kind = {
	.name = "layer.diff_size", .deadline_ms = 300000, .result_size = sizeof(struct exports_sized), .work = size_work
};

/* The layer, and what it stands on, cannot go meanwhile. */
static int hold(struct exporting *exporting, struct error *err)
{
	int result = images_hold(exporting->agent, exporting->layer, exporting->depth, err);

	if (result == 0)
		exporting->layer->object.users++;
	return result;
}

static void release(struct exporting *exporting)
{
	exporting->layer->object.users--;
	images_release(exporting->agent, exporting->layer, exporting->depth);
}

static void finished(void *context, const struct error *error, const void *result)
{
	auto_free struct exporting *exporting = context;

	release(exporting);
	exporting->completion.done(exporting->completion.context, error, result);
	if (exporting->transfer.agent)
		transfers_end(&exporting->transfer);
}

static void begin(struct agent *agent, struct exporting *exporting)
{
	const bool stream = exporting->transfer.agent;
	const struct operation_start start = {
		.kind = exporting->kind,
		.object = &exporting->layer->object,
		.request = exporting,
		.wait_ms = stream ? exporting->request->timeout_ms : 0,
		.keep = &exporting->transfer.peer.fd,
		.keep_count = stream ? 1 : 0,
		.completion = { finished, exporting },
	};

	operation_visit(agent, &start);
}

static void begin_with_stream(struct transfer *transfer)
{
	begin(transfer->agent, transfer->context);
}

static void expired(struct transfer *transfer)
{
	auto_free struct exporting *exporting = transfer->context;
	struct error err;

	error_set(&err, ERROR_TIMEOUT, ETIMEDOUT, "no stream was opened for the layer %s", exporting->layer->object.id);
	error_step(&err, "wait for the stream");
	release(exporting);
	completion_fail(&exporting->completion, &err);
}

static struct exporting *prepare(struct agent *agent, const struct operation_kind *kind, const char *id,
				 struct completion completion, struct error *err)
{
	struct exporting *exporting = calloc(1, sizeof(*exporting));
	struct layer_object *layer;

	if (!exporting) {
		error_set(err, ERROR_INTERNAL, ENOMEM, "%s", kind->name);
		return NULL;
	}
	if (stores_get_layer(agent, id, "id", &layer, err) < 0) {
		free(exporting);
		return NULL;
	}
	*exporting = (struct exporting){ .agent = agent,
					 .kind = kind,
					 .layer = layer,
					 .depth = kind == &changes_kind ? LAYERS_DEPTH_MAX : 1,
					 .completion = completion };
	snprintf(exporting->owner, sizeof(exporting->owner), "look+%s+%u", layer->object.id, layer->looks++);
	if (hold(exporting, err) == 0)
		return exporting;
	free(exporting);
	return NULL;
}

static void begin_when_opened(struct agent *agent, const struct operation_kind *kind, const struct exports_request *request,
			      struct completion completion)
{
	struct error err;
	struct exporting *exporting = prepare(agent, kind, request->id, completion, &err);

	if (!exporting) {
		completion_fail(&completion, &err);
		return;
	}
	exporting->request = request;
	exporting->transfer = (struct transfer){ .layer = exporting->layer->object.id,
						 .outwards = true,
						 .begin = begin_with_stream,
						 .expired = expired,
						 .context = exporting };
	if (transfers_wait(agent, &exporting->transfer, request->open_ms, &err) < 0) {
		release(exporting);
		free(exporting);
		completion_fail(&completion, &err);
	}
}

void exports_archive(struct agent *agent, const struct exports_request *request, struct completion completion)
{
	begin_when_opened(agent, &archive_kind, request, completion);
}

void exports_changes(struct agent *agent, const struct exports_request *request, struct completion completion)
{
	begin_when_opened(agent, &changes_kind, request, completion);
}

void exports_size(struct agent *agent, const char *id, struct completion completion)
{
	struct error err;
	struct exporting *exporting = prepare(agent, &size_kind, id, completion, &err);

	if (exporting)
		begin(agent, exporting);
	else
		completion_fail(&completion, &err);
}
