/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_REQUEST_H
#define RPC_REQUEST_H

#include <json-c/json.h>

#include "base/decode.h"
#include "base/encode.h"

/* One line of JSON-RPC 2.0: the envelope. */

#define RPC_REQUEST_ID_MAX 400 /* bytes of an id as JSON text: 64 bytes, each maybe escaped */

struct rpc_request {
	json_object *json;           /* owned: the whole line */
	char id[RPC_REQUEST_ID_MAX]; /* JSON text, to be sent back; "null" when it could not be read */
	const char *method;
	json_object *params; /* within `json`, or owned when it was absent */
	bool owns_params;
};

/*
 * ERROR_PARSE, ERROR_REQUEST.  `request` is to be freed whatever is returned, and its `id` can be answered.  `line` is without the
 * newline.
 */
must_check int rpc_request_read(const char *line, size_t length, struct rpc_request *request, struct error *err);
/*
 * What params have under "key" and "new_key" is key material in every method, and is overwritten.  `all`: every string is; for
 * requests of which nobody has kept a part.
 */
void rpc_request_free(struct rpc_request *request, bool all);

/* The two forms of an answer, without newline: the caller writes the result's members between begin and end. */
void rpc_request_begin_result(struct encode *e, const char *id);
void rpc_request_end_result(struct encode *e);
void rpc_request_error(struct encode *e, const char *id, const struct error *error);

#endif
