/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_SEALED_H
#define SERVICE_SEALED_H

#include "service/stores.h"

/*
 * For workers: sealed layers (layer/seal.h), which whoever needs their files mounts for the time of need, each for himself: a loop
 * device past the page cache, dm-verity, EROFS, nodev and nosuid.  What is read and does not verify is EIO.
 *
 * `owner` is who needs them, another one for each that may do so at the same time: [A-Za-z0-9_.+-], SEALED_OWNER_MAX bytes at most.
 */

#define SEALED_DIRECTORY "/run/coffer/sealed" /* a layer's files are on .../OWNER-NUMBER */
#define SEALED_OWNER_MAX 88u

/* The layer's own files, when it is mounted.  ERROR_INTERNAL. */
must_check int sealed_name(const struct layer_object *layer, const char *owner, char *name, size_t size, struct error *err);

/* What sealed layers among `layer` and those below it add to the time that a request for all of them may take. */
unsigned sealed_wait_ms(const struct layer_object *layer);

/*
 * Mounts what is sealed of `layer` (NULL: none) and those below it, `depth` of them at most.  All is in `undo`.  ERROR_VERITY when
 * a file is not what was sealed, as far as the first and the last block and its size tell; ERROR_MOUNT.
 */
must_check int sealed_open(const struct layer_object *layer, unsigned depth, const char *owner, struct undo *undo,
			   struct error *err);

#endif
