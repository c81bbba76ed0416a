/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/resize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/grow.h"

static int grow_plain(const struct object *object, const struct key_request *key, struct worker *worker,
		      struct encrypted_growth *growth, struct error *err)
{
	const struct volume_object *volume = (const struct volume_object *)object;
	char target[160];

	if (keys_given(key))
		return error_field(err, "key", "does not belong to a volume that is not encrypted");
	if (text_format(target, sizeof(target), VOLUME_DIRECTORY "/%s", object->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", object->id);
	int result = grow_filesystem(target, volume->attached.fs_type, &growth->size, err);
	steps_done(&worker->steps, "grow the file system");
	growth->steps = worker->steps;
	return result;
}

/* One row a type that can grow while it is in use.  `grow` runs in a worker, pushes no undo, and can be repeated when cut short. */
static const struct driver {
	const char *type;
	int (*grow)(const struct object *object, const struct key_request *key, struct worker *worker,
		    struct encrypted_growth *growth, struct error *err);
} drivers[] = {
	{ ENCRYPTED_TYPE, encrypted_volume_grow },
	{ "direct_block", grow_plain },
};

struct resizing {
	struct resize_request *request;
	struct object *object;
	const struct driver *driver;
	struct completion completion;
};

static int work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct resizing *resizing = context;

	return resizing->driver->grow(resizing->object, &resizing->request->key, worker, result, err);
}

static const struct operation_kind kind = {
	.name = "volume.resize",
	.deadline_ms = 600000, /* the inode tables of what is new are written */
	.result_size = sizeof(struct encrypted_growth),
	.work = work,
};

static void resized(void *context, const struct error *error, const void *result)
{
	auto_free struct resizing *resizing = context;

	resizing->object->users--;
	keys_release(&resizing->request->key);
	if (!error)
		((struct volume_object *)resizing->object)->attached.size = ((const struct encrypted_growth *)result)->size;
	resizing->completion.done(resizing->completion.context, error, result);
}

static int find(struct agent *agent, const char *id, struct object **object, const struct driver **driver, struct error *err)
{
	int result = objects_get(&agent->objects, OBJECT_VOLUME, id, "id", object, err);

	if (result == 0)
		result = objects_check_ready(*object, err);
	if (result < 0)
		return result;
	const char *type = ((const struct volume_object *)*object)->attached.type;
	for (size_t i = 0; i < array_count(drivers); i++) {
		if (strcmp(drivers[i].type, type) == 0) {
			*driver = &drivers[i];
			return 0;
		}
	}
	return error_set(err, ERROR_UNSUPPORTED_VOLUME, ENOTSUP, "a volume of the type %s does not grow", type);
}

void resize_volume(struct agent *agent, struct resize_request *request, struct completion completion)
{
	const struct driver *driver = NULL;
	struct object *object = NULL;
	struct error err;
	int result = find(agent, request->id, &object, &driver, &err);

	if (result == 0)
		result = keys_hold(agent, &request->key, "key", &err);
	struct resizing *resizing = result == 0 ? malloc(sizeof(*resizing)) : NULL;
	if (result == 0 && !resizing)
		result = error_set(&err, ERROR_INTERNAL, ENOMEM, "volume.resize");
	if (result < 0 || !resizing) {
		keys_release(&request->key);
		completion_fail(&completion, &err);
		return;
	}
	*resizing = (struct resizing){ .request = request, .object = object, .driver = driver, .completion = completion };
	/* It cannot go meanwhile. */
	object->users++;
	const struct operation_start start = {
		.kind = &kind,
		.object = object,
		.request = resizing,
		.wait_ms = keys_wait_ms(&request->key),
		.completion = { resized, resizing },
	};
	operation_visit(agent, &start);
}
