/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_LAYER_FIELDS_H
#define RPC_LAYER_FIELDS_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/id_range.h"
#include "layer/digest.h"

/* Rows of the tables that decode the layer.* methods. */

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
#define UINT32(type, key, member)                                                                                                  \
	{                                                                                                                          \
		FIELD(type, key, DECODE_UINT, member), .flags = DECODE_REQUIRED, .max = UINT32_MAX - 1                             \
	}
#define RANGES(type, key, member, range_schema)                                                                                    \
	{                                                                                                                          \
		FIELD(type, key, DECODE_LIST, member), .schema = &(range_schema), .max = ID_RANGE_MOST                             \
	}
#define SCHEMA(fields, type, check)                                                                                                \
	{                                                                                                                          \
		fields, array_count(fields), sizeof(struct type), check                                                            \
	}

#endif
