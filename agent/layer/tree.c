/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/tree_attributes.h"
#include "layer/tree_times.h"
#include "layer/tree_walk.h"
#include "layer/tree_whiteout.h"
#include "layer/whiteout.h"
#include "sys/paths.h"

int tree_begin(struct tree **tree, const struct import_request *request, struct error *err)
{
	struct tree *made = calloc(1, sizeof(*made));
	struct tree_attributes attributes = { .mode = S_IFDIR | 0755, .lower = request->lower };
	struct stat below;
	int result = 0;

	*tree = NULL;
	if (!made)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "a layer's tree");
	made->request = request;
	made->lower = request->lower;
	made->last = TREE_PLACE_NONE;
	if (request->lower >= 0) {
		if (fstat(request->lower, &below) < 0)
			result = error_set(err, ERROR_INTERNAL, errno, "look at what is below the layer");
		attributes.mode = below.st_mode;
		attributes.uid = below.st_uid;
		attributes.gid = below.st_gid;
		attributes.times[0] = below.st_atim;
		attributes.times[1] = below.st_mtim;
	} else {
		result = tree_attributes_owner(made, 0, 0, &attributes, err);
	}
	if (result == 0)
		result = tree_walk(made, "", &made->last, err);
	if (result == 0)
		result = tree_attributes_set(made, &made->last, ".", &attributes, err);
	if (result < 0)
		tree_end(made);
	else
		*tree = made;
	return result;
}

void tree_end(struct tree *tree)
{
	if (tree)
		tree_walk_leave(&tree->last);
	free(tree);
}

int tree_finish(struct tree *tree, struct error *err)
{
	return tree_times_apply(tree, err);
}

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* AUFS' own files, and all that is in a directory of that name. */
static bool is_meta(const char *name)
{
	for (const char *at = name; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (begins(at, WHITEOUT_META))
			return true;
	}
	return false;
}

/* ---- one entry ---- */

/* The directory of the name; *last is what is in it. */
static int find_place(struct tree *tree, char *name, const char **last, struct error *err)
{
	char *slash = strrchr(name, '/');
	const char *parent = slash ? name : "";

	*last = slash ? slash + 1 : name;
	if (slash)
		*slash = '\0';
	/* Nothing was done but in this directory since: it is still where the name leads. */
	if (tree->last.upper >= 0 && strcmp(tree->last_name, parent) == 0)
		return 0;
	int result = tree_walk(tree, parent, &tree->last, err);
	if (result < 0)
		tree_walk_leave(&tree->last);
	memcpy(tree->last_name, parent, strlen(parent) + 1);
	return result;
}

static int attributes_of(const struct tree *tree, struct tar_reader *reader, const struct tar_reader_entry *entry, mode_t type,
			 struct tree_attributes *attributes, struct error *err)
{
	*attributes = (struct tree_attributes){
		.mode = type | entry->mode,
		.times = { entry->accessed, entry->changed },
		.reader = reader,
		.lower = -1,
	};
	return tree_attributes_owner(tree, entry->uid, entry->gid, attributes, err);
}

/* Takes away what this layer had of the name.  1: a file was there, and no directory. */
static int remove_old(const struct tree_place *place, const char *name, struct error *err)
{
	struct stat status;
	int result = tree_walk_look(place->upper, name, &status, err);

	if (result <= 0)
		return result;
	if (S_ISDIR(status.st_mode)) {
		result = paths_remove_tree(place->upper, name, true, err);
		err->code = result < 0 ? ERROR_INTERNAL : err->code;
		return result;
	}
	if (unlinkat(place->upper, name, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "remove the earlier entry");
	return 1;
}

static int add_directory(struct tree *tree, const struct tree_place *place, const char *name,
			 const struct tree_attributes *attributes, struct error *err)
{
	struct stat status;
	bool top = strcmp(name, ".") == 0;
	int result = tree_walk_look(place->upper, name, &status, err);

	if (result < 0)
		return result;
	if (result > 0 && S_ISDIR(status.st_mode)) {
		result = tree_attributes_clear(tree, place, name, err);
		return result < 0 ? result : tree_attributes_set(tree, place, name, attributes, err);
	}
	int replaced = top ? 0 : remove_old(place, name, err);
	if (replaced < 0)
		return replaced;
	if (mkdirat(place->upper, name, 0700) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make the directory");
	result = tree_attributes_set(tree, place, name, attributes, err);
	/* What is below went with the file that was here: a directory of the same name must not show it again. */
	return result == 0 && replaced ? tree_attributes_make_opaque(place, name, err) : result;
}

static int write_data(int to, struct tar_reader *reader, uint64_t size, struct error *err)
{
	const char *bytes;
	uint64_t offset;
	size_t length;
	int result;

	while ((result = tar_reader_data(reader, (const void **)&bytes, &length, &offset, err)) > 0) {
		while (length > 0) {
			ssize_t put = pwrite(to, bytes, length, (off_t)offset);

			if (put < 0 && errno == EINTR)
				continue;
			if (put <= 0)
				return error_set(err, ERROR_INTERNAL, put < 0 ? errno : EIO, "write");
			bytes += put;
			offset += (uint64_t)put;
			length -= (size_t)put;
		}
	}
	/* A hole at the end. */
	if (result == 0 && ftruncate(to, (off_t)size) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "give the file its size");
	return result;
}

static int add_file(struct tree *tree, const struct tree_place *place, const char *name, struct tar_reader *reader,
		    const struct tar_reader_entry *entry, struct error *err)
{
	if (entry->size > tree->request->limits.bytes - tree->bytes)
		return error_set(err, ERROR_LAYER, 0, "the layer's files have more than %llu bytes, its limit",
				 (unsigned long long)tree->request->limits.bytes);
	tree->bytes += entry->size;
	fd_auto fd = openat(place->upper, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make the file");
	return write_data(fd, reader, entry->size, err);
}

static int add_node(const struct tree *tree, const struct tree_place *place, const char *name, const struct tar_reader_entry *entry,
		    mode_t type, struct error *err)
{
	dev_t device = makedev(entry->major, entry->minor);

	if (type == S_IFCHR && device == 0)
		return error_set(err, ERROR_LAYER, 0,
				 "the device 0:0 is overlayfs' own mark of what is gone, and none of an archive");
	if (type != S_IFIFO && !tree->request->devices)
		return error_set(err, ERROR_LAYER, 0, "a device (%u:%u), and devices are not allowed", entry->major, entry->minor);
	if (mknodat(place->upper, name, type | 0600, type == S_IFIFO ? 0 : device) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make the node");
	return 0;
}

/* The link's target in the upper directory, copied up when it is only below. */
static int find_target(struct tree *tree, const char *link, struct tree_place *place, char name[TREE_PATH], const char **last,
		       struct stat *status, struct error *err)
{
	int result = tree_walk_name(link, name, err);

	*status = (struct stat){ 0 };
	if (result < 0)
		return result;
	if (is_meta(name))
		return error_set(err, ERROR_LAYER, 0, "a hard link to \"%.120s\", which is AUFS' own", name);
	char *slash = strrchr(name, '/');
	*last = slash ? slash + 1 : name;
	if (slash)
		*slash = '\0';
	result = **last ? tree_walk(tree, slash ? name : "", place, err) : 0;
	if (result == 0 && **last)
		result = tree_walk_look(place->upper, *last, status, err);
	if (result < 0)
		return result;
	if (result > 0 && tree_walk_is_whiteout(status))
		return error_set(err, ERROR_LAYER, 0, "a hard link to \"%.120s\", which this layer has taken away", link);
	bool below = result == 0 && place->lower >= 0;
	if (below)
		result = tree_walk_look(place->lower, *last, status, err);
	if (result < 0)
		return result;
	if (**last == '\0' || (result > 0 && S_ISDIR(status->st_mode)))
		return error_set(err, ERROR_LAYER, 0, "a hard link to \"%.120s\", which is a directory", link);
	if (result == 0)
		return error_set(err, ERROR_LAYER, 0, "a hard link to \"%.120s\", which is not there", link);
	if (!below)
		return 0;
	result = tree_walk_copy_up(tree, place, *last, status, err);
	return result < 0 ? result : tree_walk_look(place->upper, *last, status, err);
}

/* Its owner, mode and times are those of the file, which had an entry of its own. */
static int add_hard_link(struct tree *tree, const struct tree_place *place, const char *name, const char *link, struct error *err)
{
	struct tree_place target = TREE_PLACE_NONE;
	struct stat status, old;
	char path[TREE_PATH];
	const char *last = path;
	int result = find_target(tree, link, &target, path, &last, &status, err);

	if (result >= 0)
		result = tree_walk_look(place->upper, name, &old, err);
	if (result > 0 && old.st_dev == status.st_dev && old.st_ino == status.st_ino) {
		result = 0;
	} else if (result >= 0) {
		result = remove_old(place, name, err);
		if (result >= 0 && linkat(target.upper, last, place->upper, name, 0) < 0)
			result = error_set(err, errno == EMLINK || errno == ENOENT ? ERROR_LAYER : ERROR_INTERNAL, errno,
					   "a hard link to \"%.120s\"", link);
	}
	tree_walk_leave(&target);
	return result < 0 ? result : 0;
}

static int add_in_place(struct tree *tree, const struct tree_place *place, const char *name, struct tar_reader *reader,
			const struct tar_reader_entry *entry, struct error *err)
{
	static const mode_t types[] = {
		[TAR_FILE] = S_IFREG,      [TAR_DIRECTORY] = S_IFDIR, [TAR_SYMLINK] = S_IFLNK,
		[TAR_CHARACTER] = S_IFCHR, [TAR_BLOCK] = S_IFBLK,     [TAR_FIFO] = S_IFIFO,
	};
	struct tree_attributes attributes;
	int result;

	if (entry->kind == TAR_HARD_LINK)
		return add_hard_link(tree, place, name, entry->link, err);
	result = attributes_of(tree, reader, entry, types[entry->kind], &attributes, err);
	if (result < 0)
		return result;
	if (entry->kind == TAR_DIRECTORY)
		return add_directory(tree, place, name, &attributes, err);
	result = remove_old(place, name, err);
	if (result < 0)
		return result;
	if (entry->kind == TAR_FILE)
		result = add_file(tree, place, name, reader, entry, err);
	else if (entry->kind == TAR_SYMLINK)
		result =
			symlinkat(entry->link, place->upper, name) < 0 ? error_set(err, ERROR_INTERNAL, errno, "make the link") : 0;
	else
		result = add_node(tree, place, name, entry, types[entry->kind], err);
	return result < 0 ? result : tree_attributes_set(tree, place, name, &attributes, err);
}

static int add(struct tree *tree, struct tar_reader *reader, const struct tar_reader_entry *entry, struct error *err)
{
	char name[TREE_PATH] = "";
	const char *last, *slash;
	int result = tree_walk_count(tree, err);

	if (result == 0)
		result = tree_walk_name(entry->path, name, err);
	if (result < 0)
		return result;
	tree->now = entry->changed;
	slash = strrchr(name, '/');
	if (is_meta(name) && strcmp(slash ? slash + 1 : name, WHITEOUT_OPAQUE) != 0)
		return 0;
	if (!name[0] && entry->kind != TAR_DIRECTORY)
		return error_set(err, ERROR_LAYER, 0, "the layer's top is a directory");
	result = find_place(tree, name, &last, err);
	if (result < 0)
		return result;
	if (!last[0])
		return add_in_place(tree, &tree->last, ".", reader, entry, err);
	if (strcmp(last, WHITEOUT_OPAQUE) == 0)
		return is_meta(tree->last_name) ? 0 : tree_whiteout_all(tree, &tree->last, err);
	if (!begins(last, WHITEOUT_PREFIX))
		return add_in_place(tree, &tree->last, last, reader, entry, err);
	last += strlen(WHITEOUT_PREFIX);
	if (!last[0] || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return error_set(err, ERROR_LAYER, 0, "a whiteout of nothing that has a name");
	return tree_whiteout_name(tree, &tree->last, last, err);
}

int tree_add(struct tree *tree, struct tar_reader *reader, const struct tar_reader_entry *entry, struct error *err)
{
	int result = add(tree, reader, entry, err);

	return result < 0 ? error_wrap(err, "entry \"%.120s\"", entry->path) : 0;
}
