/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_LAYER_IMAGES_H
#define RPC_LAYER_IMAGES_H

#include "rpc/call.h"
#include "rpc/params.h"
#include "service/images.h"

/* Layers with a key of their own: what requests that make layers say of it, and layer.unlock and layer.lock. */

struct params_image {
	const char *size;
	struct blockdev_name device;
	bool has_device, force, existing;
	uint64_t timeout_ms;
};

/* Members of a request that makes a layer, of a struct that has them under these names. */
#define RPC_LAYER_IMAGE(type)                                                                                                      \
	{ .name = "key",                                                                                                           \
	  .kind = DECODE_OBJECT,                                                                                                   \
	  .offset = offsetof(struct type, key),                                                                                    \
	  .present = offsetof(struct type, has_key),                                                                               \
	  .schema = &params_key },                                                                                                 \
	{                                                                                                                          \
		.name = "image", .kind = DECODE_OBJECT, .offset = offsetof(struct type, image),                                    \
		.present = offsetof(struct type, has_image), .schema = &rpc_layer_images_schema                                    \
	}

/* The two members: both or neither. */
int rpc_layer_images_check(bool has_key, bool has_image, struct error *err);
void rpc_layer_images_plan(const struct params_image *image, const struct key_request *key, struct image_plan *plan);
/* What is answered when it has been made. */
void rpc_layer_images_encode(struct encode *e, const struct image_plan *plan, const struct image_made *made);
extern const struct decode_schema rpc_layer_images_schema; /* of struct params_image */

extern const struct decode_schema rpc_layer_images_unlock_schema;
void rpc_layer_images_run_unlock(struct rpc_call *call);
void rpc_layer_images_run_lock(struct rpc_call *call);
void rpc_layer_images_encode_unlock(struct encode *e, const struct rpc_call *call, const void *result);

#endif
