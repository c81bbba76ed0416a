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

/* A layer of what `fd` holds, on `below`.  `what`: for the lines that tell of it. */
static int import(struct stack *stack, const char *id, const char *what, int fd, struct error *err)
{
	struct transfer wanted = {
		.vm = stack->vm, .client = stack->client, .layer = id, .method = "layer.import", .what = what, .file = fd
	};
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	json_object *answer = NULL;
	int64_t began = step_clock();
	struct stat status;

	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
		wanted.size = (uint64_t)status.st_size;
	encode_open(&e, NULL, '{');
	encode_string(&e, "id", id);
	encode_string(&e, "store", stack->store);
	if (stack->below[0])
		encode_string(&e, "parent", stack->below);
	encode_close(&e, '}');
	int result = step_params(&e, wanted.method, &wanted.params, err);
	if (result < 0)
		return result;
	result = transfer_run(&wanted, &answer, err);
	buf_free(&buf);
	if (result == 0 && stack->options->verbose)
		report_step(what, step_clock() - began, answer);
	json_object_put(answer);
	return result;
}

static int import_file(struct stack *stack, size_t index, struct error *err)
{
	const char *file = stack->options->layers.items[index], *slash = strrchr(file, '/');
	/* Signals are blocked: a pipe that nobody writes to is waited for where they are looked at. */
	fd_auto fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char id[COFFER_ID_MAX + 1], what[128];

	if (fd < 0)
		return error_set(err, ERROR_HOST, errno, "%s", file);
	snprintf(id, sizeof(id), "%s-%zu", stack->tag, index);
	snprintf(what, sizeof(what), "layer.import %s", slash ? slash + 1 : file);
	int result = import(stack, id, what, fd, err);
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

int stack_make(const struct options *options, const struct vm *vm, struct client *client, const char *tag, struct made_list *made,
	       struct error *err)
{
	struct stack stack = { .options = options, .vm = vm, .client = client, .tag = tag, .made = made };

	snprintf(stack.store, sizeof(stack.store), "%s-" MADE_SCRATCH_ENDING, tag);
	int result = open_store(&stack, err);
	for (size_t i = options->layers.count; i-- > 0 && result == 0 && !interrupted(client);) {
		result = import_file(&stack, i, err);
		/* The transfer was broken off: what it failed with is our own doing. */
		if (result < 0 && client->signal)
			return 0;
	}
	if (result == 0 && !interrupted(client))
		result = make_top(&stack, err);
	return result < 0 || interrupted(client) ? result : mount_top(&stack, err);
}
