/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/export.h"

#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "layer/link_table.h"
#include "layer/tar_write.h"
#include "layer/walk.h"
#include "layer/whiteout.h"
#include "layer/xattrs.h"

#define ROOT "./"

struct export
{
	const struct export_request *request;
	struct export_result *result;
	dev_t device;
	struct walk *walk;
	struct tar_write *tar;
	struct link_table links;
	struct xattrs xattrs;
	struct buf name;
	char link[PATH_MAX];
};

/* A file of the tree, the tree itself included. */
struct file {
	int directory;
	const char *name; /* in that; "." for the directory itself */
	const char *path; /* without the slash before it; "" for the tree */
	const struct stat *status;
};

static int map_owner(const struct export *export, struct tar_entry *entry, struct error *err)
{
	const struct export_request *request = export->request;

	if (!id_range_map(request->uids, request->uid_count, entry->uid, &entry->uid))
		return error_set(err, ERROR_LAYER, EOVERFLOW, "%s: no map has the user %u", entry->name, entry->uid);
	if (!id_range_map(request->gids, request->gid_count, entry->gid, &entry->gid))
		return error_set(err, ERROR_LAYER, EOVERFLOW, "%s: no map has the group %u", entry->name, entry->gid);
	return 0;
}

/* Linux' own form of an access control list: little-endian, a version, then {tag, permissions, id}. */
static int map_acl(const struct export_request *request, struct xattr *xattr)
{
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entry;
	bool known = true;

	if (xattr->size < sizeof(header) || (xattr->size - sizeof(header)) % sizeof(entry) != 0)
		return -EINVAL;
	memcpy(&header, xattr->value, sizeof(header));
	if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION)
		return -EINVAL;
	for (size_t at = sizeof(header); at < xattr->size && known; at += sizeof(entry)) {
		memcpy(&entry, xattr->value + at, sizeof(entry));
		uint32_t id = le32toh(entry.e_id);
		if (le16toh(entry.e_tag) == ACL_USER)
			known = id_range_map(request->uids, request->uid_count, id, &id);
		else if (le16toh(entry.e_tag) == ACL_GROUP)
			known = id_range_map(request->gids, request->gid_count, id, &id);
		entry.e_id = htole32(id);
		memcpy(xattr->value + at, &entry, sizeof(entry));
	}
	return known ? 0 : -EOVERFLOW;
}

static int map_capability(struct xattr *xattr)
{
	struct vfs_ns_cap_data data;

	if (xattr->size < sizeof(data.magic_etc))
		return -EINVAL;
	memcpy(&data.magic_etc, xattr->value, sizeof(data.magic_etc));
	uint32_t magic = le32toh(data.magic_etc);
	if ((magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3)
		return 0;
	if (xattr->size != XATTR_CAPS_SZ_3)
		return -EINVAL;
	data.magic_etc = htole32((magic & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2);
	memcpy(xattr->value, &data.magic_etc, sizeof(data.magic_etc));
	xattr->size = XATTR_CAPS_SZ_2;
	return 0;
}

static int map_xattrs(struct export *export, const char *name, struct error *err)
{
	for (size_t i = 0; i < export->xattrs.count; i++) {
		struct xattr *xattr = &export->xattrs.items[i];
		int result = 0;

		if (strcmp(xattr->name, "security.capability") == 0)
			result = map_capability(xattr);
		else if (strncmp(xattr->name, "system.posix_acl_", strlen("system.posix_acl_")) == 0)
			result = map_acl(export->request, xattr);
		if (result < 0)
			return error_set(err, ERROR_LAYER, -result, "%s: extended attribute %s", name, xattr->name);
	}
	return 0;
}

/* "DIRECTORY/PREFIXname", in the export's own memory till the next call. */
static int make_name(struct export *export, const char *path, size_t directory, const char *prefix, const char *last,
		     struct error *err)
{
	export->name.start = export->name.end = 0;
	if (buf_append(&export->name, path, directory) < 0 || buf_append(&export->name, prefix, strlen(prefix)) < 0 ||
	    buf_append(&export->name, last, strlen(last) + 1) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "export a layer");
	return 0;
}

static int put_entry(struct export *export, const struct tar_entry *entry, struct error *err)
{
	export->result->files++;
	return tar_write_entry(export->tar, entry, err);
}

/* An empty file at `path` ("" or with a slash at its end) that stands for something. */
static int put_marker(struct export *export, const char *path, size_t directory, const char *prefix, const char *last,
		      struct error *err)
{
	int result = make_name(export, path, directory, prefix, last, err);
	struct tar_entry entry = { .type = TAR_FILE, .name = export->name.data, .mode = 0600 };

	return result < 0 ? result : put_entry(export, &entry, err);
}

static int put_content(struct export *export, const struct file *file, struct error *err)
{
	fd_auto fd = walk_open(file->directory, file->name, file->path, file->status, err);

	if (fd < 0)
		return fd;
	int result = tar_write_content(export->tar, fd, err);
	return result < 0 ? error_wrap(err, "%s", file->path) : 0;
}

static int read_link(struct export *export, const struct file *file, struct error *err)
{
	ssize_t length = readlinkat(file->directory, file->name, export->link, sizeof(export->link));

	if (length < 0 || length == sizeof(export->link))
		return error_set(err, ERROR_INTERNAL, length < 0 ? errno : ENAMETOOLONG, "read the link %s", file->path);
	export->link[length] = '\0';
	return 0;
}

/* What the archive says of the file, but for its name and links. */
static int describe(struct export *export, const struct file *file, struct tar_entry *entry, struct error *err)
{
	const struct stat *status = file->status;
	int result = xattrs_read(&export->xattrs, file->directory, file->name, err);

	if (result < 0)
		return error_wrap(err, "%s", entry->name);
	entry->mode = status->st_mode;
	entry->uid = status->st_uid;
	entry->gid = status->st_gid;
	entry->mtime = status->st_mtim;
	if (entry->type == TAR_FILE)
		entry->size = (uint64_t)status->st_size;
	if (entry->type == TAR_CHARACTER_DEVICE || entry->type == TAR_BLOCK_DEVICE) {
		entry->device_major = major(status->st_rdev);
		entry->device_minor = minor(status->st_rdev);
	}
	result = map_owner(export, entry, err);
	if (result == 0)
		result = map_xattrs(export, entry->name, err);
	entry->xattrs = export->xattrs.items;
	entry->xattr_count = export->xattrs.count;
	return result;
}

static int put_directory(struct export *export, const struct file *file, struct error *err)
{
	struct tar_entry entry = { .type = TAR_DIRECTORY, .name = ROOT };
	size_t length = strlen(file->path);
	int result = 0;

	if (length > 0) {
		result = make_name(export, file->path, length, "", "/", err);
		entry.name = export->name.data;
	}
	if (result == 0)
		result = describe(export, file, &entry, err);
	if (result == 0)
		result = put_entry(export, &entry, err);
	if (result < 0 || !export->xattrs.opaque)
		return result;
	return put_marker(export, file->path, length, length > 0 ? "/" : "", WHITEOUT_OPAQUE, err);
}

static int put_file(struct export *export, const struct file *file, enum tar_type type, struct error *err)
{
	struct tar_entry entry = { .type = type, .name = file->path };
	const char *first = NULL;
	int result = 0;

	if (file->status->st_nlink > 1)
		result = link_table_add(&export->links, file->status, file->path, &first, err);
	if (result == 0 && !first && type == TAR_SYMBOLIC_LINK) {
		result = read_link(export, file, err);
		entry.link = export->link;
	}
	if (first) {
		entry.type = TAR_HARD_LINK;
		entry.link = first;
	}
	if (result == 0)
		result = describe(export, file, &entry, err);
	if (result == 0)
		result = put_entry(export, &entry, err);
	if (result < 0 || entry.type != TAR_FILE)
		return result;
	export->result->size += entry.size;
	return entry.size > 0 ? put_content(export, file, err) : 0;
}

static int put_any(struct export *export, const struct file *file, struct error *err)
{
	static const struct {
		mode_t mode;
		enum tar_type type;
	} types[] = {
		{ S_IFREG, TAR_FILE },         { S_IFLNK, TAR_SYMBOLIC_LINK }, { S_IFCHR, TAR_CHARACTER_DEVICE },
		{ S_IFBLK, TAR_BLOCK_DEVICE }, { S_IFIFO, TAR_FIFO },
	};
	const struct stat *status = file->status;

	if (status->st_dev != export->device)
		return error_set(err, ERROR_LAYER, EXDEV, "%s: another file system is mounted there", file->path);
	if (strncmp(file->name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
		return error_set(err, ERROR_LAYER, EINVAL, "%s: in an archive, such a name would hide another file", file->path);
	if (S_ISDIR(status->st_mode))
		return put_directory(export, file, err);
	/* Before links are looked at: overlayfs makes many whiteouts of one inode. */
	if (whiteout_is(status))
		return put_marker(export, file->path, strlen(file->path) - strlen(file->name), WHITEOUT_PREFIX, file->name, err);
	for (size_t i = 0; i < array_count(types); i++) {
		if ((status->st_mode & S_IFMT) == types[i].mode)
			return put_file(export, file, types[i].type, err);
	}
	return 0; /* a socket: nobody listens in an archive */
}

static int put_tree(struct export *export, struct error *err)
{
	const struct walk_entry *entry;
	struct stat status;
	int result;

	if (fstat(export->request->tree, &status) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "look at a layer's tree");
	export->device = status.st_dev;
	result = put_directory(export, &(struct file){ export->request->tree, ".", "", &status }, err);
	while (result == 0 && (result = walk_next(export->walk, &entry, err)) > 0) {
		const struct file file = {
			.directory = entry->directory[WALK_TREE],
			.name = entry->name,
			.path = entry->path + 1,
			.status = &entry->status[WALK_TREE],
		};

		result = put_any(export, &file, err);
	}
	return result;
}

int export_layer(const struct export_request *request, struct export_result *result, struct error *err)
{
	struct export export = { .request = request, .result = result };
	int done;

	*result = (struct export_result){ 0 };
	done = tar_write_begin(&export.tar, request->out, err);
	if (done == 0)
		done = walk_begin(&export.walk, request->tree, -1, err);
	if (done == 0)
		done = put_tree(&export, err);
	if (done == 0)
		done = tar_write_end(export.tar, result->digest, &result->tar_bytes, err);
	tar_write_free(export.tar);
	walk_end(export.walk);
	link_table_free(&export.links);
	xattrs_free(&export.xattrs);
	buf_free(&export.name);
	return done < 0 ? error_step(err, "export the layer") : 0;
}

int export_size(int tree, uint64_t *size, struct error *err)
{
	struct link_table links = { 0 };
	const struct walk_entry *entry;
	struct walk *walk;
	int result = walk_begin(&walk, tree, -1, err);

	*size = 0;
	while (result == 0 && (result = walk_next(walk, &entry, err)) > 0) {
		const struct stat *status = &entry->status[WALK_TREE];
		const char *first = NULL;

		result = 0;
		if (!S_ISREG(status->st_mode))
			continue;
		if (status->st_nlink > 1)
			result = link_table_add(&links, status, "", &first, err);
		if (!first)
			*size += (uint64_t)status->st_size;
	}
	walk_end(walk);
	link_table_free(&links);
	return result < 0 ? error_step(err, "measure the layer") : 0;
}
