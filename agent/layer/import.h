/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_IMPORT_H
#define LAYER_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id_range.h"
#include "layer/digest.h"

/*
 * A layer's tar becomes a layer's tree: plain files, and what the layer takes away in overlayfs' form (layer/whiteout.h).
 * The rules are those of OCI's image-spec, layer.md, and docs/LAYERS.md.
 *
 * The stream may be anybody's: it is taken apart by a child process that has no file system but the tree and `lower`, no network,
 * and no system calls but those of its work (layer/sandbox.h).  The stream's own digest is summed up outside of the child, so that
 * a stream which takes the child over still is not another stream.
 */

struct import_limits {
	uint64_t bytes; /* of file data, in all; holes count */
	uint64_t files; /* entries, and directories that none of them names */
	uint64_t
		ratio; /* bytes that may come out of a packed stream for each of its own, as layer/unpack.h has it; 0: any number */
};

struct import_request {
	int from;                     /* the stream (plain, gzip or zstd tar), read to its end: a pipe, a socket or a file */
	int tree;                     /* an empty directory: becomes the layer's own files in overlayfs' form */
	int lower;                    /* what the layers below show together (a directory, never written to), or -1 */
	int spool;                    /* an empty read-write file, for what must be remembered until the end */
	const char *digest, *diff_id; /* "sha256:...", of the stream as it comes, and of the tar in it; NULL: not known */
	const struct id_range *uids;  /* of the archive -> of the tree; none: as they are; an id outside of all is an error */
	const struct id_range *gids;
	size_t uid_count, gid_count;
	bool devices; /* block and character devices may be made; else they are an error */
	struct import_limits limits;
	void (*progress)(void *context, uint64_t bytes); /* of the stream so far, every few MiB, in the caller's process; or NULL */
	void *progress_context;
};

struct import_result {
	uint8_t digest[DIGEST_SIZE], diff_id[DIGEST_SIZE];
	uint64_t stream_bytes, tar_bytes;
	uint64_t size;  /* of all regular files that were written */
	uint64_t files; /* as struct import_limits counts them */
};

/*
 * For workers with all capabilities.  After a failure the tree holds whatever was written; the caller removes it, as it made it,
 * and the stream need not have been read to its end.
 *
 * ERROR_PARAMS: a digest that is none.  ERROR_LAYER: the archive; the message names the entry.  ERROR_DIGEST: it is another stream.
 * ERROR_INTERNAL, with the errno: the tree cannot be written (ENOSPC), the stream not be read.  ERROR_KERNEL: no sandbox.
 */
must_check int import_layer(const struct import_request *request, struct import_result *result, struct error *err);

#endif
