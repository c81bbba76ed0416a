/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/overlay.h"
#include "sys/labels.h"
#include "sys/mounts.h"
#include "sys/paths.h"
#include "sys/swaps.h"

/* ---- volumes ---- */

static int attach_work(struct worker *worker, void *context, void *result, struct error *err)
{
	struct volume_attach *request = context;
	struct volume_result *answer = result;
	struct volume_context surroundings = {
		.undo = &worker->undo,
		.steps = &worker->steps,
		.claim = job_claim,
		.claim_context = worker,
	};
	int outcome = paths_mkdirs(VOLUME_DIRECTORY, 0700, err);

	if (outcome == 0)
		outcome = volume_attach(request, &surroundings, &answer->attached, err);
	answer->steps = worker->steps;
	return outcome;
}

/* Texts of a worker end here, whatever it sent: these stay. */
#define END_TEXT(array) ((array)[sizeof(array) - 1] = '\0')

static void attach_apply(struct object *object, const void *result)
{
	struct volume_attached *attached = &((struct volume_object *)object)->attached;

	*attached = ((const struct volume_result *)result)->attached;
	END_TEXT(attached->type);
	END_TEXT(attached->device);
	END_TEXT(attached->fs_type);
}

static const struct operation_kind attach_kind = {
	.name = "volume.attach",
	.deadline_ms = 30000,
	.result_size = sizeof(struct volume_result),
	.work = attach_work,
	.apply = attach_apply,
};

/* The volumes that its files lie in stay as long as it does. */
static int use_volumes(struct agent *agent, const struct volume_bases *bases, struct object *volume, struct error *err)
{
	struct object *base;
	bool authentic = bases->count > 0;
	int result = 0;

	for (size_t i = 0; i < bases->count && result == 0; i++) {
		result = objects_get(&agent->objects, OBJECT_VOLUME, bases->ids[i], bases->fields[i], &base, err);
		if (result == 0 && base == volume)
			result = error_field(err, bases->fields[i], "a volume cannot lie in itself");
		if (result == 0)
			result = objects_use(volume, base, err);
		authentic = authentic && result == 0 && ((const struct volume_object *)base)->authentic;
	}
	((struct volume_object *)volume)->authentic |= authentic;
	return result < 0 ? error_within(err, "volume") : 0;
}

static int prepare_volume(struct agent *agent, const struct volume_attach *request, struct object **object, struct error *err)
{
	struct volume_bases bases;
	int result = volume_check(request, &bases, err);

	if (result < 0) {
		error_within(err, "volume");
		return error_step(err, "read the request");
	}
	result = objects_add(&agent->objects, OBJECT_VOLUME, request->id, sizeof(struct volume_object), object, err);
	if (result < 0)
		return result;
	((struct volume_object *)*object)->authentic = request->volume.has_dm_verity;
	result = use_volumes(agent, &bases, *object, err);
	if (result < 0)
		objects_remove(&agent->objects, *object);
	return result;
}

void storage_attach_volume(struct agent *agent, struct volume_attach *request, struct completion completion)
{
	struct operation_start start = {
		.kind = &attach_kind, .request = request, .wait_ms = request->timeout_ms, .completion = completion
	};
	struct error err;

	request->plain_allowed = agent->plain_storage;
	if (prepare_volume(agent, request, &start.object, &err) < 0)
		completion_fail(&completion, &err);
	else
		operation_create(agent, &start);
}

/* Not before it is known to be a file: opening a pipe would wait. */
int storage_open_file(const char *volume, const char *path, const char *field, struct error *err)
{
	char base[128];
	struct stat status;

	if (text_format(base, sizeof(base), VOLUME_DIRECTORY "/%s", volume) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", volume);
	fd_auto root = open(base, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", base);
	fd_auto file = paths_open(root, path, O_RDONLY | O_NONBLOCK, err);
	if (file < 0) {
		error_field(err, field, "%s of the volume %s cannot be opened: %s", path, volume, strerror(-file));
		return file;
	}
	if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
		return error_field(err, field, "is no file");
	return take_fd(&file);
}

/* ---- disks ---- */

int storage_find_disk(struct worker *worker, const struct blockdev_name *name, unsigned timeout_ms, struct blockdev *disk,
		      struct error *err)
{
	int result = blockdev_open(name, true, timeout_ms, disk, err);

	if (result < 0)
		return error_step(err, "find the device");
	steps_watch(&worker->steps, disk->number);
	steps_done(&worker->steps, "find the device");
	result = job_claim(worker, disk->number, err);
	return result < 0 ? error_step(err, "claim the device") : 0;
}

/* ---- scratch disks ---- */

static int scratch_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct scratch_create *request = context;
	struct scratch_result *answer = result;
	__attribute__((cleanup(blockdev_close))) struct blockdev disk = { .fd = -1 };
	char name[128], target[160];
	int outcome;

	if (text_format(name, sizeof(name), "coffer-scratch-%s", request->id) < 0 ||
	    text_format(target, sizeof(target), STORAGE_SCRATCH_DIRECTORY "/%s", request->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "scratch %s", request->id);
	outcome = paths_mkdirs(STORAGE_SCRATCH_DIRECTORY, 0700, err);
	if (outcome < 0)
		return outcome;
	outcome = storage_find_disk(worker, &request->device, request->timeout_ms, &disk, err);
	if (outcome < 0)
		return outcome;
	snprintf(answer->device, sizeof(answer->device), "%s", disk.path);
	outcome = scratch_open(name, &disk, &request->plan, target, &worker->undo, &worker->steps, &answer->size, err);
	answer->disk_size = disk.size;
	answer->steps = worker->steps;
	return outcome;
}

static void scratch_apply(struct object *object, const void *result)
{
	struct scratch_object *scratch = (struct scratch_object *)object;
	const struct scratch_result *answer = result;

	memcpy(scratch->device, answer->device, sizeof(scratch->device));
	END_TEXT(scratch->device);
	scratch->size = answer->size;
	scratch->disk_size = answer->disk_size;
}

static const struct operation_kind scratch_kind = {
	.name = "scratch.create",
	.deadline_ms = 60000,
	.result_size = sizeof(struct scratch_result),
	.work = scratch_work,
	.apply = scratch_apply,
};

static int prepare_scratch(struct agent *agent, const struct scratch_create *request, struct object **object, struct error *err)
{
	struct object *made = NULL;
	int result = volume_check_device(&request->device, err);

	if (result < 0)
		return error_within(err, "device");
	/* Before there is a swap: the host may put back what a page there held earlier, and PID 1 decides by what its pages hold.
	 */
	if (request->plan.use == SCRATCH_SWAP)
		result = swaps_exempt_self(err);
	if (result == 0)
		result = objects_add(&agent->objects, OBJECT_SCRATCH, request->id, sizeof(struct scratch_object), &made, err);
	if (!made)
		return result;
	struct scratch_object *scratch = (struct scratch_object *)made;
	*object = made;
	scratch->use = request->plan.use;
	scratch->layout = request->plan.layout;
	return 0;
}

void storage_create_scratch(struct agent *agent, struct scratch_create *request, struct completion completion)
{
	struct operation_start start = {
		.kind = &scratch_kind, .request = request, .wait_ms = request->timeout_ms, .completion = completion
	};
	struct error err;

	if (prepare_scratch(agent, request, &start.object, &err) < 0)
		completion_fail(&completion, &err);
	else
		operation_create(agent, &start);
}

int storage_get_scratch(struct agent *agent, const char *id, const char *field, struct object **scratch, struct error *err)
{
	int result = objects_get(&agent->objects, OBJECT_SCRATCH, id, field, scratch, err);

	if (result == 0 && ((const struct scratch_object *)*scratch)->use != SCRATCH_FILESYSTEM)
		result = error_field(err, field, "%s is swap space, and has no file system", id);
	return result;
}

/* ---- root file systems ---- */

static int mount_volumes(const struct rootfs_create *request, const char *target, struct undo *undo, struct error *err)
{
	char upper[192];

	if (text_format(upper, sizeof(upper), STORAGE_SCRATCH_DIRECTORY "/%s/rootfs-%s", request->scratch, request->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "root file system %s", request->id);
	return overlay_mount(VOLUME_DIRECTORY, request->lower, request->lower_count, upper, request->label, target, undo, err);
}

static int mount_layer(const struct rootfs_create *request, const char *target, struct undo *undo, struct error *err)
{
	char path[160];

	if (text_format(path, sizeof(path), STORAGE_LAYER_DIRECTORY "/%s", request->layer) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "root file system %s", request->id);
	fd_auto folder = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", path);
	fd_auto copy = mounts_clone(folder, false, ERROR_MOUNT, err);
	return copy < 0 ? copy : mounts_place(copy, target, undo, ERROR_MOUNT, err);
}

static int rootfs_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct rootfs_create *request = context;
	char target[160];
	int outcome;

	if (text_format(target, sizeof(target), STORAGE_ROOTFS_DIRECTORY "/%s", request->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "root file system %s", request->id);
	outcome = paths_mkdirs(STORAGE_ROOTFS_DIRECTORY, 0700, err);
	if (outcome == 0)
		outcome = request->layer ? mount_layer(request, target, &worker->undo, err)
					 : mount_volumes(request, target, &worker->undo, err);
	if (outcome < 0)
		return error_step(err, "mount the overlay");
	steps_done(&worker->steps, "mount the overlay");
	((struct rootfs_result *)result)->steps = worker->steps;
	return 0;
}

static const struct operation_kind rootfs_kind = {
	.name = "rootfs.create",
	.deadline_ms = 30000,
	.result_size = sizeof(struct rootfs_result),
	.work = rootfs_work,
};

static int use_bases(struct agent *agent, const struct rootfs_create *request, struct object *rootfs, struct error *err)
{
	struct object *base;
	int result = 0;

	if (request->layer) {
		result = objects_get(&agent->objects, OBJECT_TREE, request->layer, "layer", &base, err);
		return result == 0 ? objects_use(rootfs, base, err) : result;
	}
	for (size_t i = 0; i < request->lower_count && result == 0; i++) {
		char field[32];

		snprintf(field, sizeof(field), "lower[%zu]", i);
		result = objects_get(&agent->objects, OBJECT_VOLUME, request->lower[i], field, &base, err);
		for (size_t j = 0; j < i && result == 0; j++) {
			if (rootfs->uses[j] == base)
				result = error_field(err, field, "%s is named twice", request->lower[i]);
		}
		if (result == 0)
			result = objects_use(rootfs, base, err);
	}
	if (result == 0)
		result = storage_get_scratch(agent, request->scratch, "scratch", &base, err);
	return result == 0 ? objects_use(rootfs, base, err) : result;
}

void storage_create_rootfs(struct agent *agent, struct rootfs_create *request, struct completion completion)
{
	struct operation_start start = { .kind = &rootfs_kind, .request = request, .completion = completion };
	struct error err;
	int result = objects_add(&agent->objects, OBJECT_ROOTFS, request->id, sizeof(struct rootfs_object), &start.object, &err);

	if (result == 0 && request->label)
		result = labels_check(request->label, "label", &err);
	if (result == 0) {
		result = use_bases(agent, request, start.object, &err);
		if (result < 0)
			objects_remove(&agent->objects, start.object);
	}
	if (result < 0)
		completion_fail(&completion, &err);
	else
		operation_create(agent, &start);
}

/* ---- all three ---- */

/*
 * What a container has in a swap would have to come back into memory that its limits, or the machine, may not have: the kernel
 * would kill for it.  So containers go first.
 */
static int check_swap_unused(const struct agent *agent, const struct object *object, struct error *err)
{
	const struct object *container = agent->objects.lists[OBJECT_CONTAINER];

	if (object->kind != OBJECT_SCRATCH || ((const struct scratch_object *)object)->use != SCRATCH_SWAP)
		return 0;
	while (container && container->state == OBJECT_BROKEN)
		container = container->next;
	return container ? error_set(err, ERROR_IN_USE, EBUSY, "container %s may be swapped out there", container->id) : 0;
}

void storage_remove(struct agent *agent, enum object_kind kind, const char *id, struct completion completion)
{
	static const struct operation_kind kinds[] = {
		[OBJECT_VOLUME] = { .name = "volume.detach" }, [OBJECT_SCRATCH] = { .name = "scratch.remove" },
		[OBJECT_ROOTFS] = { .name = "rootfs.remove" }, [OBJECT_IMAGE] = { .name = "layer.lock" },
		[OBJECT_TREE] = { .name = "layer.put" },
	};
	struct object *object;
	struct error err;
	int result = objects_get(&agent->objects, kind, id, "id", &object, &err);

	if (result == 0)
		result = objects_check_removable(object, &err);
	if (result == 0)
		result = check_swap_unused(agent, object, &err);
	if (result < 0)
		completion_fail(&completion, &err);
	else
		operation_remove(agent, &kinds[kind], object, completion);
}
