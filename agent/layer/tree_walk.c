/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/tree_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/tree_attributes.h"

#define LINKS_MAX 40u   /* as the kernel's */
#define STEPS_MAX 4096u /* links full of ".." make a walk begin again and again */

int tree_walk_name(const char *name, char clean[TREE_PATH], struct error *err)
{
	size_t used = 0;
	unsigned depth = 0;

	for (const char *at = name; *at;) {
		size_t length = strcspn(at, "/");
		const char *component = at;

		at += length + (at[length] == '/');
		if (length == 0 || (length == 1 && component[0] == '.'))
			continue;
		if (length == 2 && component[0] == '.' && component[1] == '.')
			return error_set(err, ERROR_LAYER, 0, "\"%.120s\" leads upwards (\"..\")", name);
		if (length > TREE_COMPONENT)
			return error_set(err, ERROR_LAYER, 0, "\"%.120s\" has a component of more than %u bytes", name,
					 TREE_COMPONENT);
		if (++depth > TREE_DEPTH || used + length + 2 > TREE_PATH)
			return error_set(err, ERROR_LAYER, 0, "\"%.120s\" is deeper than %u directories, or longer than %u bytes",
					 name, TREE_DEPTH, TREE_PATH - 1);
		if (used > 0)
			clean[used++] = '/';
		memcpy(clean + used, component, length);
		used += length;
	}
	clean[used] = '\0';
	return 0;
}

/* One step down; nothing is followed, and nothing leads out. */
static int open_below(int directory, const char *name, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};

	for (int tries = 0; tries < 128; tries++) {
		long fd = syscall(SYS_openat2, directory, name, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

void tree_walk_leave(struct tree_place *place)
{
	close_fd(&place->upper);
	close_fd(&place->lower);
}

int tree_walk_look(int directory, const char *name, struct stat *status, struct error *err)
{
	if (fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : error_set(err, ERROR_INTERNAL, errno, "look at \"%.120s\"", name);
}

bool tree_walk_is_whiteout(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && status->st_rdev == 0;
}

int tree_walk_count(struct tree *tree, struct error *err)
{
	if (tree->files >= tree->request->limits.files)
		return error_set(err, ERROR_LAYER, 0, "the layer has more than %llu files, its limit",
				 (unsigned long long)tree->request->limits.files);
	tree->files++;
	return 0;
}

/* ---- copying up ---- */

static int copy_range(struct tree *tree, int from, int to, off_t at, off_t end, struct error *err)
{
	while (at < end) {
		size_t wanted = end - at < (off_t)sizeof(tree->buffer) ? (size_t)(end - at) : sizeof(tree->buffer);
		ssize_t got = pread(from, tree->buffer, wanted, at);

		if (got <= 0)
			return error_set(err, ERROR_INTERNAL, got < 0 ? errno : EIO, "read a file that is below");
		for (ssize_t done = 0; done < got;) {
			ssize_t put = pwrite(to, tree->buffer + done, (size_t)(got - done), at + done);

			if (put <= 0)
				return error_set(err, ERROR_INTERNAL, put < 0 ? errno : EIO,
						 "write a copy of a file that is below");
			done += put;
		}
		at += got;
	}
	return 0;
}

static int copy_file(struct tree *tree, const struct tree_place *place, const char *name, struct error *err)
{
	struct stat status;
	off_t at = 0, end;
	int result = 0;
	fd_auto from = open_below(place->lower, name, O_RDONLY);

	if (from < 0)
		return error_set(err, ERROR_INTERNAL, -from, "open \"%.120s\" below", name);
	if (fstat(from, &status) < 0 || !S_ISREG(status.st_mode))
		return error_set(err, ERROR_INTERNAL, EIO, "look at \"%.120s\" below", name);
	if ((uint64_t)status.st_size > tree->request->limits.bytes - tree->bytes)
		return error_set(err, ERROR_LAYER, 0,
				 "a copy of \"%.120s\", which is below, is more than the layer's limit of bytes", name);
	tree->bytes += (uint64_t)status.st_size;
	fd_auto to = openat(place->upper, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0 || ftruncate(to, status.st_size) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a copy of \"%.120s\"", name);
	while (result == 0 && at < status.st_size) {
		at = lseek(from, at, SEEK_DATA);
		if (at < 0 && errno == ENXIO)
			break; /* a hole to the end */
		end = at < 0 ? -1 : lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return error_set(err, ERROR_INTERNAL, errno, "look for holes of \"%.120s\"", name);
		result = copy_range(tree, from, to, at, end < status.st_size ? end : status.st_size, err);
		at = end;
	}
	return result;
}

static int copy_node(struct tree *tree, const struct tree_place *place, const char *name, const struct stat *below,
		     struct error *err)
{
	char link[TREE_PATH];

	switch (below->st_mode & S_IFMT) {
	case S_IFREG:
		return copy_file(tree, place, name, err);
	case S_IFDIR:
		if (mkdirat(place->upper, name, 0700) < 0)
			break;
		return 0;
	case S_IFLNK: {
		ssize_t length = readlinkat(place->lower, name, link, sizeof(link) - 1);

		if (length < 0)
			break;
		link[length] = '\0';
		if (symlinkat(link, place->upper, name) < 0)
			break;
		return 0;
	}
	case S_IFCHR:
	case S_IFBLK:
		if (!tree->request->devices || tree_walk_is_whiteout(below))
			return error_set(err, ERROR_LAYER, 0, "\"%.120s\", which is below, is a device", name);
		/* fall through */
	default:
		if (mknodat(place->upper, name, below->st_mode & S_IFMT, below->st_rdev) < 0)
			break;
		return 0;
	}
	return error_set(err, ERROR_INTERNAL, errno, "copy \"%.120s\" up", name);
}

int tree_walk_copy_up(struct tree *tree, const struct tree_place *place, const char *name, const struct stat *below,
		      struct error *err)
{
	const struct tree_attributes attributes = {
		.uid = below->st_uid,
		.gid = below->st_gid,
		.mode = below->st_mode,
		.times = { below->st_atim, below->st_mtim },
		.lower = place->lower,
	};
	int result = tree_walk_count(tree, err);

	if (result == 0)
		result = copy_node(tree, place, name, below, err);
	return result < 0 ? result : tree_attributes_set(tree, place, name, &attributes, err);
}

/* ---- walking ---- */

/* Not named by the archive, and not there: 0755, root's. */
static int make_implied(struct tree *tree, const struct tree_place *place, const char *name, struct error *err)
{
	struct tree_attributes attributes = { .mode = S_IFDIR | 0755, .times = { tree->now, tree->now }, .lower = -1 };
	int result = tree_walk_count(tree, err);

	if (result == 0)
		result = tree_attributes_owner(tree, 0, 0, &attributes, err);
	if (result == 0 && mkdirat(place->upper, name, 0700) < 0)
		result = error_set(err, ERROR_INTERNAL, errno, "make the directory \"%.120s\"", name);
	return result < 0 ? result : tree_attributes_set(tree, place, name, &attributes, err);
}

static int go_to_top(struct tree *tree, struct tree_place *place, struct error *err)
{
	tree_walk_leave(place);
	place->path[0] = '\0';
	place->depth = 0;
	place->upper = openat(tree->request->tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->upper < 0 ||
	    (tree->lower >= 0 && (place->lower = openat(tree->lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0))
		return error_set(err, ERROR_INTERNAL, errno, "open the layer's tree");
	return 0;
}

/* The directory is there in the upper one. */
static int enter(struct tree_place *place, const char *name, struct error *err)
{
	size_t used = strlen(place->path);
	fd_auto upper = open_below(place->upper, name, O_RDONLY | O_DIRECTORY);
	fd_auto lower = -1;

	if (upper < 0)
		return error_set(err, ERROR_INTERNAL, -upper, "open the directory \"%.120s\"", name);
	if (place->lower >= 0 && !tree_attributes_is_opaque(upper)) {
		lower = open_below(place->lower, name, O_RDONLY | O_DIRECTORY);
		if (lower < 0 && lower != -ENOENT && lower != -ENOTDIR && lower != -ELOOP)
			return error_set(err, ERROR_INTERNAL, -lower, "open the directory \"%.120s\" below", name);
	}
	if (++place->depth > TREE_DEPTH ||
	    text_format(place->path + used, sizeof(place->path) - used, "%s%s", used ? "/" : "", name) < 0)
		return error_set(err, ERROR_LAYER, 0, "\"%.120s\" is deeper than %u directories, or longer than %u bytes",
				 place->path, TREE_DEPTH, TREE_PATH - 1);
	tree_walk_leave(place);
	place->upper = take_fd(&upper);
	place->lower = lower >= 0 ? take_fd(&lower) : -1;
	return 0;
}

static int read_link(int directory, const char *name, char link[TREE_PATH], struct error *err)
{
	ssize_t length = readlinkat(directory, name, link, TREE_PATH - 1);

	if (length <= 0)
		return error_set(err, ERROR_INTERNAL, length < 0 ? errno : EIO, "read the link \"%.120s\"", name);
	link[length] = '\0';
	return 1;
}

static int not_a_directory(const struct tree_place *place, const char *name, struct error *err)
{
	return error_set(err, ERROR_LAYER, 0, "\"%.80s%s%.80s\" is not a directory, so nothing can be in it", place->path,
			 place->path[0] ? "/" : "", name);
}

/* 0: the place is the directory of this name now.  1: it is a link, whose text is in `link`. */
static int step(struct tree *tree, struct tree_place *place, const char *name, char link[TREE_PATH], struct error *err)
{
	struct stat status;
	int result = tree_walk_look(place->upper, name, &status, err);

	if (result < 0)
		return result;
	if (result > 0 && S_ISLNK(status.st_mode))
		return read_link(place->upper, name, link, err);
	if (result > 0 && tree_walk_is_whiteout(&status)) {
		/* A whiteout hides what is below, and no file of its own layer, whichever comes first. */
		if (unlinkat(place->upper, name, 0) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "remove the whiteout of \"%.120s\"", name);
		result = make_implied(tree, place, name, err);
		if (result == 0)
			result = tree_attributes_make_opaque(place, name, err);
		return result < 0 ? result : enter(place, name, err);
	}
	if (result > 0)
		return S_ISDIR(status.st_mode) ? enter(place, name, err) : not_a_directory(place, name, err);

	if (place->lower >= 0)
		result = tree_walk_look(place->lower, name, &status, err);
	if (result < 0)
		return result;
	if (result > 0 && S_ISLNK(status.st_mode))
		return read_link(place->lower, name, link, err);
	if (result > 0 && !S_ISDIR(status.st_mode))
		return not_a_directory(place, name, err);
	result = result > 0 ? tree_walk_copy_up(tree, place, name, &status, err) : make_implied(tree, place, name, err);
	return result < 0 ? result : enter(place, name, err);
}

/* What is left to walk becomes "first/rest". */
static int put_before(struct tree *tree, const char *first, const char *rest, struct error *err)
{
	if (text_format(tree->scratch, sizeof(tree->scratch), "%s/%s", first, rest) < 0)
		return error_set(err, ERROR_LAYER, 0, "links make a path that is too long");
	memcpy(tree->rest, tree->scratch, sizeof(tree->rest));
	return 0;
}

/* ".." of a link's text: one up, and never above the top.  The way is walked again, as what shows of below depends on it. */
static int go_up(struct tree *tree, struct tree_place *place, const char *rest, struct error *err)
{
	char *slash = strrchr(place->path, '/');

	if (slash)
		*slash = '\0';
	else
		place->path[0] = '\0';
	int result = put_before(tree, place->path, rest, err);
	return result < 0 ? result : go_to_top(tree, place, err);
}

int tree_walk(struct tree *tree, const char *name, struct tree_place *place, struct error *err)
{
	char component[TREE_COMPONENT + 1], link[TREE_PATH];
	unsigned links = 0, steps = 0;
	char *at = tree->rest;
	int result = go_to_top(tree, place, err);

	if (result == 0 && text_format(tree->rest, sizeof(tree->rest), "%s", name) < 0)
		result = error_set(err, ERROR_LAYER, 0, "\"%.120s\" is too long", name);
	while (result == 0 && *at) {
		size_t length = strcspn(at, "/");

		if (length > TREE_COMPONENT)
			return error_set(err, ERROR_LAYER, 0, "\"%.120s\" goes through a name of more than %u bytes", name,
					 TREE_COMPONENT);
		memcpy(component, at, length);
		component[length] = '\0';
		at += length + (at[length] == '/');
		if (length == 0 || strcmp(component, ".") == 0)
			continue;
		if (++steps > STEPS_MAX)
			return error_set(err, ERROR_LAYER, ELOOP, "\"%.120s\" goes through too many directories", name);
		if (strcmp(component, "..") == 0) {
			result = go_up(tree, place, at, err);
			at = tree->rest;
			continue;
		}
		result = step(tree, place, component, link, err);
		if (result <= 0)
			continue;
		if (++links > LINKS_MAX)
			return error_set(err, ERROR_LAYER, ELOOP, "\"%.120s\" goes through more than %u links", name, LINKS_MAX);
		result = put_before(tree, link, at, err);
		if (result == 0 && link[0] == '/')
			result = go_to_top(tree, place, err);
		at = tree->rest;
	}
	return result;
}
