/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/report.h"
#include "qemu/step.h"
#include "qemu/transfer.h"

struct stack {
	const struct options *options;
	const struct oci_layout *image; /* NULL: the files of --layers */
	const struct vm *vm;
	struct client *client;
	const char *tag;
	struct made_list *made;
	char store[COFFER_ID_MAX + 1];
	char below[COFFER_ID_MAX + 1]; /* the layer that the next one stands on; "": none */
};

int stack_check(const struct options *options, struct error *err)
{
	if (options->images.count || options->oci)
		return fail_set(err, EINVAL, "--layers does not go with --image or --oci");
	if (!options->scratch)
		return fail_set(err, EINVAL, "--layers needs --scratch, where the layers are unpacked");
	if (options->layers.count >= COFFER_LOWER_MAX)
		return fail_set(err, E2BIG, "at most %d layers", COFFER_LOWER_MAX - 1);
	for (size_t i = 0; i < options->layers.count; i++) {
		const char *file = options->layers.items[i];
		struct stat status;

		if (stat(file, &status) < 0 || access(file, R_OK) < 0)
			return error_set(err, ERROR_HOST, errno, "--layers: %s", file);
		if (S_ISDIR(status.st_mode))
			return fail_set(err, EISDIR, "--layers: %s is a folder; a layer is an archive, made by tar or another tool",
					file);
	}
	return 0;
}

static int open_store(struct stack *stack, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };

	encode_open(&e, NULL, '{');
	encode_string(&e, "store", stack->store);
	encode_string(&e, "scratch", stack->store);
	encode_close(&e, '}');
	int result = made_push(stack->made, MADE_STORE, stack->store, err);
	return result < 0 ? result : step_call(stack->client, stack->options->verbose, "layer.open", stack->store, &e, err);
}

static void encode_import(struct encode *e, const struct stack_import *wanted)
{
	encode_open(e, NULL, '{');
	encode_string(e, "id", wanted->id);
	encode_string(e, "store", wanted->store);
	if (wanted->parent)
		encode_string(e, "parent", wanted->parent);
	if (wanted->digest)
		encode_string(e, "digest", wanted->digest);
	if (wanted->diff_id)
		encode_string(e, "diff_id", wanted->diff_id);
	if (wanted->devices)
		encode_bool(e, "devices", true);
	if (wanted->seal)
		encode_bool(e, "seal", true);
	encode_close(e, '}');
}

int stack_import(const struct vm *vm, struct client *client, const struct stack_import *wanted, struct error *err)
{
	struct transfer transfer = {
		.vm = vm, .client = client, .layer = wanted->id, .method = "layer.import", .what = wanted->what, .file = wanted->fd
	};
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	json_object *answer = NULL;
	int64_t began = step_clock();
	struct stat status;

	if (fstat(wanted->fd, &status) == 0 && S_ISREG(status.st_mode))
		transfer.size = (uint64_t)status.st_size;
	encode_import(&e, wanted);
	int result = step_params(&e, transfer.method, &transfer.params, err);
	if (result < 0)
		return result;
	result = transfer_run(&transfer, &answer, err);
	buf_free(&buf);
	if (result == 0 && wanted->verbose)
		report_step(wanted->what, step_clock() - began, answer);
	json_object_put(answer);
	return result;
}

/* The archive of layer `index`, and its digests if it is an image's. */
static int open_archive(const struct stack *stack, size_t index, struct stack_import *wanted, struct error *err)
{
	const char *file;

	if (stack->image) {
		wanted->digest = stack->image->layers[index].digest;
		wanted->diff_id = stack->image->layers[index].diff_id;
		return oci_layout_layer(stack->image, index, err);
	}
	file = stack->options->layers.items[index];
	/* Signals are blocked: a pipe that nobody writes to is waited for where they are looked at. */
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? error_set(err, ERROR_HOST, errno, "%s", file) : fd;
}

static int import(struct stack *stack, size_t index, struct error *err)
{
	struct stack_import wanted = { .store = stack->store, .verbose = stack->options->verbose };
	char id[COFFER_ID_MAX + 1], what[128];
	fd_auto fd = open_archive(stack, index, &wanted, err);

	if (fd < 0)
		return fd;
	const char *file = stack->image ? wanted.digest : stack->options->layers.items[index], *slash = strrchr(file, '/');
	snprintf(id, sizeof(id), "%s-%zu", stack->tag, index);
	snprintf(what, sizeof(what), "layer.import %s", slash ? slash + 1 : file);
	wanted.id = id;
	wanted.what = what;
	wanted.fd = fd;
	wanted.parent = stack->below[0] ? stack->below : NULL;
	int result = stack_import(stack->vm, stack->client, &wanted, err);
	snprintf(stack->below, sizeof(stack->below), "%s", id);
	return result < 0 ? error_wrap(err, "%s", file) : 0;
}

static int make_top(struct stack *stack, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	char id[COFFER_ID_MAX + 1];

	snprintf(id, sizeof(id), "%s-" MADE_TOP_ENDING, stack->tag);
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", id);
	encode_string(&e, "store", stack->store);
	encode_string(&e, "parent", stack->below);
	encode_bool(&e, "writable", true);
	encode_close(&e, '}');
	return step_call(stack->client, stack->options->verbose, "layer.create", id, &e, err);
}

static int mount_top(struct stack *stack, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	char id[COFFER_ID_MAX + 1];

	snprintf(id, sizeof(id), "%s-" MADE_TOP_ENDING, stack->tag);
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", id);
	encode_close(&e, '}');
	int result = made_push(stack->made, MADE_MOUNTED, id, err);
	return result < 0 ? result : step_call(stack->client, stack->options->verbose, "layer.get", id, &e, err);
}

static bool interrupted(struct client *client)
{
	if (!client->signal)
		client->signal = interrupt_wanted(client->interrupt);
	return client->signal != 0;
}

/* --layers has the top first, an image the lowest. */
static int import_all(struct stack *stack, struct error *err)
{
	size_t count = stack->image ? stack->image->layer_count : stack->options->layers.count;
	int result = 0;

	for (size_t i = 0; i < count && result == 0 && !interrupted(stack->client); i++)
		result = import(stack, stack->image ? i : count - 1 - i, err);
	/* The transfer was broken off: what it failed with is our own doing. */
	return result < 0 && stack->client->signal ? 0 : result;
}

int stack_make(const struct options *options, const struct oci_layout *image, const struct vm *vm, struct client *client,
	       const char *tag, struct made_list *made, struct error *err)
{
	struct stack stack = { .options = options, .image = image, .vm = vm, .client = client, .tag = tag, .made = made };

	snprintf(stack.store, sizeof(stack.store), "%s-" MADE_SCRATCH_ENDING, tag);
	int result = open_store(&stack, err);
	if (result == 0)
		result = import_all(&stack, err);
	if (result == 0 && !interrupted(client))
		result = make_top(&stack, err);
	return result < 0 || interrupted(client) ? result : mount_top(&stack, err);
}
