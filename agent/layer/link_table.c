/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/link_table.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct link_slot {
	uint64_t device, inode;
	size_t name; /* where in the names, plus one; 0: the slot is free */
};

static struct link_slot *find(struct link_slot *slots, size_t size, uint64_t device, uint64_t inode)
{
	/* Fibonacci hashing; inode numbers are the file system's, nobody picks them. */
	uint64_t hash = (inode ^ device << 40) * 0x9e3779b97f4a7c15u;

	for (size_t i = hash >> 32;; i++) {
		struct link_slot *slot = &slots[i & (size - 1)];

		if (slot->name == 0 || (slot->device == device && slot->inode == inode))
			return slot;
	}
}

static int too_large(struct error *err)
{
	return error_set(err, ERROR_LAYER, E2BIG, "files of several names take more than %u MiB of memory", LINK_TABLE_MAX >> 20);
}

/* At most three quarters are in use, so a search ends. */
static int grow_slots(struct link_table *table, struct error *err)
{
	size_t size = table->size ? table->size * 2 : 64;

	if (table->count < table->size / 4 * 3)
		return 0;
	if (size * sizeof(struct link_slot) + table->room > LINK_TABLE_MAX)
		return too_large(err);
	struct link_slot *slots = calloc(size, sizeof(*slots));
	if (!slots)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "table of hard links");
	for (size_t i = 0; i < table->size; i++) {
		const struct link_slot *old = &table->slots[i];

		if (old->name)
			*find(slots, size, old->device, old->inode) = *old;
	}
	free(table->slots);
	table->slots = slots;
	table->size = size;
	return 0;
}

static int grow_names(struct link_table *table, size_t length, struct error *err)
{
	size_t room = table->room ? table->room : 4096, left = LINK_TABLE_MAX - table->size * sizeof(struct link_slot);

	if (length <= table->room - table->used)
		return 0;
	while (room - table->used < length)
		room += room / 2;
	if (table->used + length > left)
		return too_large(err);
	if (room > left)
		room = left;
	char *names = realloc(table->names, room);
	if (!names)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "table of hard links");
	table->names = names;
	table->room = room;
	return 0;
}

int link_table_add(struct link_table *table, const struct stat *status, const char *name, const char **first, struct error *err)
{
	size_t length = strlen(name) + 1;
	struct link_slot *slot;

	*first = NULL;
	if (table->size > 0) {
		slot = find(table->slots, table->size, status->st_dev, status->st_ino);
		if (slot->name) {
			*first = table->names + slot->name - 1;
			return 0;
		}
	}
	int result = grow_slots(table, err);
	if (result == 0)
		result = grow_names(table, length, err);
	if (result < 0)
		return result;
	slot = find(table->slots, table->size, status->st_dev, status->st_ino);
	*slot = (struct link_slot){ .device = status->st_dev, .inode = status->st_ino, .name = table->used + 1 };
	memcpy(table->names + table->used, name, length);
	table->used += length;
	table->count++;
	return 0;
}

void link_table_free(struct link_table *table)
{
	free(table->slots);
	free(table->names);
	*table = (struct link_table){ 0 };
}
