/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/sha256.h"
#include "base/text.h"
#include "qemu/commands.h"
#include "qemu/containers.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/made.h"
#include "qemu/oci_layout.h"
#include "qemu/output.h"
#include "qemu/stack.h"

/* `coffer image import`: the layers of an image, each on the former, into a store of a VM. */

#define CONNECT_MS 10000

/* Of an id: what is left of the store's name, a hyphen, and 128 bits of the chain's digest. */
#define STORE_PART 31
#define CHAIN_PART 32

struct import {
	const struct options *options;
	struct oci_layout image;
	struct vm vm;
	struct client client;
	json_object *answer, *list; /* of layer.list */
	struct made_list made;
	char (*ids)[COFFER_ID_MAX + 1]; /* of the layers, the lowest first */
	bool *was_there;
};

/* image-spec, config.md, "Layer ChainID": of a layer with all below it. */
static void add_to_chain(char chain[OCI_BLOB_NAME_SIZE], const char *diff_id)
{
	uint8_t digest[SHA256_SIZE];
	struct sha256 sum;

	if (!chain[0]) {
		snprintf(chain, OCI_BLOB_NAME_SIZE, "%s", diff_id);
		return;
	}
	sha256_begin(&sum);
	sha256_add(&sum, chain, strlen(chain));
	sha256_add(&sum, " ", 1);
	sha256_add(&sum, diff_id, strlen(diff_id));
	sha256_end(&sum, digest);
	memcpy(chain, "sha256:", 7);
	text_to_hex(digest, sizeof(digest), chain + 7);
}

/* Layers of two stores must not have one id, so the store's name is in it. */
static int name_layers(struct import *import, struct error *err)
{
	struct oci_layout *image = &import->image;
	const char *name = import->options->name;
	char chain[OCI_BLOB_NAME_SIZE] = "";

	import->ids = decode_alloc(&image->memory, image->layer_count, sizeof(*import->ids));
	import->was_there = decode_alloc(&image->memory, image->layer_count, sizeof(*import->was_there));
	if (!import->ids || !import->was_there)
		return error_set(err, ERROR_HOST, ENOMEM, "layers");
	for (size_t i = 0; i < image->layer_count; i++) {
		add_to_chain(chain, image->layers[i].diff_id);
		snprintf(import->ids[i], sizeof(import->ids[i]), "%.*s-%.*s", STORE_PART, import->options->store, CHAIN_PART,
			 chain + 7);
	}
	if (name)
		snprintf(import->ids[image->layer_count - 1], sizeof(import->ids[0]), "%s", name);
	return 0;
}

static int check(struct import *import, struct error *err)
{
	const struct options *options = import->options;

	if (!options->store)
		return fail_set(err, EINVAL, "--store is needed; `coffer layer open` opens one");
	if (decode_check_id(options->store, err) < 0)
		return error_wrap(err, "--store %s", options->store);
	if (options->name && decode_check_id(options->name, err) < 0)
		return error_wrap(err, "--name %s", options->name);
	int result = oci_layout_open(options->words[1], options->platform, &import->image, err);
	return result < 0 ? result : name_layers(import, err);
}

static bool is_text(json_object *layer, const char *key, const char *wanted)
{
	return strcmp(client_string(layer, key), wanted) == 0;
}

/*
 * The layer with that archive in it on that parent, and nothing else: one that could be written to may hold more.  By its id too,
 * since an archive may have been imported under other ids of users.
 */
static bool is_there(const struct import *import, size_t index)
{
	const struct oci_layer *wanted = &import->image.layers[index];
	json_object *layer = containers_find(import->list, import->ids[index]);

	return layer && is_text(layer, "store", import->options->store) && is_text(layer, "diff_id", wanted->diff_id) &&
	       is_text(layer, "parent", index ? import->ids[index - 1] : "") && is_text(layer, "state", "ready") &&
	       !client_bool(layer, "writable") && (!import->options->seal || client_bool(layer, "sealed"));
}

static int bring(struct import *import, size_t index, struct error *err)
{
	const struct oci_layer *layer = &import->image.layers[index];
	const struct options *options = import->options;
	char what[128];
	fd_auto fd = oci_layout_layer(&import->image, index, err);

	if (fd < 0)
		return fd;
	snprintf(what, sizeof(what), "layer.import %zu of %zu, %.19s", index + 1, import->image.layer_count, layer->digest);
	const struct stack_import wanted = {
		.id = import->ids[index],
		.store = options->store,
		.parent = index ? import->ids[index - 1] : NULL,
		.digest = layer->digest,
		.diff_id = layer->diff_id,
		.what = what,
		.devices = options->devices,
		.seal = options->seal,
		.verbose = options->verbose,
		.fd = fd,
	};
	int result = made_push(&import->made, MADE_LAYER, wanted.id, err);
	if (result < 0)
		return result;
	result = stack_import(&import->vm, &import->client, &wanted, err);
	/* Then it is somebody else's, and undoing would remove it. */
	if (result < 0 && err->code == ERROR_EXISTS)
		import->made.count--;
	return result < 0 ? error_wrap(err, "layer %s", layer->digest) : 0;
}

/* Returns 0, a negative errno, or 128 and the number of the signal that came. */
static int bring_all(struct import *import, struct error *err)
{
	struct client *client = &import->client;

	for (size_t i = 0; i < import->image.layer_count; i++) {
		int signal = interrupt_wanted(client->interrupt);

		if (signal)
			return 128 + signal;
		import->was_there[i] = is_there(import, i);
		if (import->was_there[i])
			continue;
		int result = bring(import, i, err);
		if (client->signal)
			return 128 + client->signal;
		if (result < 0)
			return result;
	}
	return 0;
}

static void print(const struct import *import)
{
	const struct oci_layout *image = &import->image;
	const char *top = import->ids[image->layer_count - 1];
	json_object *whole = json_object_new_object(), *layers = json_object_new_array();

	if (!import->options->json)
		printf("%s\n", top);
	json_object_object_add(whole, "id", json_object_new_string(top));
	json_object_object_add(whole, "store", json_object_new_string(import->options->store));
	for (size_t i = 0; i < image->layer_count; i++) {
		json_object *layer = json_object_new_object();

		json_object_object_add(layer, "id", json_object_new_string(import->ids[i]));
		json_object_object_add(layer, "digest", json_object_new_string(image->layers[i].digest));
		json_object_object_add(layer, "diff_id", json_object_new_string(image->layers[i].diff_id));
		json_object_object_add(layer, "imported", json_object_new_boolean(!import->was_there[i]));
		json_object_array_add(layers, layer);
	}
	json_object_object_add(whole, "layers", layers);
	if (import->options->json)
		output_json(whole);
	json_object_put(whole);
}

static int import_whole(struct import *import, int interrupt, struct error *err)
{
	int result = client_open(&import->vm, process_now() + CONNECT_MS, &import->client, err);

	if (result < 0)
		return result;
	import->client.interrupt = interrupt;
	result = containers_list(&import->client, "layer.list", "layers", &import->answer, &import->list, err);
	if (result == 0) {
		result = bring_all(import, err);
		json_object_put(import->answer);
	}
	client_close(&import->client);
	return result;
}

int image_import(const struct options *options, struct error *err)
{
	struct import import = { .options = options, .image = OCI_LAYOUT_NONE, .client = CLIENT_NONE };
	fd_auto interrupt = -1;
	struct error why;
	int result = check(&import, err);

	if (result == 0)
		result = vm_find(options->words[0], &import.vm, err);
	if (result == 0)
		result = interrupt_open(&interrupt, err);
	if (result == 0)
		result = import_whole(&import, interrupt, err);
	/* What another image stands on already is left. */
	if (result != 0 && made_undo(&import.made, &import.vm, true, &why) < 0)
		fprintf(stderr, "coffer: not everything could be undone: %s\n", why.message);
	if (result == 0)
		print(&import);
	oci_layout_close(&import.image);
	return result;
}
