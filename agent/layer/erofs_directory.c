/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/erofs_directory.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "storage/erofs_format.h"

static uint8_t type_of(mode_t mode)
{
	static const struct {
		mode_t mode;
		uint8_t type;
	} types[] = {
		{ S_IFREG, EROFS_TYPE_FILE },  { S_IFDIR, EROFS_TYPE_DIRECTORY }, { S_IFCHR, EROFS_TYPE_CHARACTER },
		{ S_IFBLK, EROFS_TYPE_BLOCK }, { S_IFIFO, EROFS_TYPE_FIFO },      { S_IFSOCK, EROFS_TYPE_SOCKET },
		{ S_IFLNK, EROFS_TYPE_LINK },
	};

	for (size_t i = 0; i < array_count(types); i++) {
		if ((mode & S_IFMT) == types[i].mode)
			return types[i].type;
	}
	return 0;
}

/* The block as it is on the disk.  Returns its bytes. */
static unsigned give(struct erofs_directory *directory, uint8_t out[EROFS_DIRECTORY_BLOCK])
{
	unsigned at = directory->count * (unsigned)sizeof(struct erofs_dirent), behind = EROFS_DIRECTORY_BLOCK;

	memset(out, 0, EROFS_DIRECTORY_BLOCK);
	for (unsigned i = 0; i < directory->count; i++) {
		struct erofs_dirent entry;

		memcpy(&entry, directory->block + i * sizeof(entry), sizeof(entry));
		unsigned name = entry.name, length = behind - name;

		memcpy(out + at, directory->block + name, length);
		entry.name = htole16((uint16_t)at);
		memcpy(out + i * sizeof(entry), &entry, sizeof(entry));
		at += length;
		behind = name;
	}
	directory->count = directory->names = 0;
	return at;
}

static bool put(struct erofs_directory *directory, const char *name, uint64_t inode, mode_t mode, uint8_t *full)
{
	struct erofs_dirent entry = { .inode = htole64(inode), .type = type_of(mode) };
	unsigned length = (unsigned)strlen(name);
	bool given = false;

	if ((directory->count + 1) * sizeof(entry) + directory->names + length > EROFS_DIRECTORY_BLOCK) {
		(void)give(directory, full);
		directory->done += EROFS_DIRECTORY_BLOCK;
		given = true;
	}
	directory->names += length;
	entry.name = (uint16_t)(EROFS_DIRECTORY_BLOCK - directory->names);
	memcpy(directory->block + entry.name, name, length);
	memcpy(directory->block + directory->count++ * sizeof(entry), &entry, sizeof(entry));
	return given;
}

/* "." and "..", as far as they come before `name`; NULL: whatever is left. */
static bool put_dots(struct erofs_directory *directory, const char *name, uint8_t *full)
{
	static const char *const dots[] = { ".", ".." };
	bool given = false;

	while (directory->dots < array_count(dots) && (!name || strcmp(dots[directory->dots], name) < 0)) {
		uint64_t inode = directory->dots == 0 ? directory->self : directory->parent;

		given |= put(directory, dots[directory->dots], inode, S_IFDIR, full);
		directory->dots++;
	}
	return given;
}

void erofs_directory_begin(struct erofs_directory *directory, uint64_t self, uint64_t parent)
{
	directory->self = self;
	directory->parent = parent;
	directory->done = 0;
	directory->dots = directory->count = directory->names = 0;
}

bool erofs_directory_add(struct erofs_directory *directory, const char *name, uint64_t inode, mode_t mode,
			 uint8_t full[EROFS_DIRECTORY_BLOCK])
{
	/* A block holds many of the longest names, so that of these three at most one fills it. */
	bool given = put_dots(directory, name, full);

	return put(directory, name, inode, mode, full) || given;
}

bool erofs_directory_close(struct erofs_directory *directory, uint8_t full[EROFS_DIRECTORY_BLOCK])
{
	return put_dots(directory, NULL, full);
}

unsigned erofs_directory_last(struct erofs_directory *directory, uint8_t last[EROFS_DIRECTORY_BLOCK])
{
	return give(directory, last);
}
