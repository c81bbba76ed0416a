/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/format.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/grow.h"
#include "storage/sparse_copy.h"
#include "sys/mounts.h"

/*
 * noinit_itable: or the kernel would write every inode table in the background.  inode_readahead_blks=0: reading ahead would meet
 * blocks that were never written, which do not authenticate.
 */
#define OPTIONS "noinit_itable,inode_readahead_blks=0,errors=remount-ro"

int format_ext4(const char *node, uint64_t size, enum mkfs_use use, struct steps *steps, struct error *err)
{
	fd_auto image = -1;
	uint64_t copied;
	int result = mkfs_ext4(size, use, &image, err);

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

int format_mount(const char *node, const char *target, bool lasting, bool read_only, struct undo *undo, struct error *err)
{
	unsigned long flags = MS_NODEV | MS_NOSUID | (lasting ? 0 : MS_NOATIME) | (read_only ? MS_RDONLY : 0);
	int result = undo_push(undo, UNDO_RMDIR, target, err);

	if (result < 0)
		return result;
	if (mkdir(target, 0700) < 0)
		return error_set(err, ERROR_MOUNT, errno, "make the directory %s", target);
	result = undo_push(undo, UNDO_UMOUNT, target, err);
	if (result < 0)
		return result;
	/* barrier=0 where what a power cut leaves cannot be read by anybody. */
	return mounts_mount(node, target, "ext4", flags, lasting ? OPTIONS : OPTIONS ",barrier=0", ERROR_MOUNT, err);
}

/* Documentation/filesystems/ext4/super.rst: the superblock begins at 1024; magic, and the two halves of the number of blocks. */
#define SUPER_MAGIC     (1024 + 0x38)
#define SUPER_BLOCKS_LO (1024 + 0x4)
#define SUPER_BLOCKS_HI (1024 + 0x150)

int format_size(const char *node, uint64_t *size, struct error *err)
{
	fd_auto fd = open(node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	auto_free uint8_t *block = aligned_alloc(MKFS_BLOCK, MKFS_BLOCK);
	uint32_t low, high;
	uint16_t magic;

	if (fd < 0)
		return error_set(err, ERROR_FORMAT, errno, "open %s", node);
	if (!block)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "buffer");
	ssize_t got = pread(fd, block, MKFS_BLOCK, 0);
	if (got != (ssize_t)MKFS_BLOCK)
		return error_set(err, ERROR_FORMAT, got < 0 ? errno : EIO, "read the superblock of the file system");
	memcpy(&magic, block + SUPER_MAGIC, sizeof(magic));
	memcpy(&low, block + SUPER_BLOCKS_LO, sizeof(low));
	memcpy(&high, block + SUPER_BLOCKS_HI, sizeof(high));
	if (le16toh(magic) != 0xef53)
		return error_set(err, ERROR_FORMAT, EBADMSG, "there is no ext4 on the volume");
	*size = ((uint64_t)le32toh(high) << 32 | le32toh(low)) * MKFS_BLOCK;
	return 0;
}

/* Blocks whose group descriptors fill one block: 64 groups of 32768 blocks (storage/mkfs.c: 64 bytes each, meta_bg). */
#define META_GROUP ((uint64_t)64 * 32768)

/*
 * The kernel reads the last block that it is to grow to, to see that it is there; and the block of the descriptors of 64 new
 * groups, the first of them or the one behind a superblock's copy, before it fills it.  This makes them ones that can be read:
 * zeros, all behind the end of what there is.
 */
static int write_what_is_read(const char *node, uint64_t from, uint64_t to, struct error *err)
{
	fd_auto fd = open(node, O_WRONLY | O_DIRECT | O_CLOEXEC);
	auto_free uint8_t *zeros = aligned_alloc(MKFS_BLOCK, 2 * MKFS_BLOCK);
	ssize_t put = MKFS_BLOCK;

	if (fd < 0)
		return error_set(err, ERROR_FORMAT, errno, "open %s", node);
	if (!zeros)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "buffer");
	memset(zeros, 0, 2 * MKFS_BLOCK);
	for (uint64_t at = (from + META_GROUP - 1) / META_GROUP * META_GROUP; at + 1 < to && put > 0; at += META_GROUP)
		put = pwrite(fd, zeros, 2 * MKFS_BLOCK, (off_t)(at * MKFS_BLOCK));
	if (put > 0)
		put = pwrite(fd, zeros, MKFS_BLOCK, (off_t)((to - 1) * MKFS_BLOCK));
	if (put < 0 || fsync(fd) < 0)
		return error_set(err, ERROR_FORMAT, errno, "write behind the end of the file system");
	return put == MKFS_BLOCK ? 0 : error_set(err, ERROR_FORMAT, EIO, "write behind the end of the file system");
}

static int set_option(const char *target, const char *option, struct error *err)
{
	return mounts_mount(NULL, target, NULL, MS_REMOUNT | MS_NODEV | MS_NOSUID, option, ERROR_FORMAT, err);
}

/*
 * With noinit_itable the kernel writes the inode tables of new groups at once: 1.6 % of what is added.  With init_itable it marks
 * them as never written, as they are from the start, and means to write them later: before that the option is taken back.
 */
static int grow(const char *target, uint64_t blocks, struct error *err)
{
	fd_auto fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error lost;

	if (fd < 0)
		return error_set(err, ERROR_FORMAT, errno, "open %s", target);
	int result = set_option(target, "init_itable", err);
	if (result == 0)
		result = grow_ext4(fd, blocks, err);
	int after = set_option(target, "noinit_itable", result < 0 ? &lost : err);
	return result < 0 ? result : after;
}

int format_grow(const char *node, const char *target, uint64_t size, struct error *err)
{
	uint64_t blocks = size / MKFS_BLOCK, now = 0;
	struct statvfs status;
	int result = format_size(node, &now, err);

	if (result < 0 || now >= blocks * MKFS_BLOCK)
		return result;
	if (statvfs(target, &status) < 0 || status.f_flag & ST_RDONLY)
		return error_set(err, ERROR_STATE, EROFS, "the file system is mounted read-only");
	result = write_what_is_read(node, now / MKFS_BLOCK, blocks, err);
	return result < 0 ? result : grow(target, blocks, err);
}
