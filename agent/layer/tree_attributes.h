/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_TREE_ATTRIBUTES_H
#define LAYER_TREE_ATTRIBUTES_H

#include <stdbool.h>
#include <sys/types.h>

#include "layer/tree.h"

/*
 * Owners, modes, extended attributes and times of what has just been made at `name` in the directory of a place.  The order is one
 * in which nothing takes back what was set before: owner, extended attributes, mode, times.  No link is followed.
 */

struct tree_attributes {
	uid_t uid; /* the tree's, not the archive's */
	gid_t gid;
	mode_t mode;               /* with the type */
	struct timespec times[2];  /* of the last access, and of the last change */
	struct tar_reader *reader; /* where extended attributes come from: the entry, */
	int lower;                 /* or a file of the same name in this directory, when there is no reader; -1: none */
};

/* The archive's ids to the tree's. */
must_check int tree_attributes_owner(const struct tree *tree, uint32_t uid, uint32_t gid, struct tree_attributes *attributes,
				     struct error *err);
/* "." is the place itself.  A directory's times wait for tree_times_apply. */
must_check int tree_attributes_set(struct tree *tree, const struct tree_place *place, const char *name,
				   const struct tree_attributes *attributes, struct error *err);
/* Takes the extended attributes away, but overlayfs' own. */
must_check int tree_attributes_clear(struct tree *tree, const struct tree_place *place, const char *name, struct error *err);

/* Overlayfs' mark of a directory of which nothing below shows. */
must_check int tree_attributes_make_opaque(const struct tree_place *place, const char *name, struct error *err);
bool tree_attributes_is_opaque(int directory);

#endif
