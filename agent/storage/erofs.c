/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/erofs.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "storage/erofs_format.h"

#define RAFS_V5_MAGIC    0x52414653u /* at byte 0: "RAFS", little-endian */
#define BLOCK_BITS_LEAST 9u
#define BLOCK_BITS_MOST  12u /* a page: what every kernel can */
#define SLOT_SIZE        128u

struct slot {
	char tag[64];
	uint32_t blocks, mapped;
	uint8_t rest[56];
} __attribute__((packed));

_Static_assert(sizeof(struct slot) == SLOT_SIZE, "as on the disk");

static int read_slot(int fd, uint64_t size, uint64_t at, uint32_t block_size, struct erofs_device *device, struct error *err)
{
	struct slot slot;

	if (at + SLOT_SIZE > size || pread(fd, &slot, sizeof(slot), (off_t)at) != (ssize_t)sizeof(slot))
		return error_set(err, ERROR_MOUNT, EIO, "the device table is not within the image");
	memcpy(device->tag, slot.tag, sizeof(slot.tag));
	device->tag[sizeof(slot.tag)] = '\0';
	/* A tag is a name: 6.1 would open it as a path if it were not told the devices. */
	for (const char *c = device->tag; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return error_set(err, ERROR_MOUNT, EINVAL, "a device's tag is not printable");
	}
	device->bytes = (uint64_t)le32toh(slot.blocks) * block_size;
	device->mapped = (uint64_t)le32toh(slot.mapped) * block_size;
	if (device->bytes == 0)
		return error_set(err, ERROR_MOUNT, EINVAL, "a device of the table is empty");
	return 0;
}

static int check_superblock(const struct erofs_superblock *super, uint64_t size, struct error *err)
{
	if (le32toh(super->magic) != EROFS_MAGIC)
		return error_set(err, ERROR_MOUNT, EINVAL, "not an EROFS image (nor RAFS v6)");
	if (super->block_bits < BLOCK_BITS_LEAST || super->block_bits > BLOCK_BITS_MOST)
		return error_set(err, ERROR_MOUNT, EINVAL, "EROFS blocks of 2^%u bytes", super->block_bits);
	if (le32toh(super->feature_incompat) & EROFS_HAS_48_BITS)
		return error_set(err, ERROR_MOUNT, ENOTSUP, "EROFS with 48-bit block numbers");
	if ((uint64_t)le32toh(super->blocks) << super->block_bits > size)
		return error_set(err, ERROR_MOUNT, ENOSPC, "the image has %llu bytes, and says that it needs %llu",
				 (unsigned long long)size, (unsigned long long)le32toh(super->blocks) << super->block_bits);
	return 0;
}

int erofs_read(int fd, uint64_t size, struct erofs_layout *layout, struct error *err)
{
	struct erofs_superblock super;
	uint32_t first = 0;
	int result;

	memset(layout, 0, sizeof(*layout));
	if (size < EROFS_SUPERBLOCK_AT + sizeof(super) || pread(fd, &first, sizeof(first), 0) != (ssize_t)sizeof(first) ||
	    pread(fd, &super, sizeof(super), EROFS_SUPERBLOCK_AT) != (ssize_t)sizeof(super))
		return error_set(err, ERROR_MOUNT, EIO, "read the EROFS superblock");
	if (le32toh(first) == RAFS_V5_MAGIC)
		return error_set(err, ERROR_UNSUPPORTED_VOLUME, ENOTSUP,
				 "RAFS v5 is served by a user-space daemon alone: convert it to rafsv6");
	result = check_superblock(&super, size, err);
	if (result < 0)
		return result;
	layout->block_size = 1u << super.block_bits;
	layout->bytes = (uint64_t)le32toh(super.blocks) << super.block_bits;
	if (!(le32toh(super.feature_incompat) & EROFS_HAS_DEVICES))
		return 0;
	layout->device_count = le16toh(super.extra_devices);
	if (layout->device_count > EROFS_DEVICES_MAX)
		return error_set(err, ERROR_MOUNT, E2BIG, "the image wants %u devices, %u are supported", layout->device_count,
				 EROFS_DEVICES_MAX);
	for (uint32_t i = 0; i < layout->device_count && result == 0; i++) {
		uint64_t at = ((uint64_t)le16toh(super.device_slot) + i) * SLOT_SIZE;

		result = read_slot(fd, size, at, layout->block_size, &layout->devices[i], err);
	}
	return result;
}

int erofs_check_flat(const struct erofs_layout *layout, uint64_t size, struct error *err)
{
	for (uint32_t i = 0; i < layout->device_count; i++) {
		const struct erofs_device *device = &layout->devices[i];

		/* Both are below 2^44. */
		if (device->mapped == 0 || device->mapped + device->bytes > size)
			return error_set(
				err, ERROR_MOUNT, EINVAL,
				"device %u of the image is neither given nor within the disk: it would be at %llu, %llu bytes", i,
				(unsigned long long)device->mapped, (unsigned long long)device->bytes);
		for (uint32_t j = 0; j < i; j++) {
			const struct erofs_device *other = &layout->devices[j];

			if (device->mapped < other->mapped + other->bytes && other->mapped < device->mapped + device->bytes)
				return error_set(err, ERROR_MOUNT, EINVAL, "devices %u and %u of the image overlap", j, i);
		}
	}
	return 0;
}
