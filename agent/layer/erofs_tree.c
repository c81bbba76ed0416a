/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/erofs_tree.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/erofs_directory.h"
#include "layer/walk.h"

/* A directory of the current path. */
struct level {
	uint32_t node;
	struct erofs_directory directory;
};

struct tour {
	const struct erofs_nodes *nodes;
	const struct erofs_visitor *visitor;
	struct link_table *links;
	struct xattrs xattrs;
	dev_t device;
	uint32_t next;         /* the number of the next file */
	struct level **levels; /* kept for the next directory that lies as deep */
	unsigned depth, made;  /* `depth` of them are in use */
	uint8_t block[EROFS_DIRECTORY_BLOCK];
};

static uint64_t inode_of(const struct tour *tour, uint32_t node)
{
	return node < tour->nodes->count ? tour->nodes->items[node].slot : 0;
}

static int open_level(struct tour *tour, uint32_t node, struct error *err)
{
	if (tour->depth == tour->made) {
		struct level **levels = realloc(tour->levels, (tour->made + 1) * sizeof(struct level *));

		if (!levels)
			return error_set(err, ERROR_INTERNAL, ENOMEM, "a directory");
		tour->levels = levels;
		levels[tour->made] = malloc(sizeof(**levels));
		if (!levels[tour->made])
			return error_set(err, ERROR_INTERNAL, ENOMEM, "a directory");
		tour->made++;
	}
	uint32_t parent = tour->depth == 0 ? node : tour->levels[tour->depth - 1]->node;
	struct level *level = tour->levels[tour->depth++];
	level->node = node;
	erofs_directory_begin(&level->directory, inode_of(tour, node), inode_of(tour, parent));
	return 0;
}

/* The block that has just become full. */
static int give_full(struct tour *tour, const struct level *level, struct error *err)
{
	return tour->visitor->block(tour->visitor->context, level->node, level->directory.done - EROFS_DIRECTORY_BLOCK, tour->block,
				    EROFS_DIRECTORY_BLOCK, err);
}

static int close_levels(struct tour *tour, unsigned depth, struct error *err)
{
	int result = 0;

	while (tour->depth > depth && result == 0) {
		struct level *level = tour->levels[--tour->depth];

		if (erofs_directory_close(&level->directory, tour->block))
			result = give_full(tour, level, err);
		if (result == 0) {
			unsigned size = erofs_directory_last(&level->directory, tour->block);

			result = tour->visitor->block(tour->visitor->context, level->node, level->directory.done, tour->block, size,
						      err);
		}
	}
	return result;
}

/* *node: the file's number; *again: it has had one before. */
static int number(struct tour *tour, const struct stat *status, uint32_t *node, bool *again, struct error *err)
{
	const char *first = NULL;
	char text[16];

	*node = tour->next;
	*again = false;
	if (status->st_nlink > 1 && !S_ISDIR(status->st_mode)) {
		/* The table keeps a name of each file: here it is the number. */
		int result = text_format(text, sizeof(text), "%u", tour->next);

		if (result == 0)
			result = link_table_add(tour->links, status, text, &first, err);
		if (result < 0)
			return result;
	}
	if (first) {
		*node = (uint32_t)strtoul(first, NULL, 10);
		*again = *node != tour->next; /* in the second round the table has all */
	}
	if (*node > tour->next)
		return error_set(err, ERROR_INTERNAL, ESTALE, "the tree changes");
	return 0;
}

static int visit_file(struct tour *tour, struct erofs_file *file, struct error *err)
{
	int result = xattrs_read(&tour->xattrs, file->directory, file->name, err);

	if (result < 0)
		return error_wrap(err, "%s", file->path);
	file->xattrs = &tour->xattrs;
	tour->next++;
	return tour->visitor->file(tour->visitor->context, file, err);
}

static int visit_entry(struct tour *tour, const struct walk_entry *entry, struct error *err)
{
	const struct stat *status = &entry->status[WALK_TREE];
	struct erofs_file file = { entry->directory[WALK_TREE], entry->name, entry->path + 1, status, NULL, 0 };
	int result = close_levels(tour, entry->depth + 1, err);
	bool again;

	if (result < 0 || S_ISSOCK(status->st_mode))
		return result; /* a socket: nobody listens in an image */
	if (status->st_dev != tour->device)
		return error_set(err, ERROR_LAYER, EXDEV, "%s: another file system is mounted there", file.path);
	result = number(tour, status, &file.node, &again, err);
	if (result == 0 && !again)
		result = visit_file(tour, &file, err);
	if (result < 0)
		return result;
	struct level *level = tour->levels[tour->depth - 1];
	if (tour->visitor->name)
		tour->visitor->name(tour->visitor->context, level->node, file.node, S_ISDIR(status->st_mode));
	if (erofs_directory_add(&level->directory, entry->name, inode_of(tour, file.node), status->st_mode, tour->block))
		result = give_full(tour, level, err);
	if (result == 0 && S_ISDIR(status->st_mode))
		result = open_level(tour, file.node, err);
	return result;
}

static int visit_all(struct tour *tour, int tree, struct error *err)
{
	const struct walk_entry *entry;
	struct walk *walk = NULL;
	struct stat status;
	struct erofs_file root = { tree, ".", "", &status, NULL, 0 };

	if (fstat(tree, &status) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "look at a layer's tree");
	tour->device = status.st_dev;
	int result = visit_file(tour, &root, err);
	if (result == 0)
		result = open_level(tour, 0, err);
	if (result == 0)
		result = walk_begin(&walk, tree, -1, err);
	while (result == 0 && (result = walk_next(walk, &entry, err)) > 0)
		result = visit_entry(tour, entry, err);
	if (result == 0)
		result = close_levels(tour, 0, err);
	walk_end(walk);
	return result;
}

int erofs_tree_visit(int tree, const struct erofs_nodes *nodes, struct link_table *links, const struct erofs_visitor *visitor,
		     struct error *err)
{
	struct tour tour = { .nodes = nodes, .visitor = visitor, .links = links };
	int result = visit_all(&tour, tree, err);

	for (unsigned i = 0; i < tour.made; i++)
		free(tour.levels[i]);
	free(tour.levels);
	xattrs_free(&tour.xattrs);
	return result;
}
