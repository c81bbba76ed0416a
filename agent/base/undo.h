/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_UNDO_H
#define BASE_UNDO_H

#include <stddef.h>

#include "base/error.h"

/*
 * Undo as data.  Before a change that outlives the process is made, a record of how to take it back is pushed: a kind and
 * a name, never a pointer.  A worker's records reach its parent at once, so that nothing depends on the worker living on.
 * Played backwards (sys/rollback.h) the list is the rollback of a failed request, the detach of a volume and the shutdown.
 * "It is not there" counts as undone, so a record may be pushed before the act and be played twice.
 */

enum undo_kind {
#define UNDO(symbol, name) UNDO_##symbol,
#include "base/undo.def"
#undef UNDO
	UNDO_COUNT,
};

#define UNDO_NAME_MAX 256

struct undo_record {
	enum undo_kind kind;
	char name[UNDO_NAME_MAX]; /* a path, a mapping's name, a device number: what the kind says */
};

struct undo {
	struct undo_record *records;
	size_t count, capacity;
	/* In a worker: hands each record to the parent and returns when the parent has it.  NULL elsewhere. */
	int (*publish)(void *context, const struct undo_record *record, struct error *err);
	void *context;
};

/* Must come before the act that it takes back. */
must_check int undo_push(struct undo *undo, enum undo_kind kind, const char *name, struct error *err);
/* Appends the records of `from` to those of `to` and empties it; on -ENOMEM both stay as they were. */
must_check int undo_move(struct undo *to, struct undo *from, struct error *err);
/* Forgets the records without playing them. */
void undo_free(struct undo *undo);
const char *undo_kind_name(enum undo_kind kind);

#endif
