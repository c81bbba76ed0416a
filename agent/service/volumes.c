/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/mounts.h"
#include "sys/paths.h"

/* ---- tmpfs and directories ---- */

static int make_tmpfs(const struct volumes_create *request, struct worker *worker, struct error *err)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | (request->noexec ? MS_NOEXEC : 0);
	unsigned mode = request->mode ? (unsigned)request->mode : 01777;
	char data[128];

	(void)worker;
	if (text_format(data, sizeof(data), "size=%llu,mode=%o,uid=%u,gid=%u", (unsigned long long)request->size, mode,
			(unsigned)request->uid, (unsigned)request->gid) < 0)
		return error_set(err, ERROR_INTERNAL, EMSGSIZE, "options of a tmpfs");
	return mounts_new("tmpfs", "coffer", flags, data, ERROR_MOUNT, err);
}

static int make_directory(const struct volumes_create *request, struct worker *worker, struct error *err)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | (request->noexec ? MS_NOEXEC : 0);
	unsigned mode = request->mode ? (unsigned)request->mode : 0755;
	char path[192];

	if (text_format(path, sizeof(path), STORAGE_SCRATCH_DIRECTORY "/%s/volume-%s", request->scratch, request->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", request->id);
	int result = undo_push(&worker->undo, UNDO_TREE, path, err);
	if (result < 0)
		return result;
	if (mkdir(path, 0700) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", path);
	fd_auto folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 || fchown(folder, (uid_t)request->uid, (gid_t)request->gid) < 0 || fchmod(folder, mode) < 0)
		return error_set(err, ERROR_MOUNT, errno, "give the directory %s away", path);
	fd_auto copy = mounts_clone(folder, false, ERROR_MOUNT, err);
	if (copy < 0)
		return copy;
	result = mounts_set_flags(copy, flags, false, ERROR_MOUNT, err);
	return result < 0 ? result : take_fd(&copy);
}

static const struct kind {
	const char *type, *fs_type;
	/* A detached mount. */
	int (*make)(const struct volumes_create *request, struct worker *worker, struct error *err);
} kinds[] = { { "tmpfs", "tmpfs", make_tmpfs }, { "directory", "ext4", make_directory } };

static const struct kind *find_kind(const char *type)
{
	for (size_t i = 0; i < array_count(kinds); i++) {
		if (strcmp(kinds[i].type, type) == 0)
			return &kinds[i];
	}
	return NULL;
}

static int create_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct volumes_create *request = context;
	const struct kind *kind = find_kind(request->type);
	struct volume_result *answer = result;
	char target[160];

	if (!kind || text_format(target, sizeof(target), VOLUME_DIRECTORY "/%s", request->id) < 0)
		return error_set(err, ERROR_INTERNAL, EINVAL, "volume %s", request->id);
	int outcome = paths_mkdirs(VOLUME_DIRECTORY, 0700, err);
	if (outcome < 0)
		return outcome;
	fd_auto mount = kind->make(request, worker, err);
	if (mount < 0)
		return error_step(err, "make the volume");
	outcome = mounts_place(mount, target, &worker->undo, ERROR_MOUNT, err);
	if (outcome < 0)
		return error_step(err, "mount the volume");
	steps_done(&worker->steps, "mount");
	snprintf(answer->attached.type, sizeof(answer->attached.type), "%s", kind->type);
	snprintf(answer->attached.fs_type, sizeof(answer->attached.fs_type), "%s", kind->fs_type);
	answer->attached.size = request->size;
	answer->steps = worker->steps;
	return 0;
}

static void create_apply(struct object *object, const void *result)
{
	((struct volume_object *)object)->attached = ((const struct volume_result *)result)->attached;
}

static const struct operation_kind create_kind = {
	.name = "volume.create",
	.deadline_ms = 30000,
	.result_size = sizeof(struct volume_result),
	.work = create_work,
	.apply = create_apply,
};

static int check(const struct volumes_create *request, struct error *err)
{
	bool tmpfs = strcmp(request->type, "tmpfs") == 0;

	if (!find_kind(request->type))
		return error_field(err, "type", "tmpfs and directory are accepted");
	if (tmpfs && request->scratch)
		return error_field(err, "scratch", "a tmpfs is in memory");
	if (!tmpfs && !request->scratch)
		return error_field(err, "scratch", "is required: a directory lies on a scratch");
	if (tmpfs && !request->size)
		return error_field(err, "size", "is required: memory without a limit is the whole VM's");
	if (!tmpfs && request->size)
		return error_field(err, "size", "a directory has no limit of its own");
	return 0;
}

static int prepare(struct agent *agent, const struct volumes_create *request, struct object **object, struct error *err)
{
	struct object *scratch;
	int result = check(request, err);

	if (result < 0)
		return error_step(err, "read the request");
	result = objects_add(&agent->objects, OBJECT_VOLUME, request->id, sizeof(struct volume_object), object, err);
	if (result < 0 || !request->scratch)
		return result;
	result = storage_get_scratch(agent, request->scratch, "scratch", &scratch, err);
	if (result == 0)
		result = objects_use(*object, scratch, err);
	if (result < 0)
		objects_remove(&agent->objects, *object);
	return result;
}

void volumes_create(struct agent *agent, struct volumes_create *request, struct completion completion)
{
	struct operation_start start = { .kind = &create_kind, .request = request, .completion = completion };
	struct error err;

	if (prepare(agent, request, &start.object, &err) < 0)
		completion_fail(&completion, &err);
	else
		operation_create(agent, &start);
}

/* ---- stats ---- */

struct reading {
	struct object *object;
	struct completion completion;
};

/* Documentation/block/stat.rst: I/Os, merges, sectors of 512 bytes and ticks of reads, then of writes. */
static void read_device(dev_t device, struct volumes_stats *stats)
{
	unsigned long long reads, sectors_read, writes, sectors_written;
	char path[64], text[512];

	if (text_format(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(device), minor(device)) < 0 ||
	    text_read_file(path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%llu %*u %llu %*u %llu %*u %llu", &reads, &sectors_read, &writes, &sectors_written) != 4)
		return;
	stats->has_device = true;
	stats->reads = reads;
	stats->writes = writes;
	stats->read_bytes = sectors_read * 512;
	stats->written_bytes = sectors_written * 512;
}

static int stats_work(struct worker *worker, void *context, void *result, struct error *err)
{
	const struct object *object = ((const struct reading *)context)->object;
	const char *folder = object->kind == OBJECT_SCRATCH ? STORAGE_SCRATCH_DIRECTORY : VOLUME_DIRECTORY;
	struct volumes_stats *stats = result;
	struct statvfs space;
	struct stat status;
	char path[160];

	(void)worker;
	if (text_format(path, sizeof(path), "%s/%s", folder, object->id) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "volume %s", object->id);
	if (stat(path, &status) < 0 || statvfs(path, &space) < 0)
		return error_set(err, ERROR_MOUNT, errno, "ask for the space of %s", object->id);
	stats->size = space.f_blocks * space.f_frsize;
	stats->used = (space.f_blocks - space.f_bfree) * space.f_frsize;
	stats->available = space.f_bavail * space.f_frsize;
	stats->files = space.f_files;
	stats->files_free = space.f_ffree;
	read_device(status.st_dev, stats);
	return 0;
}

static const struct operation_kind stats_kind = {
	.name = "volume.stats",
	.deadline_ms = 10000,
	.result_size = sizeof(struct volumes_stats),
	.work = stats_work,
};

static void stats_read(void *context, const struct error *error, const void *result)
{
	auto_free struct reading *reading = context;

	reading->object->users--;
	reading->completion.done(reading->completion.context, error, result);
}

void volumes_read_stats(struct agent *agent, enum object_kind kind, const char *id, struct completion completion)
{
	struct object *object;
	struct error err;
	int result = kind == OBJECT_SCRATCH ? storage_get_scratch(agent, id, "id", &object, &err)
					    : objects_get(&agent->objects, kind, id, "id", &object, &err);

	if (result == 0)
		result = objects_check_ready(object, &err);
	struct reading *reading = result == 0 ? malloc(sizeof(*reading)) : NULL;
	if (result == 0 && !reading)
		error_set(&err, ERROR_INTERNAL, ENOMEM, "volume.stats");
	if (!reading) {
		completion_fail(&completion, &err);
		return;
	}
	*reading = (struct reading){ .object = object, .completion = completion };
	/* It cannot go meanwhile. */
	object->users++;
	const struct operation_start start = {
		.kind = &stats_kind, .object = object, .request = reading, .completion = { stats_read, reading }
	};
	operation_visit(agent, &start);
}
