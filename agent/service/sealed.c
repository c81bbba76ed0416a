/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/filesystem.h"
#include "storage/verity.h"
#include "sys/loopdev.h"
#include "sys/modules.h"
#include "sys/paths.h"

#define OPEN_MS 1000u /* one takes a tenth of it where the processor is emulated */

#define auto_device __attribute__((cleanup(blockdev_close))) struct blockdev

int sealed_name(const struct layer_object *layer, const char *owner, char *name, size_t size, struct error *err)
{
	if (text_format(name, size, SEALED_DIRECTORY "/%s-%" PRIu64, owner, layer->facts.number) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", layer->object.id);
	return 0;
}

unsigned sealed_wait_ms(const struct layer_object *layer)
{
	unsigned sum = 0;

	for (; layer; layer = layer->parent)
		sum += layer->facts.place == STORE_SEALED ? OPEN_MS : 0;
	return sum;
}

static int open_file(const struct layer_object *layer, struct error *err)
{
	char path[STORE_PATH_MAX + 64];
	struct stat status;
	int result = store_member(&layer->store->store, layer->facts.number, true, STORE_SEALED_FILE, path, err);

	if (result < 0)
		return result;
	fd_auto file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file < 0 || fstat(file, &status) < 0)
		return error_set(err, ERROR_MOUNT, errno, "open %s", path);
	/* A hash area that is cut off would not be missed before it is needed. */
	if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != layer->facts.seal.bytes)
		return error_set(err, ERROR_VERITY, EBADMSG, "%s has %lld bytes, and %" PRIu64 " were sealed", path,
				 (long long)status.st_size, layer->facts.seal.bytes);
	return take_fd(&file);
}

static void describe(const struct seal *seal, struct verity *verity)
{
	*verity = (struct verity){
		.algorithm = "sha256",
		.root_size = sizeof(seal->root),
		.salt_size = sizeof(seal->salt),
		.blocks = seal->blocks,
		.block_size = VERITY_TREE_BLOCK,
		.hash_block_size = VERITY_TREE_BLOCK,
		.hash_offset = seal->blocks * VERITY_TREE_BLOCK,
		.hash_type = 1,
		.on_corruption = VERITY_CORRUPTION_ERROR,
	};
	memcpy(verity->root, seal->root, sizeof(seal->root));
	memcpy(verity->salt, seal->salt, sizeof(seal->salt));
}

static int map(const struct layer_object *layer, const char *mapping, struct undo *undo, dev_t *number, struct error *err)
{
	auto_device disk = { .fd = -1 };
	fd_auto guard = -1;
	struct verity verity;
	fd_auto file = open_file(layer, err);

	if (file < 0)
		return file;
	int result = loopdev_attach(file, false, &disk, &guard, err);
	if (result < 0)
		return result;
	describe(&layer->facts.seal, &verity);
	return verity_open(mapping, &disk, &verity, undo, number, err);
}

static int open_one(const struct layer_object *layer, const char *owner, struct undo *undo, struct error *err)
{
	char mapping[128], node[160], target[160];
	struct filesystem_mount mount = { .source = node, .type = "erofs", .flags = MS_RDONLY };

	if (text_format(mapping, sizeof(mapping), "coffer-sealed-%s-%" PRIu64, owner, layer->facts.number) < 0 ||
	    text_format(node, sizeof(node), "/dev/mapper/%s", mapping) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "layer %s", layer->object.id);
	int result = sealed_name(layer, owner, target, sizeof(target), err);
	if (result == 0)
		result = map(layer, mapping, undo, &mount.device, err);
	return result == 0 ? filesystem_mount(&mount, target, undo, err) : result;
}

int sealed_open(const struct layer_object *layer, unsigned depth, const char *owner, struct undo *undo, struct error *err)
{
	bool prepared = false;
	int result = 0;

	for (; layer && depth > 0 && result == 0; layer = layer->parent, depth--) {
		if (layer->facts.place != STORE_SEALED)
			continue;
		if (!prepared)
			result = modules_load(verity_modules, err);
		if (!prepared && result == 0)
			result = paths_mkdirs(SEALED_DIRECTORY, 0700, err);
		prepared = true;
		if (result == 0 && open_one(layer, owner, undo, err) < 0)
			result = error_wrap(err, "the sealed layer %s", layer->object.id);
	}
	return result;
}
