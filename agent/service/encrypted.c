/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/encrypted.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/encrypted.h"
#include "sys/paths.h"

#define DISK __attribute__((cleanup(blockdev_close))) struct blockdev

/* ---- names ---- */

struct names {
	char mapping[128], target[160];
};

static int make_names(const char *id, struct names *names, struct error *err)
{
	if (text_format(names->mapping, sizeof(names->mapping), "coffer-volume-%s", id) < 0 ||
	    text_format(names->target, sizeof(names->target), VOLUME_DIRECTORY "/%s", id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", id);
	return 0;
}

/* ---- creating and opening ---- */

static int make_work(struct worker *worker, const struct encrypted_request *request, bool create, struct encrypted_result *answer,
		     struct error *err)
{
	struct encrypted_volume volume = { 0 };
	DISK disk = { .fd = -1 };
	auto_key key = { 0 };
	struct names names;
	int result = keys_take(&request->key, "key", KEYS_RAW_LEAST, &key, err);

	if (result < 0)
		return error_step(err, "read the request");
	result = make_names(request->id, &names, err);
	if (result == 0)
		result = paths_mkdirs(VOLUME_DIRECTORY, 0700, err);
	if (result == 0)
		result = storage_find_disk(worker, &request->device, request->timeout_ms, &disk, err);
	if (result < 0)
		return result;
	const struct encrypted_place place = { .name = names.mapping,
					       .target = names.target,
					       .disk = &disk,
					       .use = MKFS_LASTING,
					       .undo = &worker->undo,
					       .steps = &worker->steps };
	if (create)
		result = encrypted_create(&place, &key, request->force, &volume, err);
	else
		result = encrypted_open(&place, &key, request->header_sha256, NULL, request->read_only, &volume, err);
	if (result < 0)
		return result;
	snprintf(answer->attached.type, sizeof(answer->attached.type), ENCRYPTED_TYPE);
	snprintf(answer->attached.device, sizeof(answer->attached.device), "%s", disk.path);
	snprintf(answer->attached.fs_type, sizeof(answer->attached.fs_type), "ext4");
	answer->attached.size = volume.size;
	memcpy(answer->header_sha256, volume.header_sum, sizeof(answer->header_sha256));
	memcpy(answer->identity, volume.identity, sizeof(answer->identity));
	answer->steps = worker->steps;
	return 0;
}

static int create_work(struct worker *worker, void *context, void *result, struct error *err)
{
	return make_work(worker, context, true, result, err);
}

static int open_work(struct worker *worker, void *context, void *result, struct error *err)
{
	return make_work(worker, context, false, result, err);
}

/* Texts of a worker end here, whatever it sent. */
static void apply(struct object *object, const void *result)
{
	struct encrypted_object *encrypted = (struct encrypted_object *)object;
	struct volume_attached *attached = &encrypted->volume.attached;
	const struct encrypted_result *answer = result;

	*attached = answer->attached;
	snprintf(attached->type, sizeof(attached->type), ENCRYPTED_TYPE);
	attached->device[sizeof(attached->device) - 1] = '\0';
	attached->fs_type[sizeof(attached->fs_type) - 1] = '\0';
	memcpy(encrypted->identity, answer->identity, sizeof(encrypted->identity));
}

static const struct operation_kind create_kind = {
	.name = "encrypted.create",
	.deadline_ms = 120000,
	.result_size = sizeof(struct encrypted_result),
	.work = create_work,
	.apply = apply,
};

static const struct operation_kind open_kind = {
	.name = "encrypted.open",
	.deadline_ms = 120000,
	.result_size = sizeof(struct encrypted_result),
	.work = open_work,
	.apply = apply,
};

static void made(void *context, const struct error *error, const void *result)
{
	struct encrypted_request *request = context;

	keys_release(&request->key);
	request->completion.done(request->completion.context, error, result);
}

static void start(struct agent *agent, const struct operation_kind *kind, struct encrypted_request *request,
		  struct completion completion)
{
	struct operation_start begin = {
		.kind = kind,
		.request = request,
		.wait_ms = request->timeout_ms + keys_wait_ms(&request->key),
		.completion = { made, request },
	};
	struct error err;
	int result = volume_check_device(&request->device, &err);

	request->completion = completion;
	if (result < 0)
		error_within(&err, "device");
	else
		result = keys_hold(agent, &request->key, "key", &err);
	if (result == 0)
		result = objects_add(&agent->objects, OBJECT_VOLUME, request->id, sizeof(struct encrypted_object), &begin.object,
				     &err);
	if (!begin.object) {
		keys_release(&request->key);
		completion_fail(&completion, &err);
		return;
	}
	((struct volume_object *)begin.object)->authentic = true;
	operation_create(agent, &begin);
}

void encrypted_volume_create(struct agent *agent, struct encrypted_request *request, struct completion completion)
{
	start(agent, &create_kind, request, completion);
}

void encrypted_volume_open(struct agent *agent, struct encrypted_request *request, struct completion completion)
{
	start(agent, &open_kind, request, completion);
}

/* ---- volumes that are open ---- */

/* Is this the device that the object's claim names? */
static bool is_claimed_by(const struct object *object, dev_t number)
{
	char name[32];

	snprintf(name, sizeof(name), "%u:%u", major(number), minor(number));
	for (size_t i = 0; i < object->teardown.count; i++) {
		const struct undo_record *record = &object->teardown.records[i];

		if (record->kind == UNDO_CLAIM && strcmp(record->name, name) == 0)
			return true;
	}
	return false;
}

/* The disk of an open volume, beside its mapping; locked, so that of two changes of a header one waits for the other. */
static int open_again(const struct object *object, struct blockdev *disk, struct error *err)
{
	const struct volume_attached *attached = &((const struct volume_object *)object)->attached;
	struct stat status;

	*disk = (struct blockdev){ .fd = open(attached->device, O_RDWR | O_CLOEXEC | O_NOFOLLOW) };
	snprintf(disk->path, sizeof(disk->path), "%s", attached->device);
	if (disk->fd < 0 || fstat(disk->fd, &status) < 0)
		return error_set(err, ERROR_DEVICE, errno, "open %s", disk->path);
	if (!S_ISBLK(status.st_mode) || !is_claimed_by(object, status.st_rdev))
		return error_set(err, ERROR_DEVICE, ENODEV, "%s is another device now", disk->path);
	disk->number = status.st_rdev;
	if (ioctl(disk->fd, BLKGETSIZE64, &disk->size) < 0 || flock(disk->fd, LOCK_EX) < 0)
		return error_set(err, ERROR_DEVICE, errno, "look at %s", disk->path);
	return 0;
}

int encrypted_volume_grow(const struct object *object, const struct key_request *said, struct worker *worker,
			  struct encrypted_growth *growth, struct error *err)
{
	const struct encrypted_object *encrypted = (const struct encrypted_object *)object;
	DISK disk = { .fd = -1 };
	struct names names;
	auto_key key = { 0 };

	if (!keys_given(said)) {
		error_field(err, "key", "is required: of an encrypted volume none is kept");
		return error_step(err, "read the request");
	}
	int result = keys_take(said, "key", KEYS_RAW_LEAST, &key, err);
	if (result < 0)
		return error_step(err, "read the request");
	result = make_names(object->id, &names, err);
	if (result == 0)
		result = open_again(object, &disk, err);
	if (result < 0)
		return error_step(err, "find the device");
	steps_watch(&worker->steps, disk.number);
	growth->size = encrypted->volume.attached.size;
	result = encrypted_grow(names.mapping, names.target, &disk, &key, encrypted->identity, &worker->steps, &growth->size, err);
	growth->steps = worker->steps;
	return result;
}

/* ---- another key ---- */

struct changing {
	struct encrypted_change *request;
	struct object *object; /* NULL: a disk that is in no use */
	struct completion completion;
};

static int change_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct changing *changing = context;
	const struct encrypted_change *request = changing->request;
	const struct object *object = changing->object;
	struct encrypted_result *answer = result;
	struct encrypted_volume volume = { 0 };
	DISK disk = { .fd = -1 };
	auto_key key = { 0 };
	auto_key new_key = { 0 };
	int outcome = keys_take(&request->key, "key", KEYS_RAW_LEAST, &key, err);

	if (outcome == 0)
		outcome = keys_take(&request->new_key, "new_key", KEYS_RAW_LEAST, &new_key, err);
	if (outcome < 0)
		return error_step(err, "read the request");
	if (object)
		outcome = open_again(object, &disk, err);
	else
		outcome = storage_find_disk(worker, &request->device, request->timeout_ms, &disk, err);
	if (outcome < 0)
		return error_step(err, "find the device");
	outcome = encrypted_change_key(disk.fd, &key, &new_key, object ? ((const struct encrypted_object *)object)->identity : NULL,
				       &volume, err);
	memcpy(answer->header_sha256, volume.header_sum, sizeof(answer->header_sha256));
	return outcome;
}

static const struct operation_kind change_kind = {
	.name = "encrypted.change_key",
	.deadline_ms = 120000,
	.result_size = sizeof(struct encrypted_result),
	.work = change_work,
};

static void changed(void *context, const struct error *error, const void *result)
{
	auto_free struct changing *changing = context;

	if (changing->object)
		changing->object->users--;
	keys_release(&changing->request->key);
	keys_release(&changing->request->new_key);
	changing->completion.done(changing->completion.context, error, result);
}

static int find_object(struct agent *agent, const char *id, struct object **object, struct error *err)
{
	int result = objects_get(&agent->objects, OBJECT_VOLUME, id, "id", object, err);

	if (result == 0)
		result = objects_check_ready(*object, err);
	if (result < 0)
		return result;
	if (strcmp(((const struct volume_object *)*object)->attached.type, ENCRYPTED_TYPE) != 0)
		return error_field(err, "id", "the volume %s is not encrypted", id);
	return 0;
}

void encrypted_volume_change_key(struct agent *agent, struct encrypted_change *request, struct completion completion)
{
	struct object *object = NULL;
	struct error err;
	int result;

	if (request->id) {
		result = find_object(agent, request->id, &object, &err);
	} else {
		result = volume_check_device(&request->device, &err);
		if (result < 0)
			error_within(&err, "device");
	}
	if (result == 0)
		result = keys_hold(agent, &request->key, "key", &err);
	if (result == 0)
		result = keys_hold(agent, &request->new_key, "new_key", &err);
	struct changing *changing = result == 0 ? malloc(sizeof(*changing)) : NULL;
	if (result == 0 && !changing)
		result = error_set(&err, ERROR_INTERNAL, ENOMEM, "encrypted.change_key");
	if (result < 0 || !changing) {
		keys_release(&request->key);
		keys_release(&request->new_key);
		completion_fail(&completion, &err);
		return;
	}
	*changing = (struct changing){ .request = request, .object = object, .completion = completion };
	/* It cannot go meanwhile. */
	if (object)
		object->users++;
	const struct operation_start begin = {
		.kind = &change_kind,
		.object = object,
		.request = changing,
		.wait_ms = (object ? 0 : request->timeout_ms) + keys_wait_ms(&request->key) + keys_wait_ms(&request->new_key),
		.completion = { changed, changing },
	};
	operation_visit(agent, &begin);
}
