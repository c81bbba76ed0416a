/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/layer_archives.h"

#include "rpc/layer_fields.h"
#include "rpc/layer_images.h"
#include "rpc/layers.h"
#include "rpc/params.h"
#include "rpc/results.h"
#include "service/exports.h"
#include "service/imports.h"

#define OPEN_MS      10000u
#define TIMEOUT_MS   600000u
#define TIMEOUT_MOST (24u * 3600u * 1000u)

/* What an archive may unpack to, unless the request says something else. */
#define BYTES_MOST (64ull << 30)
#define FILES_MOST 4000000u

/* The same on the wire; an import goes from the archive to the tree, an export back. */
static const struct decode_field import_range_fields[] = { UINT32(id_range, "archive", from), UINT32(id_range, "tree", to),
							   UINT32(id_range, "count", count) };
static const struct decode_field export_range_fields[] = { UINT32(id_range, "archive", to), UINT32(id_range, "tree", from),
							   UINT32(id_range, "count", count) };
static const struct decode_schema import_range = SCHEMA(import_range_fields, id_range, id_range_check);
static const struct decode_schema export_range = SCHEMA(export_range_fields, id_range, id_range_check);

struct params_import {
	const char *id, *store, *parent, *digest, *diff_id, *volume, *path;
	struct decode_list uids, gids;
	bool devices, seal, has_key, has_image;
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
	if (params->seal && (params->has_key || params->has_image))
		return error_field(err, "seal", "does not go with a key of its own");
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
	RANGES(params_import, "uids", uids, import_range),
	RANGES(params_import, "gids", gids, import_range),
	{ FIELD(params_import, "devices", DECODE_BOOL, devices) },
	{ FIELD(params_import, "seal", DECODE_BOOL, seal) },
	RPC_LAYER_IMAGE(params_import),
	{ FIELD(params_import, "max_bytes", DECODE_UINT, bytes), .min = 1, .max = INT64_MAX },
	{ FIELD(params_import, "max_files", DECODE_UINT, files), .min = 1, .max = INT64_MAX },
	{ FIELD(params_import, "max_ratio", DECODE_UINT, ratio), .min = 1, .max = UINT32_MAX },
	{ FIELD(params_import, "open_ms", DECODE_UINT, open_ms), .min = 1, .max = TIMEOUT_MS },
	{ FIELD(params_import, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST },
};
const struct decode_schema rpc_layer_archives_import_schema = SCHEMA(import_fields, params_import, check_import);

void rpc_layer_archives_run_import(struct rpc_call *call)
{
	struct params_import *params = call->params;

	rpc_layer_images_plan(&params->image, &params->key, &params->plan);
	params->request = (struct imports_request){
		.layer = { .id = params->id,
			   .store = params->store,
			   .parent = params->parent,
			   .seal = params->seal,
			   .image = params->has_image ? &params->plan : NULL },
		.digest = params->digest,
		.diff_id = params->diff_id,
		.volume = params->volume,
		.path = params->path,
		.uids = params->uids.items,
		.uid_count = params->uids.count,
		.gids = params->gids.items,
		.gid_count = params->gids.count,
		.limits = { .bytes = params->bytes ? params->bytes : BYTES_MOST,
			    .files = params->files ? params->files : FILES_MOST,
			    .ratio = params->ratio },
		.devices = params->devices,
		.open_ms = params_or(params->open_ms, OPEN_MS),
		.timeout_ms = params_or(params->timeout_ms, TIMEOUT_MS),
	};
	imports_start(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_layer_archives_encode_import(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct params_import *params = call->params;
	const struct imports_made *made = result;

	encode_string(e, "id", params->id);
	rpc_layers_encode_facts(e, &made->facts);
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
	RANGES(params_export, "uids", uids, export_range),
	RANGES(params_export, "gids", gids, export_range),
	{ FIELD(params_export, "open_ms", DECODE_UINT, open_ms), .min = 1, .max = TIMEOUT_MS },
	{ FIELD(params_export, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MOST },
};
const struct decode_schema rpc_layer_archives_export_schema = SCHEMA(export_fields, params_export, NULL);

static void run_stream(struct rpc_call *call, void (*service)(struct agent *, const struct exports_request *, struct completion))
{
	struct params_export *params = call->params;

	params->request = (struct exports_request){
		.id = params->id,
		.uids = params->uids.items,
		.uid_count = params->uids.count,
		.gids = params->gids.items,
		.gid_count = params->gids.count,
		.open_ms = params_or(params->open_ms, OPEN_MS),
		.timeout_ms = params_or(params->timeout_ms, TIMEOUT_MS),
	};
	service(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_layer_archives_run_export(struct rpc_call *call)
{
	run_stream(call, exports_archive);
}

void rpc_layer_archives_run_changes(struct rpc_call *call)
{
	run_stream(call, exports_changes);
}

void rpc_layer_archives_encode_export(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct exports_made *made = result;

	encode_string(e, "id", ((const struct params_export *)call->params)->id);
	rpc_layers_encode_digest(e, "diff_id", made->archive.digest);
	encode_uint(e, "tar_bytes", made->archive.tar_bytes);
	encode_uint(e, "size", made->archive.size);
	encode_uint(e, "files", made->archive.files);
	rpc_results_steps(e, &made->steps);
}

void rpc_layer_archives_encode_changes(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct exports_made *made = result;

	encode_string(e, "id", ((const struct params_export *)call->params)->id);
	encode_uint(e, "added", made->added);
	encode_uint(e, "modified", made->modified);
	encode_uint(e, "deleted", made->deleted);
	rpc_results_steps(e, &made->steps);
}

void rpc_layer_archives_run_size(struct rpc_call *call)
{
	exports_size(call->agent, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}

void rpc_layer_archives_encode_size(struct encode *e, const struct rpc_call *call, const void *result)
{
	encode_string(e, "id", ((const struct params_id *)call->params)->id);
	encode_uint(e, "size", ((const struct exports_sized *)result)->size);
}
