/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_EXPORT_H
#define LAYER_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/id_range.h"
#include "layer/digest.h"

/*
 * A layer's tree, in overlayfs' form (layer/whiteout.h), as the archive that OCI image-spec's layer.md says.  For workers; needs
 * /proc.
 *
 * Order: a directory before what is in it, names in the order of their bytes; the same tree gives the same bytes.  Names are
 * relative, a directory's ends in '/'.
 *
 * The tree's own directory comes first, as "./": so does the example of the specification.  The upper directory's owner, mode and
 * times are what the root of a container shows, and the archive is the only place for them.  moby and containerd write none and
 * pass over one that they read; umoci, GNU tar and coffer's import apply it.
 *
 * A whiteout of NAME is the empty file `.wh.NAME`; an opaque directory has `.wh..wh..opq` right after itself.  Both are of user and
 * group 0, whatever the maps, mode 0600 and from 1970.  A real file whose name begins with `.wh.` is an error, not left out and not
 * written as what the reader would take for a whiteout.
 *
 * Of a file with several names, the first holds the content and the others are links to it, with all of its attributes: a reader
 * that sets the owner of a link takes its capabilities away.  Sockets are left out.  Another file system mounted in the tree is an
 * error (EXDEV).
 *
 * Extended attributes: layer/xattrs.h.  Capabilities of revision 3 become those of revision 2, as moby does it: the user namespace
 * that they are bound to is none outside.  Ids in access control lists are mapped too.
 */

struct export_request {
	int tree;                           /* a directory; O_PATH is enough */
	int out;                            /* written to the end, not closed */
	const struct id_range *uids, *gids; /* of the tree -> of the archive; none: as they are; one outside of all: ERROR_LAYER */
	size_t uid_count, gid_count;
};

struct export_result {
	uint8_t digest[DIGEST_SIZE]; /* of the archive */
	uint64_t tar_bytes;          /* of the archive */
	uint64_t size;               /* as by export_size */
	uint64_t files;              /* entries in the archive, whiteouts and the tree's own directory included */
};

/* ERROR_LAYER for what no archive can say and for limits, with the name in the message; else ERROR_INTERNAL. */
must_check int export_layer(const struct export_request *request, struct export_result *result, struct error *err);

/* The sizes of the regular files, each once however many names it has; of nothing else.  (What moby calls DiffSize.) */
must_check int export_size(int tree, uint64_t *size, struct error *err);

#endif
