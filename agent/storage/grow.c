/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/grow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/text.h"

/* fs/ext4/ext4.h: blocks. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, __u64)

/* fs/xfs/libxfs/xfs_fs.h */
struct xfs_geometry {
	__u32 block_size, rest[27];
};
struct xfs_growth {
	__u64 blocks;
	__u32 inodes_percent; /* of the space, at most */
};
#define XFS_IOC_FSGEOMETRY_V1 _IOR('X', 100, struct xfs_geometry)
#define XFS_IOC_FSGROWFSDATA  _IOW('X', 110, struct xfs_growth)
#define XFS_INODES_PERCENT    6 /* where `rest` has imaxpct, the eighth word of all */

_Static_assert(sizeof(struct xfs_geometry) == 112 && sizeof(struct xfs_growth) == 16, "as the kernel has them");

int grow_ext4(int fd, uint64_t blocks, struct error *err)
{
	__u64 wanted = blocks;

	if (ioctl(fd, EXT4_IOC_RESIZE_FS, &wanted) < 0)
		return error_set(err, ERROR_FORMAT, errno, "grow the ext4 to %llu blocks", (unsigned long long)blocks);
	return 0;
}

static int fill_with_ext4(int fd, uint64_t size, struct error *err)
{
	struct statvfs status;

	if (fstatvfs(fd, &status) < 0)
		return error_set(err, ERROR_FORMAT, errno, "ask the file system for its block size");
	return grow_ext4(fd, size / status.f_bsize, err);
}

static int fill_with_xfs(int fd, uint64_t size, struct error *err)
{
	struct xfs_geometry geometry;

	if (ioctl(fd, XFS_IOC_FSGEOMETRY_V1, &geometry) < 0 || geometry.block_size == 0)
		return error_set(err, ERROR_FORMAT, errno, "ask the xfs for its geometry");
	struct xfs_growth growth = { .blocks = size / geometry.block_size, .inodes_percent = geometry.rest[XFS_INODES_PERCENT] };
	if (ioctl(fd, XFS_IOC_FSGROWFSDATA, &growth) < 0)
		return error_set(err, ERROR_FORMAT, errno, "grow the xfs to %llu blocks", (unsigned long long)growth.blocks);
	return 0;
}

static const struct {
	const char *type;
	int (*grow)(int fd, uint64_t size, struct error *err);
} kinds[] = { { "ext4", fill_with_ext4 }, { "xfs", fill_with_xfs } };

/* In sysfs' sectors of 512 bytes. */
static int read_size(dev_t device, uint64_t *size, struct error *err)
{
	char path[64], text[32];
	unsigned long long sectors;

	if (text_format(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(device), minor(device)) < 0 ||
	    text_read_file(path, text, sizeof(text)) < 0 || sscanf(text, "%llu", &sectors) != 1 || sectors > UINT64_MAX / 512)
		return error_set(err, ERROR_DEVICE, EIO, "ask device %u:%u for its size", major(device), minor(device));
	*size = sectors * 512;
	return 0;
}

int grow_filesystem(const char *target, const char *type, uint64_t *size, struct error *err)
{
	fd_auto fd = open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statvfs status;
	struct stat root;

	if (fd < 0 || fstat(fd, &root) < 0 || fstatvfs(fd, &status) < 0)
		return error_set(err, ERROR_FORMAT, errno, "open %s", target);
	if (status.f_flag & ST_RDONLY)
		return error_set(err, ERROR_STATE, EROFS, "the file system is mounted read-only");
	int result = read_size(root.st_dev, size, err);
	if (result < 0)
		return result;
	for (size_t i = 0; i < array_count(kinds); i++) {
		if (strcmp(kinds[i].type, type) == 0)
			return kinds[i].grow(fd, *size, err);
	}
	return error_set(err, ERROR_UNSUPPORTED_VOLUME, ENOTSUP, "%s does not grow", type);
}
