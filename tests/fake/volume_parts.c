/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake: what the volume types call to attach, for tests that only check requests.  None may be called. */
#include <stdlib.h>

#include "storage/fs_group.h"
#include "storage/verity.h"
#include "sys/blockdev.h"
#include "sys/devmapper.h"
#include "sys/libraries.h"
#include "sys/loopdev.h"
#include "sys/modules.h"
#include "sys/mounts.h"
#include "sys/paths.h"
#include "sys/steps.h"

int blockdev_open(const struct blockdev_name *name, bool writable, unsigned timeout_ms, struct blockdev *device, struct error *err)
{
	(void)name, (void)writable, (void)timeout_ms, (void)device, (void)err;
	abort();
}

void blockdev_close(struct blockdev *device)
{
	(void)device;
	abort();
}

int modules_load(const char *const *names, struct error *err)
{
	(void)names, (void)err;
	abort();
}

const char *const verity_modules[] = { NULL };

int verity_open(const char *name, struct blockdev *disk, const struct verity *verity, struct undo *undo, dev_t *number,
		struct error *err)
{
	(void)name, (void)disk, (void)verity, (void)undo, (void)number, (void)err;
	abort();
}

void steps_done(struct steps *steps, const char *name)
{
	(void)steps, (void)name;
	abort();
}

int libraries_open(struct libraries *lib, enum library library, struct error *err)
{
	(void)lib, (void)library, (void)err;
	abort();
}

int mounts_new(const char *type, const char *source, unsigned long flags, const char *data, enum error_code code, struct error *err)
{
	(void)type, (void)source, (void)flags, (void)data, (void)code, (void)err;
	abort();
}

int mounts_place(int mount, const char *target, struct undo *undo, enum error_code code, struct error *err)
{
	(void)mount, (void)target, (void)undo, (void)code, (void)err;
	abort();
}

int mounts_attach(int mount, int target, enum error_code code, struct error *err)
{
	(void)mount, (void)target, (void)code, (void)err;
	abort();
}

int paths_mkdirs(const char *path, mode_t mode, struct error *err)
{
	(void)path, (void)mode;
	return error_set(err, ERROR_INTERNAL, ENOSYS, "the fake makes no directories");
}

int paths_open(int root, const char *path, int flags, struct error *err)
{
	(void)root, (void)path, (void)flags, (void)err;
	abort();
}

int devmapper_create(const char *name, const struct devmapper_target *target, enum error_code code, dev_t *number,
		     struct error *err)
{
	(void)name, (void)target, (void)code, (void)number, (void)err;
	abort();
}

int loopdev_open(int file, char *node, struct error *err)
{
	(void)file, (void)node, (void)err;
	abort();
}

int fs_group_apply(const char *path, const struct fs_group *group, struct error *err)
{
	(void)path, (void)group, (void)err;
	abort();
}
