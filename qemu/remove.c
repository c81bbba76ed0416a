/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "qemu/commands.h"
#include "qemu/containers.h"
#include "qemu/fail.h"
#include "qemu/made.h"

#define REMOVE_CONNECT_MS 10000

/* Of a root file system that `run --layers` made, whose entry names a layer and no scratch. */
static int collect_layers(const char *rootfs, const char *top, struct made_list *list, struct error *err)
{
	char store[COFFER_ID_MAX + 1];

	snprintf(store, sizeof(store), "%s-" MADE_SCRATCH_ENDING, rootfs);
	int result = made_push(list, MADE_DISK, store, err);
	if (result == 0)
		result = made_push(list, MADE_SCRATCH, store, err);
	if (result == 0)
		result = made_push(list, MADE_STORE, store, err);
	return result < 0 ? result : made_push(list, MADE_MOUNTED, top, err);
}

/* The volumes and the scratch of a root file system that `run` made, found by their tag; their disks have the same names. */
static int collect_below(struct client *client, const char *rootfs, struct made_list *list, struct error *err)
{
	json_object *answer, *array;
	int result = containers_list(client, "rootfs.list", "rootfs", &answer, &array, err);

	if (result < 0)
		return result;
	json_object *element = containers_find(array, rootfs);
	json_object *lower = element ? client_array(element, "lower") : NULL;
	const char *scratch = element ? client_string(element, "scratch") : "";
	size_t count = lower ? json_object_array_length(lower) : 0;

	for (size_t i = 0; i < count && result == 0; i++) {
		const char *id = json_object_get_string(json_object_array_get_idx(lower, i));

		if (!id || !made_has_tag(id, rootfs))
			continue;
		result = made_push(list, MADE_DISK, id, err);
		if (result == 0)
			result = made_push(list, MADE_VOLUME, id, err);
	}
	if (result == 0 && made_has_tag(scratch, rootfs)) {
		result = made_push(list, MADE_DISK, scratch, err);
		if (result == 0)
			result = made_push(list, MADE_SCRATCH, scratch, err);
	}
	const char *top = element ? client_string(element, "layer") : "";
	if (result == 0 && made_has_tag(top, rootfs))
		result = collect_layers(rootfs, top, list, err);
	json_object_put(answer);
	/* A bundle's bind mounts; what is not there counts as removed. */
	char binds[COFFER_ID_MAX + 1];
	if (result == 0 && text_format(binds, sizeof(binds), "%s-" MADE_BINDS_ENDING, rootfs) == 0) {
		result = made_push(list, MADE_DISK, binds, err);
		if (result == 0)
			result = made_push(list, MADE_VOLUME, binds, err);
	}
	return result < 0 ? result : made_push(list, MADE_ROOTFS, rootfs, err);
}

static int collect(struct client *client, const struct options *options, struct made_list *list, struct error *err)
{
	json_object *answer, *array;
	int result = containers_list(client, "container.list", "containers", &answer, &array, err);

	if (result < 0)
		return result;
	json_object *container = containers_find(array, options->words[1]);
	const char *rootfs = container ? client_string(container, "rootfs") : "";
	if (!container)
		result = fail_set(err, ENOENT, "there is no container %s; `coffer ps %s` lists them", options->words[1],
				  options->words[0]);
	else if (strcmp(client_string(container, "state"), "running") == 0 && !options->force)
		result = fail_set(err, EBUSY, "the container %s runs; `coffer kill` ends it, or give --force", options->words[1]);
	/* One that was made by hand has parts of its maker's, who removes them. */
	else if (made_is_tag(rootfs))
		result = collect_below(client, rootfs, list, err);
	json_object_put(answer);
	return result < 0 ? result : made_push(list, MADE_CONTAINER, options->words[1], err);
}

int remove_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct client client = CLIENT_NONE;
	struct made_list list = { 0 };
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0)
		result = client_open(&vm, process_now() + REMOVE_CONNECT_MS, &client, err);
	if (result == 0)
		result = collect(&client, options, &list, err);
	client_close(&client);
	return result < 0 ? result : made_undo(&list, &vm, true, err);
}
