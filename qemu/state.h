/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_STATE_H
#define QEMU_STATE_H

#include <string.h>

#include "qemu/vm.h"

/*
 * The runtime folder: $COFFER_RUNTIME_DIR, else $XDG_RUNTIME_DIR/coffer, else /run/coffer for root, else /tmp/coffer-UID.  It is
 * ours alone (mode 0700, our uid), and holds a folder for each VM:
 *
 *   NAME/lock         flock'ed by whoever starts, changes or stops the VM; a folder whose lock is free and whose processes are gone
 *                     is a dead VM's
 *   NAME/state.json   written before QEMU runs, replaced by rename
 *   .lock             held while a folder or a CID is being chosen
 *   .accel.json       whether KVM works here
 */

#define STATE_PROBE ".probe-" /* and a pid: the name of a VM that finds out whether KVM works */

static inline bool state_is_probe(const char *name)
{
	return strncmp(name, STATE_PROBE, sizeof(STATE_PROBE) - 1) == 0;
}

must_check int state_runtime(char *path, size_t size, struct error *err);

/* flock; the descriptor is the lock.  -EBUSY after `milliseconds`. */
must_check int state_lock_runtime(int *fd, struct error *err);
must_check int state_lock(const struct vm *vm, int milliseconds, int *fd, struct error *err);

/* Fills vm->name and vm->folder. */
must_check int state_name(struct vm *vm, const char *name, struct error *err);
/* Makes the folder and takes its lock.  The runtime lock must be held.  -EEXIST when there is one. */
must_check int state_claim(struct vm *vm, int *lock, struct error *err);
must_check int state_load(struct vm *vm, const char *name, struct error *err);
must_check int state_save(const struct vm *vm, struct error *err);
/* Removes the folder and what is in it; a missing one is fine. */
must_check int state_remove(const struct vm *vm, struct error *err);

enum state_health {
	STATE_RUNNING,
	STATE_BUSY, /* somebody is starting or stopping it */
	STATE_DEAD, /* and nobody holds its lock */
	STATE_NONE, /* there is no such folder */
};

/* Looks at one VM; fills `vm` as far as it is known.  Changes nothing. */
must_check int state_look(struct vm *vm, const char *name, enum state_health *health, struct error *err);

/* Kills what is left of a dead VM and removes its folder.  Does nothing to one that lives or is worked on. */
must_check int state_clean(const char *name, struct error *err);

/* Calls `visit` for each VM folder in the order of names, STATE_PROBE included.  Stops at the first failure. */
must_check int state_each(int (*visit)(const char *name, void *context, struct error *err), void *context, struct error *err);

#endif
