/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_IMPORTS_H
#define SERVICE_IMPORTS_H

#include "layer/import.h"
#include "service/layers.h"

/* A layer out of an archive: from a stream that the host opens, or from a file of a volume. */

struct imports_request {
	struct layers_create layer;
	const char *digest, *diff_id; /* NULL: not known */
	const char *volume, *path;    /* NULL: a stream */
	const struct id_range *uids, *gids;
	size_t uid_count, gid_count;
	struct import_limits limits;
	bool devices;
	unsigned open_ms; /* how long the stream may take to be opened */
	unsigned timeout_ms;
};

struct imports_made {
	struct store_layer facts;
	struct image_made image; /* if it has one */
	uint64_t stream_bytes;
	struct steps steps;
};

/* `request` must live until the completion, whose result is struct imports_made. */
void imports_start(struct agent *agent, const struct imports_request *request, struct completion completion);

#endif
