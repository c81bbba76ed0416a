/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/objects.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/claim.h"

const char *objects_kind_name(enum object_kind kind)
{
	static const char *const names[] = { "volume", "scratch", "root file system", "container",
					     "store",  "layer",   "unlocked layer",   "mounted layer" };

	return names[kind];
}

const char *objects_state_name(enum object_state state)
{
	static const char *const names[] = { "creating", "ready", "removing", "broken" };

	return names[state];
}

struct object *objects_find(const struct objects *objects, enum object_kind kind, const char *id)
{
	struct object *object = objects->lists[kind];

	while (object && strcmp(object->id, id) != 0)
		object = object->next;
	return object;
}

int objects_add(struct objects *objects, enum object_kind kind, const char *id, size_t size, struct object **made,
		struct error *err)
{
	if (objects_find(objects, kind, id)) {
		int result = error_set(err, ERROR_EXISTS, EEXIST, "a %s with the id %s", objects_kind_name(kind), id);

		snprintf(err->field, sizeof(err->field), "id");
		return result;
	}
	if (objects->counts[kind] >= COFFER_OBJECTS_MAX)
		return error_set(err, ERROR_BUSY, ENOSPC, "%u of these exist", objects->counts[kind]);
	struct object *object = calloc(1, size);
	if (!object)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "%s %s", objects_kind_name(kind), id);
	object->kind = kind;
	object->state = OBJECT_CREATING;
	snprintf(object->id, sizeof(object->id), "%s", id);
	/* At the end: lists are shown in the order of making. */
	struct object **at = &objects->lists[kind];
	while (*at)
		at = &(*at)->next;
	*at = object;
	objects->counts[kind]++;
	*made = object;
	return 0;
}

int objects_check_ready(const struct object *object, struct error *err)
{
	if (object->state == OBJECT_READY)
		return 0;
	return error_set(err, ERROR_STATE, EAGAIN, "the %s %s is %s", objects_kind_name(object->kind), object->id,
			 objects_state_name(object->state));
}

int objects_use(struct object *object, struct object *base, struct error *err)
{
	int result = objects_check_ready(base, err);

	if (result < 0)
		return result;
	struct object **uses = realloc(object->uses, (object->use_count + 1) * sizeof(*uses));
	if (!uses)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "%s %s", objects_kind_name(object->kind), object->id);
	object->uses = uses;
	object->uses[object->use_count++] = base;
	base->users++;
	return 0;
}

bool objects_uses(const struct object *object, const struct object *base)
{
	for (size_t i = 0; i < object->use_count; i++) {
		if (object->uses[i] == base)
			return true;
	}
	return false;
}

void objects_remove(struct objects *objects, struct object *object)
{
	struct object **at = &objects->lists[object->kind];

	while (*at && *at != object)
		at = &(*at)->next;
	if (*at) {
		*at = object->next;
		objects->counts[object->kind]--;
	}
	for (size_t i = 0; i < object->use_count; i++)
		object->uses[i]->users--;
	free(object->uses);
	undo_free(&object->teardown);
	free(object);
}

int objects_get(const struct objects *objects, enum object_kind kind, const char *id, const char *field, struct object **found,
		struct error *err)
{
	*found = objects_find(objects, kind, id);
	if (*found)
		return 0;
	int result = error_set(err, ERROR_NOT_FOUND, ENOENT, "no %s has the id %s", objects_kind_name(kind), id);

	err->errnum = ENOENT;
	snprintf(err->field, sizeof(err->field), "%s", field);
	return result;
}

int objects_check_removable(const struct object *object, struct error *err)
{
	if (object->users > 0)
		return error_set(err, ERROR_IN_USE, EBUSY, "%u objects stand on the %s %s", object->users,
				 objects_kind_name(object->kind), object->id);
	if (object->state != OBJECT_READY && object->state != OBJECT_BROKEN)
		return error_set(err, ERROR_STATE, EBUSY, "the %s %s is %s", objects_kind_name(object->kind), object->id,
				 objects_state_name(object->state));
	return 0;
}

int objects_claimed(void *context, const char *claim)
{
	const struct objects *objects = context;

	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		for (const struct object *object = objects->lists[kind]; object; object = object->next) {
			for (size_t i = 0; i < object->teardown.count; i++) {
				const struct undo_record *record = &object->teardown.records[i];

				if (record->kind == UNDO_CLAIM && claim_conflicts(record->name, claim))
					return 1;
			}
		}
	}
	return 0;
}
