/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MKFS_H
#define STORAGE_MKFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define MKFS_BLOCK    4096u
#define MKFS_SMALLEST (8u * 1024u * 1024u) /* bytes */

/* What the file system is for. */
enum mkfs_use {
	MKFS_SCRATCH, /* it ends with the VM */
	MKFS_LASTING, /* it outlives the VM, and may grow */
	MKFS_LAYER,   /* it outlives the VM, never grows, and holds the many small files of an image's layer */
};

#define MKFS_LAYER_INODE 8192u /* MKFS_LAYER: bytes for each inode */

/*
 * Makes an ext4 of `size` bytes (a multiple of MKFS_BLOCK) in a new sparse file in memory, through libext2fs, and returns the
 * file's descriptor by *image.  Only blocks that must be written are data of the file: bitmaps and inode tables packed at the
 * front, unused ones not written at all.  The result is what mke2fs -O ^resize_inode -E packed_meta_blocks=1,lazy_itable_init=1
 * describes, with these:
 *
 *   scratch        -O ^has_journal,sparse_super2 -E num_backup_sb=0: nothing is kept for a later repair
 *   lasting, layer -O has_journal,meta_bg,uninit_bg,^metadata_csum: a journal of 4 or 16 MiB, every block of which is data of the
 * file, since a replay reads past the last block that was logged; backup superblocks; group descriptors where they can grow without
 * a block being read that was never written
 *
 * A layer's has inodes of 256 bytes up to 8 GiB, one for each MKFS_LAYER_INODE bytes but at most 131072, and their tables are data
 * of the file: 3 % of its size, 32 MiB at most.  All others have inodes that fill a block (mkfs.c says why).
 *
 * e2fsck finds it clean.  For workers.  ERROR_FORMAT.
 */
must_check int mkfs_ext4(uint64_t size, enum mkfs_use use, int *image, struct error *err);

#endif
