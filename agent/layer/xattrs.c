/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/xattrs.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "layer/whiteout.h"

/* Of the layer: a name, or a prefix that ends in a dot. */
static const char *const kept[] = {
	"security.capability",
	"system.posix_acl_access",
	"system.posix_acl_default",
	"user.",
};
static const char *const never[] = {
	"user.overlay.",
};
/* Linux Documentation/filesystems/overlayfs.rst.  Content or names are elsewhere, or a file is none. */
static const char *const refused[] = {
	"trusted.overlay.redirect",
	"trusted.overlay.metacopy",
	"trusted.overlay.whiteout",
};

static bool is_one_of(const char *const *list, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(list[i]);

		if (list[i][length - 1] == '.' ? strncmp(name, list[i], length) == 0 : strcmp(name, list[i]) == 0)
			return true;
	}
	return false;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

/* The value, at the end of `values`.  Returns its size; -ENODATA when it is gone. */
static ssize_t read_value(struct xattrs *xattrs, const char *path, const char *name, struct error *err)
{
	char *room;
	int result = buf_room(&xattrs->values, XATTR_SIZE_MAX, &room);

	if (result < 0)
		return error_set(err, result == -EMSGSIZE ? ERROR_LAYER : ERROR_INTERNAL, result == -EMSGSIZE ? E2BIG : -result,
				 "extended attributes");
	ssize_t size = lgetxattr(path, name, room, XATTR_SIZE_MAX);
	if (size < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read the extended attribute %s", name);
	buf_filled(&xattrs->values, (size_t)size);
	return size;
}

static int add(struct xattrs *xattrs, const char *path, const char *name, struct error *err)
{
	if (is_one_of(refused, array_count(refused), name))
		return error_set(err, ERROR_LAYER, EOPNOTSUPP, "%s", name);
	bool opaque = strcmp(name, WHITEOUT_OPAQUE_XATTR) == 0;
	if (!opaque && (!is_one_of(kept, array_count(kept), name) || is_one_of(never, array_count(never), name)))
		return 0;
	if (xattrs->count == xattrs->room) {
		size_t room = xattrs->room ? xattrs->room * 2 : 16;
		struct xattr *items = realloc(xattrs->items, room * sizeof(*items));

		if (!items)
			return error_set(err, ERROR_INTERNAL, ENOMEM, "extended attributes");
		xattrs->items = items;
		xattrs->room = room;
	}
	ssize_t size = read_value(xattrs, path, name, err);
	if (size < 0)
		return size == -ENODATA ? 0 : (int)size;
	if (!opaque) {
		xattrs->items[xattrs->count++] = (struct xattr){ .name = name, .size = (size_t)size };
		return 0;
	}
	/* A mark, and no attribute of the layer's: only the values of those stay. */
	xattrs->values.end -= (size_t)size;
	xattrs->opaque = size == sizeof(WHITEOUT_OPAQUE_VALUE) - 1 &&
			 memcmp(xattrs->values.data + xattrs->values.end, WHITEOUT_OPAQUE_VALUE, (size_t)size) == 0;
	return 0;
}

int xattrs_read(struct xattrs *xattrs, int directory, const char *name, struct error *err)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int) + NAME_MAX], *names;
	uint8_t *value;

	xattrs->count = 0;
	xattrs->opaque = false;
	xattrs->values.start = xattrs->values.end = xattrs->names.start = xattrs->names.end = 0;
	xattrs->values.limit = XATTRS_MAX + XATTR_SIZE_MAX;
	if (text_format(path, sizeof(path), "/proc/self/fd/%d/%s", directory, name) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "read extended attributes");
	if (buf_room(&xattrs->names, XATTR_LIST_MAX, &names) < 0)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "extended attributes");
	ssize_t size = llistxattr(path, names, XATTR_LIST_MAX);
	if (size < 0 && errno != EOPNOTSUPP)
		return error_set(err, ERROR_INTERNAL, errno, "list the extended attributes");
	for (const char *at = names; size > 0 && at < names + size; at += strlen(at) + 1) {
		int result = add(xattrs, path, at, err);

		if (result < 0)
			return result;
	}
	/* Only now do the values stay where they are. */
	value = (uint8_t *)xattrs->values.data;
	for (size_t i = 0; i < xattrs->count; i++) {
		xattrs->items[i].value = value;
		value += xattrs->items[i].size;
	}
	if (xattrs->count > 1)
		qsort(xattrs->items, xattrs->count, sizeof(*xattrs->items), by_name);
	return 0;
}

bool xattrs_equal(const struct xattrs *a, const struct xattrs *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct xattr *x = &a->items[i], *y = &b->items[i];

		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    (x->size > 0 && memcmp(x->value, y->value, x->size) != 0))
			return false;
	}
	return true;
}

void xattrs_free(struct xattrs *xattrs)
{
	free(xattrs->items);
	buf_free(&xattrs->names);
	buf_free(&xattrs->values);
	*xattrs = (struct xattrs){ 0 };
}
