/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/filesystem.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "qemu/argv.h"
#include "qemu/fail.h"
#include "qemu/process.h"
#include "qemu/spawn.h"

/* Fixed, so that the same content makes the same bytes. */
#define FILESYSTEM_UUID "c0ffe7c0-ffe7-4c0f-8fe7-000000000001"

#define EXT4_BLOCK       4096u
#define EXT4_FIRST_INODE 12u /* the first after lost+found */
#define EXT4_ATTEMPTS    4

static int begin(struct argv *argv, const char *program, const char *package, struct error *err)
{
	char path[PATH_MAX];
	int result = process_find(program, NULL, package, path, sizeof(path), err);

	if (result == 0)
		argv_add(argv, path);
	return result;
}

static int finish(const struct filesystem *fs, struct argv *argv, const char *const *env, struct error *err)
{
	int result = spawn_run(argv, env, fs->progress, fs->interrupt, err);

	argv_free(argv);
	return result;
}

static int make_erofs(const struct filesystem *fs, const char *folder, const char *out, struct error *err)
{
	struct argv argv = { 0 };
	int result = begin(&argv, "mkfs.erofs", "erofs-utils", err);

	if (result < 0)
		return result;
	argv_add(&argv, "--quiet");
	if (!fs->is_brief)
		argv_add(&argv, "-zlz4hc");
	/* The image's own time is fixed; the files keep theirs, which compiled Python files are checked against. */
	argv_add(&argv, "-T0");
	argv_add(&argv, "--preserve-mtime");
	argv_add(&argv, "-U" FILESYSTEM_UUID);
	if (geteuid() != 0)
		argv_add(&argv, "--all-root");
	argv_add(&argv, out);
	argv_add(&argv, folder);
	return finish(fs, &argv, NULL, err);
}

static int make_squashfs(const struct filesystem *fs, const char *folder, const char *out, struct error *err)
{
	struct argv argv = { 0 };
	int result = begin(&argv, "mksquashfs", "squashfs-tools", err);

	if (result < 0)
		return result;
	argv_add(&argv, folder);
	argv_add(&argv, out);
	argv_add(&argv, "-noappend");
	argv_add(&argv, "-no-progress");
	argv_add(&argv, "-quiet");
	argv_add(&argv, "-mkfs-time");
	argv_add(&argv, "0");
	argv_add(&argv, "-reproducible");
	if (geteuid() != 0)
		argv_add(&argv, "-all-root");
	return finish(fs, &argv, NULL, err);
}

static FTS *walk(const char *folder, struct error *err)
{
	char *roots[] = { (char *)folder, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

	if (!tree)
		error_set(err, ERROR_HOST, errno, "%s", folder);
	return tree;
}

/* Inodes of the folder's content, and the blocks that their bytes take. */
static int count(const char *folder, uint64_t *inodes, uint64_t *blocks, struct error *err)
{
	FTS *tree = walk(folder, err);

	*inodes = *blocks = 0;
	if (!tree)
		return -err->errnum;
	for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
		if (entry->fts_info == FTS_DP)
			continue;
		++*inodes;
		if (entry->fts_info == FTS_D || entry->fts_info == FTS_F)
			*blocks += 1 + (uint64_t)entry->fts_statp->st_size / EXT4_BLOCK;
	}
	fts_close(tree);
	return 0;
}

/* The first is read by older releases, the second by newer ones. */
static const char *const fixed_time[] = { "E2FSPROGS_FAKE_TIME", "1", "SOURCE_DATE_EPOCH", "1", NULL };

static int make_ext4_once(const struct filesystem *fs, const char *folder, const char *out, uint64_t inodes, uint64_t blocks,
			  struct error *err)
{
	struct argv argv = { 0 };
	int result = begin(&argv, "mke2fs", "e2fsprogs", err);

	if (result < 0)
		return result;
	argv_add(&argv, "-q");
	argv_add(&argv, "-F");
	argv_add(&argv, "-text4");
	/* Only ever mounted read-only: a journal would be dead weight, and so is room to grow. */
	argv_add(&argv, "-O^has_journal,^resize_inode");
	argv_printf(&argv, "-b%u", EXT4_BLOCK);
	argv_add(&argv, "-m0");
	argv_printf(&argv, "-N%" PRIu64, inodes);
	argv_add(&argv, "-U" FILESYSTEM_UUID);
	argv_add(&argv, "-Ehash_seed=" FILESYSTEM_UUID ",root_owner=0:0,nodiscard");
	argv_add(&argv, "-d");
	argv_add(&argv, folder);
	argv_add(&argv, out);
	argv_printf(&argv, "%" PRIu64, blocks);
	return finish(fs, &argv, fixed_time, err);
}

/*
 * mke2fs copies the times of the last access and change from the folder, which are never the same twice; debugfs sets them to the
 * fixed time.  Its commands come from a memory file.
 */
static int fix_ext4_times(const struct filesystem *fs, const char *out, uint64_t files, struct error *err)
{
	struct argv argv = { 0 };
	fd_auto script = memfd_create("times", MFD_CLOEXEC);
	int result = begin(&argv, "debugfs", "e2fsprogs", err);

	if (result < 0)
		return result;
	for (uint64_t inode = EXT4_FIRST_INODE; inode < EXT4_FIRST_INODE + files && script >= 0; inode++) {
		if (dprintf(script, "sif <%" PRIu64 "> atime @1\nsif <%" PRIu64 "> ctime @1\n", inode, inode) < 0)
			close_fd(&script);
	}
	if (script < 0) {
		argv_free(&argv);
		return error_set(err, ERROR_HOST, errno, "the commands for debugfs");
	}
	argv_add(&argv, "-w");
	argv_add(&argv, "-f");
	argv_printf(&argv, "/proc/%d/fd/%d", (int)getpid(), script);
	argv_add(&argv, out);
	return finish(fs, &argv, fixed_time, err);
}

static int make_ext4(const struct filesystem *fs, const char *folder, const char *out, struct error *err)
{
	uint64_t files, blocks;
	int result = count(folder, &files, &blocks, err);

	if (result < 0)
		return result;
	uint64_t inodes = files + 32;
	blocks += blocks / 16 + inodes / 16 + 512;
	/* The estimate knows nothing of long extended attributes and much fragmented directories. */
	for (int attempt = 0; attempt < EXT4_ATTEMPTS; attempt++) {
		result = make_ext4_once(fs, folder, out, inodes, blocks, err);
		if (result == 0)
			return fix_ext4_times(fs, out, files, err);
		if (result == -EINTR || result == -ENOENT)
			return result;
		blocks += blocks / 2;
		if (truncate(out, 0) < 0)
			return error_set(err, ERROR_HOST, errno, "%s", out);
	}
	return result;
}

static const struct {
	const char *type;
	int (*make)(const struct filesystem *fs, const char *folder, const char *out, struct error *err);
} makers[] = { { "erofs", make_erofs }, { "squashfs", make_squashfs }, { "ext4", make_ext4 } };

int filesystem_check(const char *type, struct error *err)
{
	for (size_t i = 0; i < array_count(makers); i++) {
		if (strcmp(makers[i].type, type) == 0)
			return 0;
	}
	return fail_set(err, EINVAL, "--fs %s: there are erofs, squashfs and ext4", type);
}

int filesystem_make(const struct filesystem *fs, const char *folder, const char *out, struct error *err)
{
	for (size_t i = 0; i < array_count(makers); i++) {
		if (strcmp(makers[i].type, fs->type) == 0)
			return makers[i].make(fs, folder, out, err);
	}
	return filesystem_check(fs->type, err);
}

int filesystem_unpack(const struct filesystem *fs, const char *tar, const char *folder, struct error *err)
{
	struct argv argv = { 0 };
	int result = begin(&argv, "tar", "tar", err);

	if (result < 0)
		return result;
	argv_add(&argv, "--extract");
	argv_add(&argv, "--preserve-permissions");
	argv_add(&argv, "--numeric-owner");
	if (geteuid() == 0) {
		argv_add(&argv, "--same-owner");
		argv_add(&argv, "--xattrs");
		argv_add(&argv, "--xattrs-include=*");
	} else {
		argv_add(&argv, "--no-same-owner");
	}
	argv_add(&argv, "--file");
	argv_add(&argv, tar);
	argv_add(&argv, "--directory");
	argv_add(&argv, folder);
	return finish(fs, &argv, NULL, err);
}

int filesystem_copy(const struct filesystem *fs, const char *from, const char *to, struct error *err)
{
	struct argv argv = { 0 };
	int result = begin(&argv, "cp", "coreutils", err);

	if (result < 0)
		return result;
	argv_add(&argv, "--archive");
	argv_add(&argv, "--reflink=auto");
	argv_add(&argv, "--no-target-directory");
	argv_add(&argv, "--");
	argv_add(&argv, from);
	argv_add(&argv, to);
	return finish(fs, &argv, NULL, err);
}

int filesystem_remove_tree(const char *folder, struct error *err)
{
	FTS *tree = walk(folder, err);
	int result = 0;

	if (!tree)
		return err->errnum == ENOENT ? 0 : -err->errnum;
	for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
		int failed = 0;

		if (entry->fts_info == FTS_D && geteuid() != 0)
			failed = chmod(entry->fts_path, 0700);
		else if (entry->fts_info == FTS_DP)
			failed = rmdir(entry->fts_path);
		else if (entry->fts_info != FTS_D)
			failed = unlink(entry->fts_path);
		if (failed && errno != ENOENT && result == 0)
			result = error_set(err, ERROR_HOST, errno, "remove %s", entry->fts_path);
	}
	fts_close(tree);
	return result;
}
