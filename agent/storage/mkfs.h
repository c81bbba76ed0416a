/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MKFS_H
#define STORAGE_MKFS_H

#include <stdint.h>

#include "base/error.h"

#define MKFS_BLOCK    4096u
#define MKFS_SMALLEST (8u * 1024u * 1024u) /* bytes */

/*
 * Makes an ext4 of `size` bytes (a multiple of MKFS_BLOCK) in a new sparse file in memory, through libext2fs, and returns the
 * file's descriptor by *image.  Only blocks that carry information are data of the file: no journal, no backup superblocks,
 * no reserved descriptor blocks, bitmaps and inode tables packed at the front, unused ones not written at all.  The result
 * is what mke2fs -O ^has_journal,^resize_inode,sparse_super2 -E num_backup_sb=0,packed_meta_blocks=1,lazy_itable_init=1
 * describes; e2fsck finds it clean.  For workers.  ERROR_FORMAT.
 */
must_check int mkfs_ext4(uint64_t size, int *image, struct error *err);

#endif
