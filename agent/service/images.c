/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/ram_size.h"
#include "base/text.h"
#include "layer/image.h"
#include "service/storage.h"
#include "storage/encrypted.h"
#include "storage/old_layer.h"
#include "sys/loopdev.h"
#include "sys/paths.h"
#include "sys/rollback.h"
#include "volume/volume.h"

#define auto_device __attribute__((cleanup(blockdev_close))) struct blockdev

/* ---- plans ---- */

int images_check(const struct image_plan *plan, struct error *err)
{
	uint64_t content;

	if (!plan->size == !plan->has_device)
		return error_field(err, "image", "exactly one of size and device is needed");
	if (plan->existing && plan->force)
		return error_field(err, "image.force", "does not go with existing");
	if (plan->size && (plan->force || plan->existing))
		return error_field(err, plan->force ? "image.force" : "image.existing", "goes with a device");
	if (plan->size && (ram_size_parse(plan->size, &content) < 0 || image_size(content) == 0))
		return error_field(err, "image.size", "must be a size of at most %llu GiB", (unsigned long long)(IMAGE_MOST >> 30));
	if (plan->has_device && volume_check_device(&plan->device, err) < 0) {
		error_within(err, "device");
		return error_within(err, "image");
	}
	return 0;
}

/* ---- workers ---- */

struct names {
	char mapping[128], target[100], tree[128];
};

static int make_names(const char *id, struct names *names, struct error *err)
{
	if (text_format(names->mapping, sizeof(names->mapping), "coffer-image-%s", id) < 0 ||
	    text_format(names->target, sizeof(names->target), IMAGES_DIRECTORY "/%s", id) < 0 ||
	    text_format(names->tree, sizeof(names->tree), "%s/" IMAGE_TREE, names->target) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", id);
	return paths_mkdirs(IMAGES_DIRECTORY, 0700, err);
}

static int make_file(const struct layer_object *layer, const char *content, struct blockdev *disk, int *guard, struct error *err)
{
	char path[STORE_PATH_MAX + 64];
	uint64_t bytes = 0;
	int result = ram_size_parse(content, &bytes);

	if (result < 0)
		return error_set(err, ERROR_INTERNAL, -result, "size of an image");
	result = store_member(&layer->store->store, layer->facts.number, false, IMAGE_FILE, path, err);
	if (result == 0)
		result = image_make(path, image_size(bytes), err);
	if (result == 0)
		result = image_attach(path, disk, guard, err);
	return result < 0 ? error_step(err, "make the image") : 0;
}

static int check_tree(const struct names *names, struct error *err)
{
	struct stat status;

	if (lstat(names->tree, &status) == 0 && S_ISDIR(status.st_mode))
		return 0;
	return error_set(err, ERROR_LAYER, ENOENT, "the encrypted volume holds no layer");
}

static int make_tree(const struct names *names, struct error *err)
{
	/* What the container sees as "/". */
	if (mkdir(names->tree, 0755) < 0 || chmod(names->tree, 0755) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", names->tree);
	return 0;
}

static void tell(const struct encrypted_volume *volume, struct image_made *made)
{
	memcpy(made->identity, volume->identity, sizeof(made->identity));
	memcpy(made->header_sha256, volume->header_sum, sizeof(made->header_sha256));
	made->size = volume->size;
}

int images_make(struct worker *worker, const struct layer_object *layer, const struct image_plan *plan, struct image_made *made,
		size_t *records, struct error *err)
{
	struct encrypted_volume volume = { 0 };
	auto_device disk = { .fd = -1 };
	auto_key key = { 0 };
	fd_auto guard = -1;
	struct names names;
	int result = keys_take(&plan->key, "key", KEYS_RAW_LEAST, &key, err);

	*records = worker->undo.count;
	if (result < 0)
		return error_step(err, "get the key");
	result = make_names(layer->object.id, &names, err);
	if (result == 0)
		result = plan->has_device ? storage_find_disk(worker, &plan->device, plan->timeout_ms, &disk, err)
					  : make_file(layer, plan->size, &disk, &guard, err);
	if (result < 0)
		return result;
	const struct encrypted_place place = { .name = names.mapping,
					       .target = names.target,
					       .disk = &disk,
					       .use = MKFS_LAYER,
					       .undo = &worker->undo,
					       .steps = &worker->steps };
	if (plan->existing)
		result = encrypted_open(&place, &key, NULL, NULL, true, &volume, err);
	else
		result = encrypted_create(&place, &key, plan->force, &volume, err);
	if (result == 0)
		result = plan->existing ? check_tree(&names, err) : make_tree(&names, err);
	tell(&volume, made);
	return result;
}

int images_close(struct worker *worker, size_t records, struct error *err)
{
	if (rollback_since(&worker->undo, records, err) < 0)
		return error_step(err, "close the image");
	steps_done(&worker->steps, "close the image");
	return 0;
}

/* ---- unlocking ---- */

struct unlocking {
	struct image_unlock *request;
	struct image_object *image;
};

static int open_image(struct worker *worker, const struct image_unlock *request, const struct layer_object *layer,
		      struct blockdev *disk, int *guard, struct error *err)
{
	char path[STORE_PATH_MAX + 64];

	if (layer->facts.place == STORE_DISK)
		return storage_find_disk(worker, &request->device, request->timeout_ms, disk, err);
	int result = store_member(&layer->store->store, layer->facts.number, true, IMAGE_FILE, path, err);
	if (result == 0)
		result = image_attach(path, disk, guard, err);
	return result < 0 ? error_step(err, "open the image") : 0;
}

/* The image of an older kind is a file of the layer's tree, which anybody may have filled. */
static int open_old_image(const struct layer_object *layer, struct blockdev *disk, int *guard, struct error *err)
{
	fd_auto tree = store_tree(&layer->store->store, layer->facts.number, true, O_PATH, err);
	fd_auto file = tree < 0 ? -1 : openat(tree, OLD_LAYER_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;

	if (tree < 0)
		return tree;
	if (file < 0 || fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) {
		error_set(err, ERROR_LAYER, file < 0 ? errno : EINVAL, "the layer has no file " OLD_LAYER_FILE);
		return error_step(err, "open the image");
	}
	int result = loopdev_attach_small(file, disk, guard, err);
	return result < 0 ? error_step(err, "open the image") : 0;
}

static int unlock_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct image_unlock *request = ((const struct unlocking *)context)->request;
	const struct image_object *image = ((const struct unlocking *)context)->image;
	struct image_unlocked *answer = result;
	struct encrypted_volume volume = { 0 };
	auto_device disk = { .fd = -1 };
	auto_key key = { 0 };
	fd_auto guard = -1;
	struct names names;
	int outcome = keys_take(&request->key, "key", image->old ? 1 : KEYS_RAW_LEAST, &key, err);

	if (outcome < 0)
		return error_step(err, "get the key");
	outcome = make_names(image->object.id, &names, err);
	if (outcome == 0)
		outcome = image->old ? open_old_image(image->layer, &disk, &guard, err)
				     : open_image(worker, request, image->layer, &disk, &guard, err);
	if (outcome < 0)
		return outcome;
	const struct encrypted_place place = {
		.name = names.mapping, .target = names.target, .disk = &disk, .undo = &worker->undo, .steps = &worker->steps
	};
	if (image->old)
		outcome = old_layer_open(&place, &key, &volume.size, err);
	else
		outcome = encrypted_open(&place, &key, request->header_sha256, image->layer->facts.identity, !image->writable,
					 &volume, err);
	if (outcome == 0 && !image->old)
		outcome = check_tree(&names, err);
	tell(&volume, &answer->image);
	answer->writable = image->writable;
	snprintf(answer->path, sizeof(answer->path), "%s", image->old ? names.target : names.tree);
	answer->steps = worker->steps;
	return outcome;
}

static void unlock_apply(struct object *object, const void *result)
{
	struct image_object *image = (struct image_object *)object;

	(void)result;
	image->layer->old = image->old;
}

static void lock_release(struct agent *agent, struct object *object)
{
	(void)agent;
	((struct image_object *)object)->layer->old = false;
}

static const struct operation_kind unlock_kind = {
	.name = "layer.unlock",
	.apply = unlock_apply,
	.deadline_ms = 120000,
	.result_size = sizeof(struct image_unlocked),
	.work = unlock_work,
};
static const struct operation_kind lock_kind = { .name = "layer.lock", .release = lock_release };

static void unlocked(void *context, const struct error *error, const void *result)
{
	auto_free struct unlocking *unlocking = context;
	struct image_unlock *request = unlocking->request;

	keys_release(&request->key);
	request->completion.done(request->completion.context, error, result);
}

static int check_old(const struct agent *agent, const struct image_unlock *request, const struct layer_object *layer,
		     struct error *err)
{
	if (!agent->old_layers)
		return error_set(err, ERROR_NOT_ALLOWED, EPERM,
				 "nothing in such a layer is authenticated: it is opened only in a VM that was started with "
				 "coffer.old_layers=allow on its kernel command line");
	if (layer->facts.place != STORE_PLAIN)
		return error_field(err, "id", "the layer %s is not of this format", request->id);
	if (request->has_device)
		return error_field(err, "device", "the image is a file of the layer");
	return request->header_sha256 ? error_field(err, "header_sha256", "is not for this format") : 0;
}

static int check_unlock(const struct agent *agent, const struct image_unlock *request, const struct layer_object *layer,
			struct error *err)
{
	if (request->old)
		return check_old(agent, request, layer, err);
	if (!store_has_key(layer->facts.place))
		return error_field(err, "id", "the layer %s has no key of its own", request->id);
	if (request->has_device != (layer->facts.place == STORE_DISK))
		return error_field(err, "device",
				   request->has_device ? "the layer lies in the store" : "is required: the layer lies on a disk");
	if (request->has_device && volume_check_device(&request->device, err) < 0)
		return error_within(err, "device");
	return 0;
}

static int prepare(struct agent *agent, struct image_unlock *request, struct object **object, struct error *err)
{
	struct layer_object *layer = NULL;
	int result = stores_get_layer(agent, request->id, "id", &layer, err);

	*object = NULL;
	if (result == 0)
		result = check_unlock(agent, request, layer, err);
	if (result == 0)
		result = keys_hold(agent, &request->key, "key", err);
	if (result == 0)
		result = objects_add(&agent->objects, OBJECT_IMAGE, request->id, sizeof(struct image_object), object, err);
	if (!*object)
		return result;
	struct image_object *image = (struct image_object *)*object;
	image->layer = layer;
	image->old = request->old;
	image->writable = !request->old && layer->facts.writable && stores_children(agent, layer) == 0;
	result = objects_use(*object, &layer->object, err);
	if (result < 0)
		objects_remove(&agent->objects, *object);
	return result;
}

void images_unlock(struct agent *agent, struct image_unlock *request, struct completion completion)
{
	struct unlocking *unlocking = calloc(1, sizeof(*unlocking));
	struct object *object;
	struct error err;
	int result = unlocking ? prepare(agent, request, &object, &err) : error_set(&err, ERROR_INTERNAL, ENOMEM, "layer.unlock");

	request->completion = completion;
	if (result < 0) {
		keys_release(&request->key);
		free(unlocking);
		completion_fail(&completion, &err);
		return;
	}
	*unlocking = (struct unlocking){ .request = request, .image = (struct image_object *)object };
	const struct operation_start start = {
		.kind = &unlock_kind,
		.object = object,
		.request = unlocking,
		.wait_ms = request->timeout_ms + keys_wait_ms(&request->key),
		.completion = { unlocked, unlocking },
	};
	operation_create(agent, &start);
}

void images_lock(struct agent *agent, const char *id, struct completion completion)
{
	struct object *object;
	struct error err;
	int result = objects_get(&agent->objects, OBJECT_IMAGE, id, "id", &object, &err);

	if (result == 0)
		result = objects_check_removable(object, &err);
	if (result < 0)
		completion_fail(&completion, &err);
	else
		operation_remove(agent, &lock_kind, object, completion);
}

/* ---- who needs them ---- */

struct object *images_find(const struct agent *agent, const struct layer_object *layer)
{
	struct object *image = objects_find(&agent->objects, OBJECT_IMAGE, layer->object.id);

	return image && image->state == OBJECT_READY ? image : NULL;
}

static int check_none_locked(const struct agent *agent, const struct layer_object *layer, unsigned depth, struct error *err)
{
	for (; layer && depth > 0; layer = layer->parent, depth--) {
		if (store_has_key(layer->facts.place) && !images_find(agent, layer))
			return error_set(err, ERROR_STATE, ENOKEY, "the layer %s is locked: layer.unlock opens it",
					 layer->object.id);
	}
	return 0;
}

static void add_users(const struct agent *agent, const struct layer_object *layer, unsigned depth, int by)
{
	for (; layer && depth > 0; layer = layer->parent, depth--) {
		struct object *image = stores_in_image(layer) ? images_find(agent, layer) : NULL;

		if (image)
			image->users += (unsigned)by;
	}
}

int images_hold(const struct agent *agent, const struct layer_object *layer, unsigned depth, struct error *err)
{
	int result = check_none_locked(agent, layer, depth, err);

	if (result == 0)
		add_users(agent, layer, depth, 1);
	return result;
}

void images_release(const struct agent *agent, const struct layer_object *layer, unsigned depth)
{
	add_users(agent, layer, depth, -1);
}

int images_use(const struct agent *agent, const struct layer_object *layer, struct object *object, struct error *err)
{
	int result = check_none_locked(agent, layer, LAYERS_DEPTH_MAX, err);

	for (; layer && result == 0; layer = layer->parent) {
		if (stores_in_image(layer))
			result = objects_use(object, images_find(agent, layer), err);
	}
	return result;
}
