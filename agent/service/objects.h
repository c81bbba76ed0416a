/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_OBJECTS_H
#define SERVICE_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/undo.h"
#include "coffer/protocol.h"

/*
 * What requests have made: volumes, scratches, root file systems, containers, layers; each kind has a name space of its own.
 * An object's teardown list is all that is needed to take it away.
 */

enum object_kind {
	OBJECT_VOLUME,
	OBJECT_SCRATCH,
	OBJECT_ROOTFS,
	OBJECT_CONTAINER,
	OBJECT_STORE, /* of layers */
	OBJECT_LAYER,
	OBJECT_IMAGE, /* of a layer with a key of its own that is unlocked, under the layer's id */
	OBJECT_TREE,  /* a layer that is mounted, under the layer's id */
	OBJECT_KINDS
};

enum object_state { OBJECT_CREATING, OBJECT_READY, OBJECT_REMOVING, OBJECT_BROKEN };

struct object {
	enum object_kind kind;
	enum object_state state;
	char id[COFFER_ID_MAX + 1];
	unsigned users;       /* objects that stand on this one */
	struct object **uses; /* what it stands on; owned */
	size_t use_count;
	struct undo teardown;
	struct object *next;
};

struct objects {
	struct object *lists[OBJECT_KINDS];
	unsigned counts[OBJECT_KINDS];
};

const char *objects_kind_name(enum object_kind kind); /* "volume" */
const char *objects_state_name(enum object_state state);

struct object *objects_find(const struct objects *objects, enum object_kind kind, const char *id);
/*
 * A new object of `size` bytes (a struct that begins with struct object), zeroed, in state CREATING.  ERROR_EXISTS when the id is
 * taken, ERROR_BUSY when there are too many.
 */
must_check int objects_add(struct objects *objects, enum object_kind kind, const char *id, size_t size, struct object **made,
			   struct error *err);
/* ERROR_STATE unless the object is ready. */
must_check int objects_check_ready(const struct object *object, struct error *err);
/* Makes `object` stand on `base`, which must be ready: ERROR_STATE if not. */
must_check int objects_use(struct object *object, struct object *base, struct error *err);
/* Does `object` stand on `base` already? */
bool objects_uses(const struct object *object, const struct object *base);
/* Takes it from the list and frees it; its bases lose a user. */
void objects_remove(struct objects *objects, struct object *object);
/* 0, or ERROR_NOT_FOUND naming the field. */
must_check int objects_get(const struct objects *objects, enum object_kind kind, const char *id, const char *field,
			   struct object **found, struct error *err);
/* Can it be removed now?  ERROR_IN_USE, ERROR_STATE. */
must_check int objects_check_removable(const struct object *object, struct error *err);
/* 1 when some object's teardown list has a claim that conflicts with this one.  For jobs_set_claims. */
int objects_claimed(void *objects, const char *claim);

#endif
