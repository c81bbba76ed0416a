/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake: what volume/raw_block.c and storage/filesystem.c call to attach, for tests that only check requests.  None may be called.
 */
#include <stdlib.h>

#include "storage/verity.h"
#include "sys/blockdev.h"
#include "sys/libraries.h"
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

int mounts_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data,
		 enum error_code code, struct error *err)
{
	(void)source, (void)target, (void)type, (void)flags, (void)data, (void)code, (void)err;
	abort();
}

int paths_mkdirs(const char *path, mode_t mode, struct error *err)
{
	(void)path, (void)mode, (void)err;
	abort();
}
