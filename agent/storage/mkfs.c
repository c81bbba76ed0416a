/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/mkfs.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/libraries.h"

/* Blocks of a journal: the least that there is, and what a file system of some size is given. */
#define JOURNAL_SMALL      1024u
#define JOURNAL_LARGE      4096u
#define JOURNAL_LARGE_FROM ((uint64_t)1 << 30)

/* Up to here the tables of a layer's inodes are written. */
#define LAYER_WRITTEN_MOST ((uint64_t)8 << 30)
#define LAYER_INODES_MOST  ((uint64_t)128 * 1024)

struct mkfs {
	struct libraries lib;
	enum mkfs_use use;
	bool tables; /* the tables of inodes are written */
	ext2_filsys fs;
	struct error *err;
};

static int check(struct mkfs *m, errcode_t code, const char *what)
{
	if (code == 0)
		return 0;
	/* Codes below 256 are errnos, the rest libext2fs' own (see ext2_err.h). */
	return error_set(m->err, ERROR_FORMAT, code < 256 ? (int)code : EIO, "%s: libext2fs error %ld", what, (long)code);
}

/*
 * An inode fills a block.  ext4 does without reading a block of an inode table when the others in it are free; of two processes
 * that make the first inodes of one block each finds the other's taken, and reads what was never written.  Where a block has one
 * inode that cannot be.  The tables take space for it, not bytes on the disk: an eighth of a small disk, a sixteenth of a middling
 * one, a sixty-fourth of a large one.  What lasts may grow, and keeps its share: never an eighth.
 */
static uint32_t inodes(const struct mkfs *m, uint64_t size)
{
	static const struct {
		uint64_t bytes_per_inode, most;
	} steps[] = { { 32768, 128 * 1024 }, { 65536, 1024 * 1024 }, { 262144, UINT32_MAX / 2 } };
	uint64_t count = 0;

	if (m->tables)
		return (uint32_t)(size / MKFS_LAYER_INODE < LAYER_INODES_MOST ? size / MKFS_LAYER_INODE : LAYER_INODES_MOST);
	for (size_t i = m->use == MKFS_SCRATCH ? 0 : 1; i < array_count(steps); i++) {
		uint64_t here = size / steps[i].bytes_per_inode;

		if (here > steps[i].most)
			here = steps[i].most;
		if (here > count)
			count = here;
	}
	return (uint32_t)count;
}

static void describe(const struct mkfs *m, uint64_t size, struct ext2_super_block *super)
{
	super->s_rev_level = EXT2_DYNAMIC_REV;
	super->s_log_block_size = 2; /* 1024 << 2 */
	super->s_log_cluster_size = 2;
	super->s_inodes_count = inodes(m, size);
	super->s_inode_size = m->tables ? 256 : MKFS_BLOCK;
	super->s_log_groups_per_flex = 4;
	super->s_desc_size = 64;
	super->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX;
	super->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT |
				    EXT4_FEATURE_INCOMPAT_FLEX_BG;
	super->s_feature_ro_compat = EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
				     EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_DIR_NLINK |
				     EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE;
	/*
	 * sparse_super2 cannot grow while mounted; meta_bg needs no descriptor blocks set aside to grow.  With metadata_csum
	 * growing would read the new groups' bitmaps, which were never written, to sum them up; below it every block is
	 * authenticated anyway.
	 */
	if (m->use != MKFS_SCRATCH) {
		super->s_feature_incompat |= EXT2_FEATURE_INCOMPAT_META_BG;
		super->s_feature_ro_compat |= EXT4_FEATURE_RO_COMPAT_GDT_CSUM;
	} else {
		super->s_feature_compat |= EXT4_FEATURE_COMPAT_SPARSE_SUPER2;
		super->s_feature_ro_compat |= EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
	}
	/* After the features: without 64BIT it would drop the upper half. */
	m->lib.ext2fs_blocks_count_set(super, size / MKFS_BLOCK);
}

static int initialize(struct mkfs *m, int image, uint64_t size)
{
	struct ext2_super_block super;
	uint8_t random[32];
	char path[32];

	io_manager *unix_io = libraries_data(LIBRARY_ext2fs, "unix_io_manager");
	if (!unix_io)
		return error_set(m->err, ERROR_INTERNAL, ENOSYS, "libext2fs has no unix_io_manager");
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_set(m->err, ERROR_INTERNAL, errno, "getrandom");
	if (text_format(path, sizeof(path), "/proc/self/fd/%d", image) < 0)
		return error_set(m->err, ERROR_INTERNAL, EINVAL, "image path");
	memset(&super, 0, sizeof(super));
	describe(m, size, &super);
	int result =
		check(m, m->lib.ext2fs_initialize(path, EXT2_FLAG_64BITS, &super, *unix_io, &m->fs), "lay out the file system");
	if (result < 0)
		return result;
	struct ext2_super_block *made = m->fs->super;
	made->s_checksum_type = made->s_feature_ro_compat & EXT4_FEATURE_RO_COMPAT_METADATA_CSUM ? EXT2_CRC32C_CHKSUM : 0;
	made->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	made->s_min_extra_isize = made->s_want_extra_isize = sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
	made->s_errors = EXT2_ERRORS_RO;
	made->s_def_hash_version = EXT2_HASH_HALF_MD4;
	made->s_flags |= EXT2_FLAGS_SIGNED_HASH;
	memcpy(made->s_uuid, random, 16);
	made->s_uuid[6] = (uint8_t)((made->s_uuid[6] & 0x0f) | 0x40); /* RFC 4122: version 4 */
	made->s_uuid[8] = (uint8_t)((made->s_uuid[8] & 0x3f) | 0x80);
	memcpy(made->s_hash_seed, random + 16, 16);
	m->lib.ext2fs_init_csum_seed(m->fs);
	return 0;
}

/* All bitmaps and then all inode tables, one behind the other from the front of the disk: few extents, few integrity tags. */
static int place_metadata(struct mkfs *m)
{
	blk64_t block, goal = 0;
	ext2_filsys fs = m->fs;
	int result;

	for (int inode_map = 0; inode_map <= 1; inode_map++) {
		for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
			result = check(m, m->lib.ext2fs_new_block2(fs, goal, NULL, &block), "place a bitmap");
			if (result < 0)
				return result;
			m->lib.ext2fs_block_alloc_stats2(fs, block, +1);
			if (inode_map)
				m->lib.ext2fs_inode_bitmap_loc_set(fs, group, block);
			else
				m->lib.ext2fs_block_bitmap_loc_set(fs, group, block);
			goal = block + 1;
		}
	}
	for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
		result = check(m,
			       m->lib.ext2fs_get_free_blocks2(fs, goal, 0, (int)fs->inode_blocks_per_group, fs->block_map, &block),
			       "place an inode table");
		if (result < 0)
			return result;
		m->lib.ext2fs_block_alloc_stats_range(fs, block, fs->inode_blocks_per_group, +1);
		m->lib.ext2fs_inode_table_loc_set(fs, group, block);
		goal = block + fs->inode_blocks_per_group;
	}
	return 0;
}

static int write_zeros(struct mkfs *m, int image, blk64_t block)
{
	static const char zeros[MKFS_BLOCK];

	if (pwrite(image, zeros, sizeof(zeros), (off_t)(block * MKFS_BLOCK)) != sizeof(zeros))
		return error_set(m->err, ERROR_FORMAT, errno, "image in memory");
	return 0;
}

/* Inodes that are reserved and not used count as taken: whoever checks the file system reads them. */
static int clear_inodes(struct mkfs *m, int image)
{
	int result = 0;

	for (dgrp_t group = 0; group < (m->tables ? m->fs->group_desc_count : 1) && result == 0; group++) {
		blk64_t table = m->lib.ext2fs_inode_table_loc(m->fs, group);
		blk_t blocks = m->tables ? m->fs->inode_blocks_per_group : EXT2_FIRST_INODE(m->fs->super) - 1;

		for (blk_t i = 0; i < blocks && result == 0; i++)
			result = write_zeros(m, image, table + i);
	}
	return result;
}

static int make_root(struct mkfs *m)
{
	int result = check(m, m->lib.ext2fs_mkdir(m->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL), "make the root directory");

	if (result < 0)
		return result;
	m->lib.ext2fs_inode_alloc_stats2(m->fs, EXT2_BAD_INO, +1, 0);
	for (ext2_ino_t inode = EXT2_ROOT_INO + 1; inode < EXT2_FIRST_INODE(m->fs->super); inode++)
		m->lib.ext2fs_inode_alloc_stats2(m->fs, inode, +1, 0);
	result = check(m, m->lib.ext2fs_update_bb_inode(m->fs, NULL), "make the bad block inode");
	if (result < 0)
		return result;
	m->fs->umask = 077;
	return check(m, m->lib.ext2fs_mkdir(m->fs, EXT2_ROOT_INO, 0, "lost+found"), "make lost+found");
}

/*
 * libext2fs would leave the journal's blocks out, or zero them as holes.  jbd2 replays by reading on until a block is no part of
 * the log: it must be able to read every one.
 */
static int add_journal(struct mkfs *m, int image, uint64_t size)
{
	blk_t blocks = size < JOURNAL_LARGE_FROM ? JOURNAL_SMALL : JOURNAL_LARGE;
	int result = check(
		m,
		m->lib.ext2fs_add_journal_inode2(m->fs, blocks, ~(blk64_t)0, EXT2_MKJOURNAL_LAZYINIT | EXT2_MKJOURNAL_NO_MNT_CHECK),
		"make the journal");

	/* The first block is the journal's own superblock. */
	for (blk64_t i = 1; i < blocks && result == 0; i++) {
		blk64_t block = 0;

		result = check(m, m->lib.ext2fs_bmap2(m->fs, EXT2_JOURNAL_INO, NULL, NULL, 0, i, NULL, &block), "find the journal");
		if (result == 0)
			result = write_zeros(m, image, block);
	}
	return result;
}

int mkfs_ext4(uint64_t size, enum mkfs_use use, int *image, struct error *err)
{
	struct mkfs m = { .use = use, .tables = use == MKFS_LAYER && size <= LAYER_WRITTEN_MOST, .err = err };
	int result;

	*image = -1;
	if (size < MKFS_SMALLEST || size % MKFS_BLOCK != 0 || size / MKFS_BLOCK > (uint64_t)1 << 44)
		return error_set(err, ERROR_FORMAT, EINVAL, "a file system of %llu bytes", (unsigned long long)size);
	result = libraries_open(&m.lib, LIBRARY_ext2fs, err);
	if (result < 0)
		return result;
	fd_auto file = memfd_create("ext4", MFD_CLOEXEC);
	if (file < 0 || ftruncate(file, (off_t)size) < 0)
		return error_set(err, ERROR_FORMAT, errno, "image in memory");
	result = initialize(&m, file, size);
	if (result == 0)
		result = place_metadata(&m);
	if (result == 0)
		result = clear_inodes(&m, file);
	if (result == 0)
		result = make_root(&m);
	if (result == 0 && use != MKFS_SCRATCH)
		result = add_journal(&m, file, size);
	/* Descriptors that were placed by hand have the checksums of before. */
	if (result == 0)
		result = check(&m, m.lib.ext2fs_set_gdt_csum(m.fs), "sum up the group descriptors");
	if (result == 0)
		result = check(&m, m.lib.ext2fs_close_free(&m.fs), "write the file system");
	else if (m.fs)
		m.lib.ext2fs_free(m.fs);
	if (result < 0)
		return result;
	*image = take_fd(&file);
	return 0;
}
