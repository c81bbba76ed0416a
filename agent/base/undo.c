/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/undo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
#define UNDO(symbol, name) [UNDO_##symbol] = name,
#include "base/undo.def"
#undef UNDO
};

static int reserve(struct undo *undo, size_t more, struct error *err)
{
	if (undo->capacity - undo->count >= more)
		return 0;
	size_t capacity = undo->capacity + (more > 8 ? more : 8);
	struct undo_record *records = realloc(undo->records, capacity * sizeof(*records));

	if (!records)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "undo list");
	undo->records = records;
	undo->capacity = capacity;
	return 0;
}

int undo_push(struct undo *undo, enum undo_kind kind, const char *name, struct error *err)
{
	size_t length = strlen(name);
	int result;

	if (length >= UNDO_NAME_MAX)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "undo record %s", name);
	result = reserve(undo, 1, err);
	if (result < 0)
		return result;
	struct undo_record *record = &undo->records[undo->count];
	memset(record, 0, sizeof(*record));
	record->kind = kind;
	memcpy(record->name, name, length);
	if (undo->publish) {
		result = undo->publish(undo->context, record, err);
		if (result < 0)
			return result;
	}
	undo->count++;
	return 0;
}

int undo_move(struct undo *to, struct undo *from, struct error *err)
{
	int result = reserve(to, from->count, err);

	if (result < 0)
		return result;
	if (from->count > 0)
		memcpy(to->records + to->count, from->records, from->count * sizeof(*from->records));
	to->count += from->count;
	undo_free(from);
	return 0;
}

void undo_free(struct undo *undo)
{
	free(undo->records);
	undo->records = NULL;
	undo->count = undo->capacity = 0;
}

const char *undo_kind_name(enum undo_kind kind)
{
	return (unsigned)kind < UNDO_COUNT ? kind_names[kind] : "unknown";
}
