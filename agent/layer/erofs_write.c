/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/erofs_write.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/erofs_attributes.h"
#include "layer/erofs_chunks.h"
#include "layer/erofs_plan.h"
#include "layer/walk.h"
#include "storage/erofs_format.h"

#define BLOCK    EROFS_PLAN_BLOCK
#define HEAD_MAX (sizeof(struct erofs_inode_extended) + EROFS_ATTRIBUTES_MAX)

struct writer {
	struct erofs_plan plan;
	int image;
	uint32_t files; /* that came in this round */
	uint8_t *bytes; /* HEAD_MAX and a block: what is written at an inode's place */
};

static int write_at(int image, const void *bytes, size_t size, uint64_t at, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t put = pwrite(image, (const uint8_t *)bytes + done, size - done, (off_t)(at + done));

		if (put <= 0)
			return error_set(err, ERROR_INTERNAL, put < 0 ? errno : EIO, "write the image");
		done += (size_t)put;
	}
	return 0;
}

/* Linux' own encoding (include/linux/kdev_t.h). */
static uint32_t device_number(dev_t device)
{
	return (minor(device) & 0xff) | major(device) << 8 | (minor(device) & ~0xffu) << 12;
}

static uint32_t place_of(const struct erofs_node *node, const struct stat *status)
{
	if (S_ISCHR(status->st_mode) || S_ISBLK(status->st_mode))
		return device_number(status->st_rdev);
	return node->layout == EROFS_CHUNKS ? node->chunk_bits : node->block;
}

/* Into the writer's bytes.  Returns its size. */
static uint32_t put_inode(const struct writer *writer, const struct erofs_node *node, const struct erofs_file *file,
			  uint32_t xattrs)
{
	const struct stat *status = file->status;
	uint16_t format = (uint16_t)(node->layout << EROFS_LAYOUT_SHIFT | (node->extended ? EROFS_EXTENDED : 0));
	const struct erofs_inode_extended extended = {
		.format = htole16(format),
		.attributes = htole16(erofs_attributes_count(xattrs)),
		.mode = htole16((uint16_t)status->st_mode),
		.size = htole64(node->size),
		.place = htole32(place_of(node, status)),
		.number = htole32(file->node + 1),
		.uid = htole32(status->st_uid),
		.gid = htole32(status->st_gid),
		.mtime = htole64((uint64_t)status->st_mtim.tv_sec),
		.mtime_ns = htole32((uint32_t)status->st_mtim.tv_nsec),
		.links = htole32(node->links),
	};
	const struct erofs_inode_compact compact = {
		.format = extended.format,
		.attributes = extended.attributes,
		.mode = extended.mode,
		.links = htole16((uint16_t)node->links),
		.size = htole32((uint32_t)node->size),
		.place = extended.place,
		.number = extended.number,
		.uid = htole16((uint16_t)status->st_uid),
		.gid = htole16((uint16_t)status->st_gid),
	};
	uint32_t size = node->extended ? sizeof(extended) : sizeof(compact);

	memcpy(writer->bytes, node->extended ? (const void *)&extended : &compact, size);
	return size;
}

static int read_tail(int fd, uint8_t *bytes, uint32_t size, uint64_t at, struct error *err)
{
	for (uint32_t done = 0; done < size;) {
		ssize_t got = pread(fd, bytes + done, size - done, (off_t)(at + done));

		if (got <= 0)
			return error_set(err, ERROR_INTERNAL, got < 0 ? errno : ESTALE, "read a file");
		done += (uint32_t)got;
	}
	return 0;
}

static int write_chunks(const struct writer *writer, const struct erofs_node *node, int fd, struct error *err)
{
	const struct erofs_chunks chunks = { .size = node->size, .blocks = node->blocks, .bits = node->chunk_bits };
	size_t size = erofs_chunks_count(&chunks) * sizeof(uint32_t);
	auto_free uint32_t *index = malloc(size);

	if (!index)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "index of chunks");
	int result = erofs_chunks_write(fd, &chunks, writer->image, node->block, index, err);
	return result < 0 ? result : write_at(writer->image, index, size, erofs_plan_inode_at(node) + node->head, err);
}

/* The content, but for what is inline: that goes behind the writer's first node->head bytes. */
static int write_regular(const struct writer *writer, const struct erofs_node *node, const struct erofs_file *file,
			 struct error *err)
{
	uint32_t tail = erofs_plan_inline(node);
	fd_auto fd = node->size > 0 ? walk_open(file->directory, file->name, file->path, file->status, err) : -1;
	int result;

	if (node->size == 0)
		return 0;
	if (fd < 0)
		return fd;
	if (node->layout == EROFS_CHUNKS)
		result = write_chunks(writer, node, fd, err);
	else
		result = erofs_chunks_copy(fd, 0, writer->image, (uint64_t)node->block * BLOCK, node->size - tail, err);
	if (result == 0)
		result = read_tail(fd, writer->bytes + node->head, tail, node->size - tail, err);
	return result < 0 ? error_wrap(err, "%s", file->path) : 0;
}

static int write_link(const struct writer *writer, const struct erofs_node *node, const struct erofs_file *file, struct error *err)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(file->directory, file->name, text, sizeof(text));

	if (length < 0 || (uint64_t)length != node->size)
		return error_set(err, ERROR_INTERNAL, length < 0 ? errno : ESTALE, "read the link %s", file->path);
	if (node->layout != EROFS_INLINE)
		return write_at(writer->image, text, (size_t)length, (uint64_t)node->block * BLOCK, err);
	memcpy(writer->bytes + node->head, text, (size_t)length);
	return 0;
}

/* Is it what was measured?  A directory's size is looked at block by block. */
static bool is_as_planned(const struct erofs_nodes *nodes, const struct erofs_file *file, uint32_t xattrs)
{
	const struct erofs_node *node = &nodes->items[file->node];
	uint32_t inode = sizeof(struct erofs_inode_compact);

	if (file->node >= nodes->count || (file->status->st_mode & S_IFMT) >> 12 != node->type)
		return false;
	if (node->extended)
		inode = sizeof(struct erofs_inode_extended);
	return inode + xattrs == node->head && (!S_ISREG(file->status->st_mode) || (uint64_t)file->status->st_size == node->size);
}

static int write_file(void *context, const struct erofs_file *file, struct error *err)
{
	struct writer *writer = context;
	const struct erofs_node *node = &writer->plan.nodes.items[file->node];
	uint32_t xattrs, tail = 0;
	int result = erofs_attributes_size(file->xattrs, &xattrs, err);

	if (result < 0)
		return error_wrap(err, "%s", file->path);
	if (!is_as_planned(&writer->plan.nodes, file, xattrs))
		return error_set(err, ERROR_INTERNAL, ESTALE, "%s changes", file->path);
	writer->files++;
	erofs_attributes_put(file->xattrs, writer->bytes + put_inode(writer, node, file, xattrs));
	if (S_ISREG(file->status->st_mode))
		result = write_regular(writer, node, file, err);
	else if (S_ISLNK(file->status->st_mode))
		result = write_link(writer, node, file, err);
	if (!S_ISDIR(file->status->st_mode))
		tail = erofs_plan_inline(node);
	return result < 0 ? result : write_at(writer->image, writer->bytes, node->head + tail, erofs_plan_inode_at(node), err);
}

static int write_block(void *context, uint32_t number, uint64_t offset, const uint8_t *bytes, unsigned size, struct error *err)
{
	const struct writer *writer = context;
	const struct erofs_node *node = &writer->plan.nodes.items[number];
	uint64_t at = (uint64_t)node->block * BLOCK + offset;

	if (offset + size > node->size || (size < BLOCK && offset + size != node->size))
		return error_set(err, ERROR_INTERNAL, ESTALE, "a directory changes");
	if (node->layout == EROFS_INLINE && offset + size == node->size)
		at = erofs_plan_inode_at(node) + node->head;
	return write_at(writer->image, bytes, size, at, err);
}

/* CRC-32C (Castagnoli), bit by bit: it is of one block. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
	}
	return crc;
}

static int write_superblock(const struct writer *writer, const struct erofs_options *options, struct error *err)
{
	const struct erofs_plan *plan = &writer->plan;
	struct erofs_superblock super = {
		.magic = htole32(EROFS_MAGIC),
		.feature_compat = htole32(EROFS_HAS_CHECKSUM | EROFS_HAS_MTIME),
		.block_bits = 12,
		.root = htole16((uint16_t)plan->nodes.items[0].slot),
		.inodes = htole64(plan->nodes.count),
		.build_time = htole64((uint64_t)plan->time.tv_sec),
		.build_time_ns = htole32((uint32_t)plan->time.tv_nsec),
		.blocks = htole32(plan->blocks),
		.feature_incompat = htole32(plan->chunks ? EROFS_HAS_CHUNKS : 0),
	};
	uint8_t *block = writer->bytes;

	memcpy(super.uuid, options->uuid, sizeof(super.uuid));
	/* The checksum is of all that is behind it in its block, inodes included, and of itself as zeros. */
	int result = read_tail(writer->image, block, BLOCK, 0, err);
	if (result < 0)
		return result;
	memcpy(block + EROFS_SUPERBLOCK_AT, &super, sizeof(super));
	super.checksum = htole32(crc32c(~0u, block + EROFS_SUPERBLOCK_AT, BLOCK - EROFS_SUPERBLOCK_AT));
	return write_at(writer->image, &super, sizeof(super), EROFS_SUPERBLOCK_AT, err);
}

static int write_all(struct writer *writer, int tree, const struct erofs_options *options, struct error *err)
{
	const struct erofs_visitor visitor = { .context = writer, .file = write_file, .block = write_block };
	int result = erofs_plan_make(&writer->plan, tree, err);

	if (result < 0)
		return result;
	/* What is not written is zero. */
	if (ftruncate(writer->image, 0) < 0 || ftruncate(writer->image, (off_t)writer->plan.blocks * BLOCK) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "size of the image");
	result = erofs_tree_visit(tree, &writer->plan.nodes, &writer->plan.links, &visitor, err);
	if (result == 0 && writer->files != writer->plan.nodes.count)
		return error_set(err, ERROR_INTERNAL, ESTALE, "the tree changes");
	return result < 0 ? result : write_superblock(writer, options, err);
}

int erofs_write(int tree, int image, const struct erofs_options *options, struct erofs_written *written, struct error *err)
{
	struct writer writer = { .image = image, .bytes = malloc(HEAD_MAX + BLOCK) };
	int result;

	*written = (struct erofs_written){ 0 };
	if (!writer.bytes)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "write an image");
	result = write_all(&writer, tree, options, err);
	if (result == 0)
		*written = (struct erofs_written){ .bytes = (uint64_t)writer.plan.blocks * BLOCK, .files = writer.files };
	erofs_plan_free(&writer.plan);
	free(writer.bytes);
	return result < 0 ? error_step(err, "write the image") : 0;
}
