/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_EROFS_FORMAT_H
#define STORAGE_EROFS_FORMAT_H

#include <stdint.h>

/*
 * EROFS on the disk, as far as coffer reads or writes it; all numbers little-endian.  Linux: Documentation/filesystems/erofs.rst
 * and fs/erofs/erofs_fs.h.
 *
 * An inode's number times 32, from the metadata's first block on, is where it lies.  Behind it come its extended attributes, and
 * then the rest of its content or the index of its chunks, if its layout says so.
 */

#define EROFS_SUPERBLOCK_AT 1024u
#define EROFS_MAGIC         0xE0F5E1E2u
#define EROFS_SLOT          32u /* bytes: what inode numbers count */

/* erofs_superblock.feature_compat */
#define EROFS_HAS_CHECKSUM 0x00000001u
#define EROFS_HAS_MTIME    0x00000002u /* the inodes' time is that of modification */

/* erofs_superblock.feature_incompat */
#define EROFS_HAS_CHUNKS  0x00000004u
#define EROFS_HAS_DEVICES 0x00000008u
#define EROFS_HAS_48_BITS 0x00000080u /* other widths of the numbers below */

/* The 128 bytes at EROFS_SUPERBLOCK_AT. */
struct erofs_superblock {
	uint32_t magic, checksum, feature_compat;
	uint8_t block_bits, extra_slots;
	uint16_t root;
	uint64_t inodes, build_time;
	uint32_t build_time_ns, blocks, meta, xattr;
	uint8_t uuid[16], name[16];
	uint32_t feature_incompat;
	uint16_t compression, extra_devices, device_slot;
	uint8_t rest[38];
} __attribute__((packed));

/* The format of an inode: bit 0 says that it is an extended one, the next three are the layout. */
#define EROFS_EXTENDED     1u
#define EROFS_LAYOUT_SHIFT 1u

enum erofs_layout_of_inode {
	EROFS_PLAIN = 0,  /* blocks in a row */
	EROFS_INLINE = 2, /* the same, and what fills no block behind the inode */
	EROFS_CHUNKS = 4, /* an index of chunks behind the inode */
};

/* `place` is the first block, the device number, or 2^n blocks in a chunk. */
struct erofs_inode_compact {
	uint16_t format, attributes, mode, links;
	uint32_t size, reserved, place, number;
	uint16_t uid, gid;
	uint32_t reserved_too;
} __attribute__((packed));

struct erofs_inode_extended {
	uint16_t format, attributes, mode, reserved;
	uint64_t size;
	uint32_t place, number, uid, gid;
	uint64_t mtime;
	uint32_t mtime_ns, links;
	uint8_t rest[16];
} __attribute__((packed));

#define EROFS_NO_BLOCK 0xFFFFFFFFu /* in the index of chunks: a hole */

/* A block of a directory: these, then the names in the same order, not terminated. */
struct erofs_dirent {
	uint64_t inode;
	uint16_t name; /* where in the block; the first one's says how many entries there are */
	uint8_t type, reserved;
} __attribute__((packed));

enum {
	EROFS_TYPE_FILE = 1,
	EROFS_TYPE_DIRECTORY,
	EROFS_TYPE_CHARACTER,
	EROFS_TYPE_BLOCK,
	EROFS_TYPE_FIFO,
	EROFS_TYPE_SOCKET,
	EROFS_TYPE_LINK,
};

/* Before an inode's own attributes; the inode counts what follows in fours, and itself as one. */
struct erofs_attributes {
	uint32_t filter;
	uint8_t shared, rest[7];
} __attribute__((packed));

/* Then the name without the prefix that `prefix` stands for, and the value; the next one begins at a multiple of four. */
struct erofs_attribute {
	uint8_t name_length, prefix;
	uint16_t size;
} __attribute__((packed));

_Static_assert(sizeof(struct erofs_superblock) == 128 && sizeof(struct erofs_inode_compact) == EROFS_SLOT &&
		       sizeof(struct erofs_inode_extended) == 2 * EROFS_SLOT && sizeof(struct erofs_dirent) == 12 &&
		       sizeof(struct erofs_attributes) == 12 && sizeof(struct erofs_attribute) == 4,
	       "as on the disk");

#endif
