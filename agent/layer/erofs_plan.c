/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/erofs_plan.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "layer/erofs_attributes.h"
#include "layer/erofs_chunks.h"
#include "layer/walk.h"
#include "storage/erofs_format.h"

#define BLOCK        EROFS_PLAN_BLOCK
#define FILE_LARGEST ((uint64_t)1 << 56)

static int grow(struct erofs_nodes *nodes, struct error *err)
{
	uint32_t room = nodes->room ? nodes->room * 2 : 1024;

	if (nodes->count < nodes->room)
		return 0;
	if (nodes->count >= EROFS_PLAN_FILES)
		return error_set(err, ERROR_LAYER, E2BIG, "more than %u files in a sealed layer", EROFS_PLAN_FILES);
	struct erofs_node *items = realloc(nodes->items, room * sizeof(*items));
	if (!items)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "plan an image");
	nodes->items = items;
	nodes->room = room;
	return 0;
}

static int measure_content(struct erofs_plan *plan, const struct erofs_file *file, struct erofs_node *node, struct error *err)
{
	struct erofs_chunks chunks;

	node->size = (uint64_t)file->status->st_size;
	if (node->size > FILE_LARGEST)
		return error_set(err, ERROR_LAYER, EFBIG, "%s", file->path);
	if (!S_ISREG(file->status->st_mode) || !erofs_chunks_likely(file->status))
		return 0;
	fd_auto fd = walk_open(file->directory, file->name, file->path, file->status, err);
	if (fd < 0)
		return fd;
	int result = erofs_chunks_measure(fd, node->size, &chunks, err);
	if (result < 0)
		return error_wrap(err, "%s", file->path);
	if (result == 0)
		return 0;
	if (chunks.blocks > UINT32_MAX)
		return error_set(err, ERROR_LAYER, EFBIG, "%s", file->path);
	node->layout = EROFS_CHUNKS;
	node->chunk_bits = chunks.bits;
	node->blocks = (uint32_t)chunks.blocks;
	plan->chunks = true;
	return 0;
}

static int measure(void *context, const struct erofs_file *file, struct error *err)
{
	struct erofs_plan *plan = context;
	const struct stat *status = file->status;
	struct erofs_node node = { .type = (uint8_t)((status->st_mode & S_IFMT) >> 12) };
	int result = grow(&plan->nodes, err);

	if (file->node == 0) {
		plan->time = status->st_mtim;
		node.links = 1; /* ".." of itself */
	}
	if (S_ISDIR(status->st_mode))
		node.links++; /* "." */
	if (result == 0)
		result = erofs_attributes_size(file->xattrs, &node.head, err);
	if (result < 0)
		return error_wrap(err, "%s", file->path);
	if (S_ISREG(status->st_mode) || S_ISLNK(status->st_mode))
		result = measure_content(plan, file, &node, err);
	node.extended = status->st_uid > UINT16_MAX || status->st_gid > UINT16_MAX || node.size > UINT32_MAX ||
			status->st_mtim.tv_sec != plan->time.tv_sec || status->st_mtim.tv_nsec != plan->time.tv_nsec;
	if (result == 0)
		plan->nodes.items[plan->nodes.count++] = node;
	return result;
}

static void count_name(void *context, uint32_t directory, uint32_t node, bool is_directory)
{
	struct erofs_plan *plan = context;

	plan->nodes.items[node].links++;
	if (is_directory)
		plan->nodes.items[directory].links++; /* its ".." */
}

static int count_block(void *context, uint32_t node, uint64_t offset, const uint8_t *bytes, unsigned size, struct error *err)
{
	struct erofs_plan *plan = context;

	(void)bytes, (void)err;
	plan->nodes.items[node].size = offset + size;
	return 0;
}

uint64_t erofs_plan_inode_at(const struct erofs_node *node)
{
	return (uint64_t)node->slot * EROFS_SLOT;
}

uint32_t erofs_plan_inline(const struct erofs_node *node)
{
	return node->layout == EROFS_INLINE ? (uint32_t)(node->size % BLOCK) : 0;
}

/*
 * What is inline lies in one block; of a link, the kernel also wants the inode in that one.  Moves *at to the next block for it if
 * that costs less than a block for what is not inline.
 */
static bool place_inline(uint64_t *at, const struct erofs_node *node)
{
	uint32_t tail = (uint32_t)(node->size % BLOCK), head = node->head, left = BLOCK - (uint32_t)(*at % BLOCK);
	bool whole = node->type == S_IFLNK >> 12;

	if (tail == 0 || (whole && node->size >= BLOCK))
		return false;
	if (whole ? head + tail <= left : (*at + head) % BLOCK + tail <= BLOCK)
		return true;
	if ((whole ? head : head % BLOCK) + tail > BLOCK || left >= BLOCK - tail)
		return false;
	*at += left;
	return true;
}

/* Gives the inode its place at *at or soon behind, and moves *at behind it. */
static int place_inode(uint64_t *at, struct erofs_node *node, struct error *err)
{
	uint32_t left = BLOCK - (uint32_t)(*at % BLOCK), behind = 0;

	if (node->links > UINT16_MAX)
		node->extended = true;
	node->head += node->extended ? sizeof(struct erofs_inode_extended) : sizeof(struct erofs_inode_compact);
	if (node->extended && left < sizeof(struct erofs_inode_extended))
		*at += left;
	if (node->layout == EROFS_CHUNKS) {
		const struct erofs_chunks chunks = { .size = node->size, .bits = node->chunk_bits };

		behind = erofs_chunks_count(&chunks) * (uint32_t)sizeof(uint32_t);
	} else {
		uint64_t blocks = (node->size + BLOCK - 1) / BLOCK;

		if (blocks > UINT32_MAX)
			return error_set(err, ERROR_LAYER, EFBIG, "a file is too large for an image");
		node->blocks = (uint32_t)blocks;
		if (place_inline(at, node)) {
			node->layout = EROFS_INLINE;
			node->blocks = (uint32_t)(node->size / BLOCK);
			behind = (uint32_t)(node->size % BLOCK);
		}
	}
	if (*at / EROFS_SLOT > UINT32_MAX)
		return error_set(err, ERROR_LAYER, E2BIG, "an image has more than %u GiB of inodes", 1u << 7);
	node->slot = (uint32_t)(*at / EROFS_SLOT);
	*at = (*at + node->head + behind + EROFS_SLOT - 1) / EROFS_SLOT * EROFS_SLOT;
	return 0;
}

static int place(struct erofs_plan *plan, struct error *err)
{
	/* The tree's own inode comes first, as its number has 16 bits only. */
	uint64_t at = EROFS_SUPERBLOCK_AT + sizeof(struct erofs_superblock), blocks;

	for (uint32_t i = 0; i < plan->nodes.count; i++) {
		int result = place_inode(&at, &plan->nodes.items[i], err);

		if (result < 0)
			return result;
	}
	blocks = (at + BLOCK - 1) / BLOCK;
	for (uint32_t i = 0; i < plan->nodes.count; i++) {
		struct erofs_node *node = &plan->nodes.items[i];

		node->block = node->blocks > 0 ? (uint32_t)blocks : 0;
		blocks += node->blocks;
		/* The very last number means that there is no block. */
		if (blocks >= UINT32_MAX)
			return error_set(err, ERROR_LAYER, EFBIG, "an image takes 16 TiB");
	}
	plan->blocks = (uint32_t)blocks;
	return 0;
}

int erofs_plan_make(struct erofs_plan *plan, int tree, struct error *err)
{
	const struct erofs_visitor visitor = { .context = plan, .file = measure, .name = count_name, .block = count_block };
	int result = erofs_tree_visit(tree, &plan->nodes, &plan->links, &visitor, err);

	return result < 0 ? result : place(plan, err);
}

void erofs_plan_free(struct erofs_plan *plan)
{
	free(plan->nodes.items);
	link_table_free(&plan->links);
	*plan = (struct erofs_plan){ 0 };
}
