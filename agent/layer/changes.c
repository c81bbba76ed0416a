/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/changes.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layer/walk.h"
#include "layer/whiteout.h"
#include "layer/xattrs.h"

struct changes {
	struct walk *walk;
	changes_found *found;
	void *context;
	struct xattrs xattrs[WALK_TREES];
	char links[WALK_TREES][PATH_MAX];
	char *path; /* of a directory above the entry */
	size_t path_size;
	bool listed[WALK_DEPTH_MAX + 2]; /* of the entry's path: whether the directory at this depth has been listed */
};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && (a->tv_nsec == b->tv_nsec || a->tv_nsec == 0 || b->tv_nsec == 0);
}

static bool same_status(const struct stat *a, const struct stat *b)
{
	if (a->st_mode != b->st_mode || a->st_uid != b->st_uid || a->st_gid != b->st_gid || a->st_rdev != b->st_rdev)
		return false;
	return S_ISDIR(a->st_mode) || (a->st_size == b->st_size && same_time(&a->st_mtim, &b->st_mtim));
}

/* Both are links of the same size.  Returns 1, 0 or an error. */
static int same_link(struct changes *changes, const struct walk_entry *entry, struct error *err)
{
	ssize_t length[WALK_TREES];

	for (int t = 0; t < WALK_TREES; t++) {
		length[t] = readlinkat(entry->directory[t], entry->name, changes->links[t], sizeof(changes->links[t]));
		if (length[t] < 0)
			return error_set(err, ERROR_INTERNAL, errno, "read the link %s", entry->path);
	}
	return length[0] == length[1] && memcmp(changes->links[0], changes->links[1], (size_t)length[0]) == 0;
}

/* Whether what both trees have is the same.  Returns 1, 0 or an error; reads the extended attributes of directories in any case. */
static int is_same(struct changes *changes, const struct walk_entry *entry, struct error *err)
{
	const struct stat *tree = &entry->status[WALK_TREE], *lower = &entry->status[WALK_LOWER];
	bool same = same_status(tree, lower);

	if (!same && !S_ISDIR(tree->st_mode))
		return 0;
	for (int t = 0; t < WALK_TREES; t++) {
		int result = xattrs_read(&changes->xattrs[t], entry->directory[t], entry->name, err);

		if (result < 0)
			return error_wrap(err, "%s", entry->path);
	}
	if (!same || !xattrs_equal(&changes->xattrs[WALK_TREE], &changes->xattrs[WALK_LOWER]))
		return 0;
	return S_ISLNK(tree->st_mode) ? same_link(changes, entry, err) : 1;
}

/* The directories above the entry that have not been listed yet. */
static int list_above(struct changes *changes, const struct walk_entry *entry, struct error *err)
{
	const char *slash = entry->path;
	size_t size = strlen(entry->path) + 1;

	if (size > changes->path_size) {
		char *path = realloc(changes->path, size * 2);

		if (!path)
			return error_set(err, ERROR_INTERNAL, ENOMEM, "changes of a layer");
		changes->path = path;
		changes->path_size = size * 2;
	}
	for (unsigned depth = 0; depth < entry->depth; depth++) {
		slash = strchr(slash + 1, '/');
		if (changes->listed[depth])
			continue;
		memcpy(changes->path, entry->path, (size_t)(slash - entry->path));
		changes->path[slash - entry->path] = '\0';
		int result = changes->found(changes->context, CHANGE_MODIFIED, changes->path, err);
		if (result < 0)
			return result;
		changes->listed[depth] = true;
	}
	return 0;
}

static int list(struct changes *changes, const struct walk_entry *entry, enum change_kind kind, struct error *err)
{
	int result = list_above(changes, entry, err);

	changes->listed[entry->depth] = true;
	if (result == 0)
		result = changes->found(changes->context, kind, entry->path, err);
	return result < 0 ? result : 0;
}

static int look(struct changes *changes, const struct walk_entry *entry, struct error *err)
{
	const struct stat *tree = &entry->status[WALK_TREE], *lower = &entry->status[WALK_LOWER];
	/* One layer alone may have whiteouts, of nothing. */
	bool below = entry->there[WALK_LOWER] && !whiteout_is(lower);
	bool here = entry->there[WALK_TREE] && !whiteout_is(tree);

	changes->listed[entry->depth] = false;
	if (!here)
		return below ? list(changes, entry, CHANGE_DELETED, err) : 0;
	if (!below)
		return list(changes, entry, CHANGE_ADDED, err);
	int result = is_same(changes, entry, err);
	if (result < 0)
		return result;
	if (S_ISDIR(tree->st_mode) && S_ISDIR(lower->st_mode) && changes->xattrs[WALK_TREE].opaque)
		walk_show_lower(changes->walk);
	return result ? 0 : list(changes, entry, CHANGE_MODIFIED, err);
}

static int list_all(struct changes *changes, int tree, struct error *err)
{
	const struct walk_entry *entry;
	int result = xattrs_read(&changes->xattrs[WALK_TREE], tree, ".", err);

	if (result == 0 && changes->xattrs[WALK_TREE].opaque)
		walk_show_lower(changes->walk);
	while (result == 0 && (result = walk_next(changes->walk, &entry, err)) > 0)
		result = look(changes, entry, err);
	return result;
}

int changes_list(int tree, int lower, changes_found *found, void *context, struct error *err)
{
	struct changes *changes = calloc(1, sizeof(*changes));
	int result;

	if (!changes)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "changes of a layer");
	changes->found = found;
	changes->context = context;
	result = walk_begin(&changes->walk, tree, lower, err);
	if (result == 0)
		result = list_all(changes, tree, err);
	walk_end(changes->walk);
	for (int t = 0; t < WALK_TREES; t++)
		xattrs_free(&changes->xattrs[t]);
	free(changes->path);
	free(changes);
	return result < 0 ? error_step(err, "list the layer's changes") : 0;
}
