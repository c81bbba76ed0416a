/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_STORE_H
#define LAYER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "coffer/protocol.h"
#include "layer/digest.h"
#include "layer/seal.h"

/*
 * A store of layers in a directory of a file system that the guest trusts (a scratch, an encrypted volume).  What is on the disk is
 * all that there is:
 *
 *   N/           a finished layer; N counts up from 1, so that a layer's number is larger than those of all below it
 *     tree/      its own files, in overlayfs' form (layer/whiteout.h)
 *     layer.json its facts
 *     work/      overlayfs' own, while the layer is written to
 *     image      in place of both, if the layer has a key of its own and no disk (layer/image.h)
 *     sealed     in place of both, if the layer is sealed (layer/seal.h)
 *   new-N/       one that is being made: becomes N by one rename, or goes away when the store is opened again
 *   gone-N/      one that was removed: goes away then too
 *   empty/       nothing, for overlayfs: it does not stack one layer on none
 *
 * For workers.  Errors are ERROR_LAYER when what is on the disk is no store of ours, else ERROR_MOUNT with the errno.
 */

#define STORE_PATH_MAX 224u

#define STORE_EMPTY       "empty"
#define STORE_SEALED_FILE "sealed"

struct store {
	char path[STORE_PATH_MAX]; /* of the directory */
	bool lasting;              /* the file system outlives the VM: what is answered as done is on the disk */
};

/* Where a layer's files lie. */
enum store_place {
	STORE_PLAIN,  /* in the store's directory */
	STORE_IMAGE,  /* in an image beside layer.json */
	STORE_DISK,   /* on a disk of its own */
	STORE_SEALED, /* in a file beside layer.json, for dm-verity */
	STORE_PLACES
};

/* It is locked until somebody has the key (service/images.h). */
static inline bool store_has_key(enum store_place place)
{
	return place == STORE_IMAGE || place == STORE_DISK;
}

/* The facts of a layer. */
struct store_layer {
	char id[COFFER_ID_MAX + 1], parent[COFFER_ID_MAX + 1]; /* "": none */
	uint64_t number;
	bool writable; /* of the kind that a container writes to: never a parent */
	enum store_place place;
	uint8_t identity[32]; /* STORE_IMAGE, STORE_DISK: of its encrypted volume (storage/encrypted.h) */
	struct seal seal;     /* STORE_SEALED; such a layer was imported */
	bool imported;        /* the rest is known */
	uint8_t digest[DIGEST_SIZE], diff_id[DIGEST_SIZE];
	uint64_t tar_bytes, size, files;
};

/*
 * Makes the store's directory, or takes over the one that is there: removes what is not finished, and writes a struct store_layer
 * for each layer, in the order of their numbers, to `out` (an empty file).  *removed counts what was not finished.
 */
must_check int store_open(const struct store *store, int out, unsigned *removed, struct error *err);

/* new-N with an empty tree, 0755.  Both records are pushed that take away new-N and N: drop them after the commit. */
must_check int store_begin(const struct store *store, uint64_t number, struct undo *undo, struct error *err);
/* A descriptor of the tree of new-N (or, `finished`, of N); O_PATH or O_RDONLY by `flags`. */
must_check int store_tree(const struct store *store, uint64_t number, bool finished, int flags, struct error *err);
/* The path of a layer's member: "N/NAME" below the store's, or of new-N's. */
must_check int store_member(const struct store *store, uint64_t number, bool finished, const char *name,
			    char path[STORE_PATH_MAX + 64], struct error *err);
/* Makes new-N's STORE_SEALED_FILE out of its tree, which goes.  `diff_id`: see layer/seal.h. */
must_check int store_seal(const struct store *store, uint64_t number, const uint8_t diff_id[DIGEST_SIZE], struct seal *seal,
			  struct error *err);
/* new-N becomes N, whole or not at all. */
must_check int store_commit(const struct store *store, const struct store_layer *layer, struct error *err);
/* N is gone when this succeeds; what could not be deleted of it goes when the store is opened again. */
must_check int store_remove(const struct store *store, uint64_t number, struct error *err);

#endif
