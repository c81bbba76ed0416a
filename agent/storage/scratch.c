/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/integrity.h"
#include "storage/mkfs.h"
#include "storage/sparse_copy.h"
#include "sys/modules.h"
#include "sys/mounts.h"

static const char *const modules[] = {
	"dm_mod",         "dm_integrity", "dm_crypt", "?aesni_intel", "aes_generic", "?sha256_ssse3",
	"sha256_generic", "hmac",         "xts",      "authenc",      NULL,
};

/*
 * noinit_itable: or the kernel would write every inode table in the background.  inode_readahead_blks=0: reading ahead would meet
 * blocks that were never written, which do not authenticate.  barrier=0: what a power cut leaves cannot be read by anybody.
 */
static const char mount_options[] = "noinit_itable,inode_readahead_blks=0,barrier=0,errors=remount-ro";

static int format(const char *node, uint64_t size, struct steps *steps, struct error *err)
{
	fd_auto image = -1;
	uint64_t copied;
	int result = mkfs_ext4(size, &image, err);

	if (result < 0)
		return result;
	steps_done(steps, "make ext4 in memory");
	fd_auto mapping = open(node, O_WRONLY | O_DIRECT | O_EXCL | O_CLOEXEC);
	if (mapping < 0)
		return error_set(err, ERROR_FORMAT, errno, "open %s", node);
	result = sparse_copy(image, mapping, size, &copied, err);
	if (result < 0)
		return result;
	/* dm-integrity keeps tags in a cache of its own: they are on the disk, or have failed, after this. */
	if (fsync(mapping) < 0)
		return error_set(err, ERROR_FORMAT, errno, "flush %s", node);
	steps_done(steps, "copy its data");
	return 0;
}

int scratch_open(const char *name, struct blockdev *disk, const char *target, struct undo *undo, struct steps *steps,
		 uint64_t *size, struct error *err)
{
	char node[160];
	dev_t number;
	int result = modules_load(modules, err);

	if (result < 0)
		return result;
	if (text_format(node, sizeof(node), "/dev/mapper/%s", name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "mapping name");
	steps_done(steps, "load modules");
	blockdev_close(disk);
	result = integrity_open(name, disk, undo, size, &number, err);
	if (result < 0)
		return error_step(err, "encrypt the scratch disk");
	steps_done(steps, "map with a new key");
	result = format(node, *size, steps, err);
	if (result < 0)
		return error_step(err, "format the scratch disk");
	result = undo_push(undo, UNDO_RMDIR, target, err);
	if (result < 0)
		return result;
	if (mkdir(target, 0700) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", target);
	result = undo_push(undo, UNDO_UMOUNT, target, err);
	if (result == 0)
		result = mounts_mount(node, target, "ext4", MS_NOATIME | MS_NODEV | MS_NOSUID, mount_options, ERROR_MOUNT, err);
	if (result < 0)
		return error_step(err, "mount the scratch disk");
	steps_done(steps, "mount");
	return 0;
}
