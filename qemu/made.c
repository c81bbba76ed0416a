/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/made.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "qemu/disk.h"
#include "qemu/fail.h"

#define MADE_CONNECT_MS 10000
#define MADE_UNDO_MS    60000

static const struct {
	const char *method; /* NULL: QEMU's own matter */
	const char *key;    /* of the id, in the parameters */
	const char *more;   /* of the parameters, behind the id */
} undoing[] = {
	[MADE_DISK] = { NULL, NULL, NULL },
	[MADE_VOLUME] = { "volume.detach", "id", "" },
	[MADE_SCRATCH] = { "scratch.remove", "id", "" },
	[MADE_STORE] = { "layer.close", "store", "" },
	[MADE_LAYER] = { "layer.remove", "id", "" },
	[MADE_MOUNTED] = { "layer.put", "id", "" },
	[MADE_ROOTFS] = { "rootfs.remove", "id", "" },
	[MADE_CONTAINER] = { "container.remove", "id", ",\"force\":true" },
};

int made_push(struct made_list *list, enum made_kind kind, const char *id, struct error *err)
{
	if (list->count == MADE_MAX)
		return fail_set(err, E2BIG, "too many objects");
	struct made *made = &list->items[list->count];
	made->kind = kind;
	made->kept = false;
	if (text_format(made->id, sizeof(made->id), "%s", id) < 0)
		return error_set(err, ERROR_HOST, ENAMETOOLONG, "%s", id);
	list->count++;
	return 0;
}

static void keep(struct made_list *list, const char *id)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i].id, id) == 0)
			list->items[i].kept = true;
	}
}

static int undo_one(const struct made *made, const struct vm *vm, struct client *client, struct error *err)
{
	char params[COFFER_ID_MAX + 64];
	int result;

	if (!undoing[made->kind].method) {
		result = disk_unplug(vm->name, made->id, err);
		return result == -ENOENT ? 0 : result;
	}
	snprintf(params, sizeof(params), "{\"%s\":\"%s\"%s}", undoing[made->kind].key, made->id, undoing[made->kind].more);
	result = client_call_within(client, MADE_UNDO_MS, undoing[made->kind].method, params, NULL, err);
	return result < 0 && err->code == ERROR_NOT_FOUND ? 0 : result;
}

int made_undo(struct made_list *list, const struct vm *vm, bool share, struct error *err)
{
	struct client client = CLIENT_NONE;
	struct progress progress = { 0 };
	struct error why;
	int result = 0;

	if (list->count == 0 || !vm_alive(vm))
		return 0;
	/* A connection of its own: that of the run may be what broke. */
	result = client_open(vm, process_now() + MADE_CONNECT_MS, &client, err);
	if (result < 0)
		return result;
	client.progress = &progress;
	progress_begin(&progress, "undo");
	while (list->count > 0) {
		const struct made *made = &list->items[list->count - 1];
		int undone = made->kept ? 0 : undo_one(made, vm, &client, &why);

		if (undone < 0 && share && why.code == ERROR_IN_USE)
			keep(list, made->id);
		else if (undone < 0 && result == 0) {
			result = undone;
			*err = why;
		}
		list->count--;
	}
	progress_end(&progress);
	client_close(&client);
	return result;
}

int made_tag(char tag[MADE_TAG_SIZE], struct error *err)
{
	uint8_t random[4];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set(err, ERROR_HOST, errno, "getrandom");
	memcpy(tag, "run-", 4);
	text_to_hex(random, sizeof(random), tag + 4);
	return 0;
}

bool made_has_tag(const char *id, const char *tag)
{
	size_t length = strlen(tag);

	return strncmp(id, tag, length) == 0 && (id[length] == '\0' || id[length] == '-');
}

bool made_is_tag(const char *id)
{
	return strlen(id) == MADE_TAG_SIZE - 1 && strncmp(id, "run-", 4) == 0 && strspn(id + 4, "0123456789abcdef") == 8;
}
