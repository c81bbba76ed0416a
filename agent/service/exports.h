/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_EXPORTS_H
#define SERVICE_EXPORTS_H

#include "layer/export.h"
#include "service/layers.h"

/* What a layer holds, as a stream to the host: its archive, or the list of its changes. */

struct exports_request {
	const char *id;
	const struct id_range *uids, *gids;
	size_t uid_count, gid_count;
	unsigned open_ms; /* how long the stream may take to be opened */
	unsigned timeout_ms;
};

struct exports_made {
	struct export_result archive;
	uint64_t added, modified, deleted;
	struct steps steps;
};

struct exports_sized {
	uint64_t size; /* bytes, as export_size counts them */
};

/* The OCI layer tar.  The completion's result is struct exports_made; `request` must live until it. */
void exports_archive(struct agent *agent, const struct exports_request *request, struct completion completion);
/* A line of JSON for each change: {"kind":"added","path":"/a/b"}. */
void exports_changes(struct agent *agent, const struct exports_request *request, struct completion completion);
/* The completion's result is struct exports_sized. */
void exports_size(struct agent *agent, const char *id, struct completion completion);

#endif
