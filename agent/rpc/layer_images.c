/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rpc/layer_images.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/ram_size.h"
#include "rpc/layer_fields.h"
#include "rpc/results.h"

#define DEVICE_MS  10000u
#define TIMEOUT_MS 600000u

static const struct decode_field image_fields[] = {
	{ FIELD(params_image, "size", DECODE_STRING, size), .flags = DECODE_NONZERO, .max = 32, .check = ram_size_check },
	{ FIELD(params_image, "device", DECODE_OBJECT, device), .present = offsetof(struct params_image, has_device),
	  .schema = &params_device },
	{ FIELD(params_image, "force", DECODE_BOOL, force) },
	{ FIELD(params_image, "existing", DECODE_BOOL, existing) },
	{ FIELD(params_image, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MS },
};
const struct decode_schema rpc_layer_images_schema = SCHEMA(image_fields, params_image, NULL);

int rpc_layer_images_check(bool has_key, bool has_image, struct error *err)
{
	if (has_key == has_image)
		return 0;
	return error_field(err, has_key ? "image" : "key", "is required: a layer with a key of its own has an image");
}

void rpc_layer_images_plan(const struct params_image *image, const struct key_request *key, struct image_plan *plan)
{
	*plan = (struct image_plan){
		.key = *key,
		.size = image->size,
		.device = image->device,
		.has_device = image->has_device,
		.force = image->force,
		.existing = image->existing,
		.timeout_ms = image->has_device ? params_or(image->timeout_ms, DEVICE_MS) : 0,
	};
}

void rpc_layer_images_encode(struct encode *e, const struct image_plan *plan, const struct image_made *made)
{
	encode_uint(e, "image_size", made->size);
	encode_string(e, "header_sha256", made->header_sha256);
	encode_string(e, "key_from", keys_source(&plan->key));
}

/* ---- unlocking ---- */

struct params_unlock {
	const char *id, *header_sha256, *format;
	struct key_request key;
	struct blockdev_name device;
	bool has_device;
	uint64_t timeout_ms;
	struct image_unlock request;
};

static int check_format(const char *string, struct error *err)
{
	return strcmp(string, "secureoverlay2") == 0 ? 0 : error_field(err, "", "must be secureoverlay2, or absent");
}

static const struct decode_field unlock_fields[] = {
	{ FIELD(params_unlock, "id", DECODE_STRING, id), .flags = DECODE_REQUIRED, .max = COFFER_ID_MAX, .check = decode_check_id },
	{ FIELD(params_unlock, "key", DECODE_OBJECT, key), .flags = DECODE_REQUIRED, .schema = &params_key },
	{ FIELD(params_unlock, "device", DECODE_OBJECT, device), .present = offsetof(struct params_unlock, has_device),
	  .schema = &params_device },
	{ FIELD(params_unlock, "header_sha256", DECODE_STRING, header_sha256), .flags = DECODE_NONZERO, .max = 64,
	  .check = params_check_sum },
	{ FIELD(params_unlock, "format", DECODE_STRING, format), .max = 32, .check = check_format },
	{ FIELD(params_unlock, "timeout_ms", DECODE_UINT, timeout_ms), .min = 1, .max = TIMEOUT_MS },
};
const struct decode_schema rpc_layer_images_unlock_schema = SCHEMA(unlock_fields, params_unlock, NULL);

void rpc_layer_images_run_unlock(struct rpc_call *call)
{
	struct params_unlock *params = call->params;

	params->request = (struct image_unlock){
		.id = params->id,
		.key = params->key,
		.device = params->device,
		.has_device = params->has_device,
		.header_sha256 = params->header_sha256,
		.old = params->format != NULL,
		.timeout_ms = params->has_device ? params_or(params->timeout_ms, DEVICE_MS) : 0,
	};
	images_unlock(call->agent, &params->request, rpc_call_answer(call));
}

void rpc_layer_images_encode_unlock(struct encode *e, const struct rpc_call *call, const void *result)
{
	const struct params_unlock *params = call->params;
	const struct image_unlocked *unlocked = result;

	encode_string(e, "id", params->id);
	encode_string(e, "path", unlocked->path);
	encode_bool(e, "writable", unlocked->writable);
	encode_uint(e, "image_size", unlocked->image.size);
	if (!params->format)
		encode_string(e, "header_sha256", unlocked->image.header_sha256);
	encode_string(e, "key_from", keys_source(&params->request.key));
	rpc_results_steps(e, &unlocked->steps);
}

void rpc_layer_images_run_lock(struct rpc_call *call)
{
	images_lock(call->agent, ((const struct params_id *)call->params)->id, rpc_call_answer(call));
}
