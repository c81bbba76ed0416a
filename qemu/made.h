/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_MADE_H
#define QEMU_MADE_H

#include "qemu/client.h"

/*
 * What `run` has made in a VM, in the order of making, as kinds and ids: undone backwards.  An entry is pushed before the act, and
 * "it is not there" counts as undone.
 */

/* The layers of a run's store have no entries: they are on a scratch that goes with it. */
enum made_kind { MADE_DISK, MADE_VOLUME, MADE_SCRATCH, MADE_STORE, MADE_LAYER, MADE_MOUNTED, MADE_ROOTFS, MADE_CONTAINER };

struct made {
	enum made_kind kind;
	char id[COFFER_ID_MAX + 1]; /* of a disk: its serial */
	bool kept;                  /* something else uses it */
};

#define MADE_MAX (2 * (COFFER_LOWER_MAX + 2) + 2)

struct made_list {
	struct made items[MADE_MAX];
	size_t count;
};

must_check int made_push(struct made_list *list, enum made_kind kind, const char *id, struct error *err);

/*
 * Undoes all of it, as far as that is possible, and returns the first failure.  `share`: what another root file system uses too
 * is left, with its disk.  With the VM gone there is nothing to undo.
 */
must_check int made_undo(struct made_list *list, const struct vm *vm, bool share, struct error *err);

/* The ids and serials of one run all begin with its tag: "run-" and 8 hex digits. */
#define MADE_TAG_SIZE 13
must_check int made_tag(char tag[MADE_TAG_SIZE], struct error *err);
/*
 * Behind the tag: of the scratch and the store on it, of the volume with what is bind-mounted, and of the layer that takes what is
 * written.  Images and other layers have a number.
 */
#define MADE_SCRATCH_ENDING "s"
#define MADE_TOP_ENDING     "w"
#define MADE_BINDS_ENDING   "b"
bool made_has_tag(const char *id, const char *tag);
/* True when `id` has the form of a tag. */
bool made_is_tag(const char *id);

#endif
