/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A directory of the current path. */
struct level {
	size_t names_used; /* of the walk's names, before this one's */
	size_t first;      /* of the walk's index: this one's names, */
	size_t count;      /* so many, */
	size_t next;       /* of which so many have been given */
	size_t path_used;
	bool show_lower;
	bool entered[WALK_TREES];
	dev_t device[WALK_TREES];
	ino_t inode[WALK_TREES];
};

struct walk {
	/* The directory that the walk is in; for a tree that has none of this path, the last that it had. */
	int at[WALK_TREES];
	struct level *levels;
	size_t depth, levels_size; /* `depth` of them are in use, the tree's own one being one */
	char *names;               /* of all directories of the path, one directory's behind the other's */
	size_t names_used, names_size;
	uint32_t *index; /* where in `names` each begins: sorted within a directory */
	size_t index_used, index_size;
	char *path;
	size_t path_size;
	struct walk_entry entry;
	bool enter, show_lower; /* what is to become of `entry` */
};

/* Room for `wanted` elements of `size` bytes in *array, doubling. */
static int grow(void *array, size_t *have, size_t wanted, size_t size, struct error *err)
{
	void *old, *larger;
	size_t count = *have ? *have : 256;

	if (wanted <= *have)
		return 0;
	while (count < wanted)
		count *= 2;
	memcpy(&old, array, sizeof(old));
	larger = realloc(old, count * size);
	if (!larger)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "walk a tree");
	memcpy(array, &larger, sizeof(larger));
	*have = count;
	return 0;
}

static int add_name(struct walk *walk, const char *name, struct error *err)
{
	size_t length = strlen(name) + 1;

	if (length > WALK_NAMES_MAX - walk->names_used)
		return error_set(err, ERROR_LAYER, E2BIG, "%s: more than %u MiB of names", walk->path[0] ? walk->path : "/",
				 WALK_NAMES_MAX >> 20);
	if (grow(&walk->names, &walk->names_size, walk->names_used + length, 1, err) < 0 ||
	    grow(&walk->index, &walk->index_size, walk->index_used + 1, sizeof(*walk->index), err) < 0)
		return -ENOMEM;
	memcpy(walk->names + walk->names_used, name, length);
	walk->index[walk->index_used++] = (uint32_t)walk->names_used;
	walk->names_used += length;
	return 0;
}

static int read_names(struct walk *walk, int directory, struct error *err)
{
	fd_auto copy = openat(directory, ".", OPEN_DIRECTORY);
	auto_dir stream = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	int result = 0;

	if (!stream)
		return error_set(err, ERROR_INTERNAL, errno, "open the directory %s", walk->path);
	copy = -1; /* closedir closes it */
	while (result == 0 && (errno = 0, entry = readdir(stream))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = add_name(walk, entry->d_name, err);
	}
	if (result == 0 && errno != 0)
		return error_set(err, ERROR_INTERNAL, errno, "read the directory %s", walk->path);
	return result;
}

static int by_name(const void *a, const void *b, void *names)
{
	return strcmp((const char *)names + *(const uint32_t *)a, (const char *)names + *(const uint32_t *)b);
}

/* The names of the directory that has just been entered. */
static int list(struct walk *walk, struct level *level, struct error *err)
{
	uint32_t *index;
	size_t count, kept = 0;

	for (int t = 0; t < WALK_TREES; t++) {
		if (level->entered[t] && (t == WALK_TREE || level->show_lower)) {
			int result = read_names(walk, walk->at[t], err);

			if (result < 0)
				return result;
		}
	}
	count = walk->index_used - level->first;
	if (count == 0)
		return 0; /* there may be no index at all yet */
	index = walk->index + level->first;
	qsort_r(index, count, sizeof(*index), by_name, walk->names);
	/* Each name that both have comes once. */
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || strcmp(walk->names + index[kept - 1], walk->names + index[i]) != 0)
			index[kept++] = index[i];
	}
	walk->index_used = level->first + kept;
	level->count = kept;
	return 0;
}

/* The directory `name` of where the walk is (or ".."), which has to be the one that has been seen before. */
static int move(struct walk *walk, int tree, const char *name, dev_t device, ino_t inode, struct error *err)
{
	fd_auto fd = openat(walk->at[tree], name, OPEN_DIRECTORY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the directory %s", walk->path);
	if (status.st_dev != device || status.st_ino != inode)
		return error_set(err, ERROR_INTERNAL, ESTALE, "open the directory %s", walk->path);
	close_fd(&walk->at[tree]);
	walk->at[tree] = take_fd(&fd);
	return 0;
}

static int push(struct walk *walk, struct level **level, struct error *err)
{
	if (walk->depth > WALK_DEPTH_MAX)
		return error_set(err, ERROR_LAYER, ELOOP, "more than %u directories within one another", WALK_DEPTH_MAX);
	if (grow(&walk->levels, &walk->levels_size, walk->depth + 1, sizeof(*walk->levels), err) < 0)
		return -ENOMEM;
	*level = &walk->levels[walk->depth++];
	**level = (struct level){
		.names_used = walk->names_used,
		.first = walk->index_used,
		.path_used = strlen(walk->path),
		.show_lower = walk->show_lower,
	};
	return 0;
}

static int enter(struct walk *walk, struct error *err)
{
	const struct walk_entry *entry = &walk->entry;
	struct level *level;
	int result = push(walk, &level, err);

	walk->enter = false;
	for (int t = 0; t < WALK_TREES && result == 0; t++) {
		const struct level *above = level - 1;

		level->entered[t] = t == WALK_TREE || (entry->there[t] && S_ISDIR(entry->status[t].st_mode) &&
						       entry->status[t].st_dev == above->device[t]);
		if (!level->entered[t])
			continue;
		level->device[t] = entry->status[t].st_dev;
		level->inode[t] = entry->status[t].st_ino;
		result = move(walk, t, entry->name, level->device[t], level->inode[t], err);
	}
	return result < 0 ? result : list(walk, level, err);
}

static int leave(struct walk *walk, struct error *err)
{
	const struct level *level = &walk->levels[--walk->depth], *above = level - 1;

	for (int t = 0; t < WALK_TREES; t++) {
		int result = level->entered[t] ? move(walk, t, "..", above->device[t], above->inode[t], err) : 0;

		if (result < 0)
			return result;
	}
	walk->names_used = level->names_used;
	walk->index_used = level->first;
	return 0;
}

/* The next name of the directory that the walk is in. */
static int look(struct walk *walk, struct level *level, struct error *err)
{
	const char *name = walk->names + walk->index[level->first + level->next++];
	struct walk_entry *entry = &walk->entry;
	size_t length = strlen(name);

	if (grow(&walk->path, &walk->path_size, level->path_used + length + 2, 1, err) < 0)
		return -ENOMEM;
	walk->path[level->path_used] = '/';
	memcpy(walk->path + level->path_used + 1, name, length + 1);
	*entry = (struct walk_entry){
		.path = walk->path,
		.name = walk->path + level->path_used + 1,
		.depth = (unsigned)walk->depth - 1,
	};
	for (int t = 0; t < WALK_TREES; t++) {
		entry->directory[t] = level->entered[t] ? walk->at[t] : -1;
		if (!level->entered[t])
			continue;
		entry->there[t] = fstatat(walk->at[t], name, &entry->status[t], AT_SYMLINK_NOFOLLOW) == 0;
		if (!entry->there[t] && errno != ENOENT)
			return error_set(err, ERROR_INTERNAL, errno, "look at %s", walk->path);
	}
	if (!entry->there[WALK_TREE] && !(level->show_lower && entry->there[WALK_LOWER]))
		return error_set(err, ERROR_INTERNAL, ESTALE, "look at %s", walk->path);
	walk->show_lower = level->show_lower;
	walk->enter = entry->there[WALK_TREE] && S_ISDIR(entry->status[WALK_TREE].st_mode) &&
		      entry->status[WALK_TREE].st_dev == level->device[WALK_TREE];
	return 1;
}

static int open_trees(struct walk *walk, const int *trees, struct error *err)
{
	struct level *level;
	int result = grow(&walk->path, &walk->path_size, 1, 1, err);

	if (result < 0)
		return result;
	walk->path[0] = '\0';
	result = push(walk, &level, err);
	for (int t = 0; t < WALK_TREES && result == 0; t++) {
		struct stat status;

		if (t == WALK_LOWER && trees[t] < 0)
			continue;
		walk->at[t] = openat(trees[t], ".", OPEN_DIRECTORY);
		if (walk->at[t] < 0 || fstat(walk->at[t], &status) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "open a layer's tree");
		level->entered[t] = true;
		level->device[t] = status.st_dev;
		level->inode[t] = status.st_ino;
	}
	return result;
}

int walk_begin(struct walk **walk, int tree, int lower, struct error *err)
{
	struct walk *made = calloc(1, sizeof(*made));

	*walk = NULL;
	if (!made)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "walk a tree");
	for (int t = 0; t < WALK_TREES; t++)
		made->at[t] = -1;
	int result = open_trees(made, (const int[WALK_TREES]){ tree, lower }, err);
	if (result < 0) {
		walk_end(made);
		return result;
	}
	/* Its names are read when they are asked for: by then it is known whether the lower one's are wanted. */
	*walk = made;
	return 0;
}

int walk_next(struct walk *walk, const struct walk_entry **entry, struct error *err)
{
	int result = 0;

	*entry = NULL;
	if (walk->enter)
		result = enter(walk, err);
	else if (!walk->entry.path) { /* the first */
		walk->levels[0].show_lower = walk->show_lower;
		walk->entry.path = walk->path;
		result = list(walk, &walk->levels[0], err);
	}
	while (result == 0) {
		struct level *level = &walk->levels[walk->depth - 1];

		if (level->next < level->count) {
			result = look(walk, level, err);
			*entry = &walk->entry;
		} else if (walk->depth == 1) {
			return 0;
		} else {
			result = leave(walk, err);
		}
	}
	return result;
}

void walk_show_lower(struct walk *walk)
{
	walk->show_lower = true;
}

void walk_end(struct walk *walk)
{
	if (!walk)
		return;
	for (int t = 0; t < WALK_TREES; t++)
		cleanup_fd(&walk->at[t]);
	free(walk->levels);
	free(walk->names);
	free(walk->index);
	free(walk->path);
	free(walk);
}

int walk_open(int directory, const char *name, const char *path, const struct stat *status, struct error *err)
{
	/* Should it be a fifo by now, this does not wait. */
	fd_auto fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat now;

	if (fd < 0 || fstat(fd, &now) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open %s", path);
	if (now.st_ino != status->st_ino || now.st_dev != status->st_dev)
		return error_set(err, ERROR_INTERNAL, ESTALE, "open %s", path);
	return take_fd(&fd);
}
