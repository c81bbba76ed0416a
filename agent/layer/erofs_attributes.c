/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/erofs_attributes.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "layer/whiteout.h"
#include "storage/erofs_format.h"

/* Linux fs/erofs/erofs_fs.h: EROFS_XATTR_INDEX_*.  An access control list is told by its prefix alone. */
static const struct prefix {
	const char *text;
	uint8_t index;
	bool whole;
} prefixes[] = {
	{ "user.", 1, false },
	{ "system.posix_acl_access", 2, true },
	{ "system.posix_acl_default", 3, true },
	{ "trusted.", 4, false },
	{ "security.", 6, false },
};

static const struct prefix *prefix_of(const char *name)
{
	for (size_t i = 0; i < array_count(prefixes); i++) {
		const struct prefix *prefix = &prefixes[i];

		if (prefix->whole ? strcmp(name, prefix->text) == 0 : strncmp(name, prefix->text, strlen(prefix->text)) == 0)
			return prefix;
	}
	return NULL;
}

/* The i-th of them: the directory's mark comes behind the others.  False: there is none any more. */
static bool attribute_at(const struct xattrs *xattrs, size_t i, struct xattr *xattr)
{
	static uint8_t const opaque[] = WHITEOUT_OPAQUE_VALUE;

	if (i < xattrs->count)
		*xattr = xattrs->items[i];
	else if (i == xattrs->count && xattrs->opaque)
		*xattr = (struct xattr){ .name = WHITEOUT_OPAQUE_XATTR, .value = (uint8_t *)opaque, .size = sizeof(opaque) - 1 };
	else
		return false;
	return true;
}

static size_t padded(size_t size)
{
	return (size + 3) / 4 * 4;
}

int erofs_attributes_size(const struct xattrs *xattrs, uint32_t *size, struct error *err)
{
	size_t sum = sizeof(struct erofs_attributes);
	struct xattr xattr;

	*size = 0;
	for (size_t i = 0; attribute_at(xattrs, i, &xattr); i++) {
		const struct prefix *prefix = prefix_of(xattr.name);

		if (!prefix)
			return error_set(err, ERROR_LAYER, EOPNOTSUPP, "the extended attribute %s", xattr.name);
		if (xattr.size > UINT16_MAX)
			return error_set(err, ERROR_LAYER, E2BIG, "the extended attribute %s: an image takes values of %u bytes",
					 xattr.name, UINT16_MAX);
		sum += padded(sizeof(struct erofs_attribute) + strlen(xattr.name + strlen(prefix->text)) + xattr.size);
		if (sum > EROFS_ATTRIBUTES_MAX)
			return error_set(err, ERROR_LAYER, E2BIG, "an image takes %u bytes of extended attributes of a file",
					 EROFS_ATTRIBUTES_MAX);
		*size = (uint32_t)sum;
	}
	return 0;
}

void erofs_attributes_put(const struct xattrs *xattrs, uint8_t *bytes)
{
	const struct erofs_attributes head = { 0 };
	struct xattr xattr;

	for (size_t i = 0; attribute_at(xattrs, i, &xattr); i++) {
		const struct prefix *prefix = prefix_of(xattr.name);
		const char *name = prefix ? xattr.name + strlen(prefix->text) : "";
		size_t length = strlen(name), used = sizeof(struct erofs_attribute) + length + xattr.size;
		const struct erofs_attribute entry = {
			.name_length = (uint8_t)length,
			.prefix = prefix ? prefix->index : 0,
			.size = htole16((uint16_t)xattr.size),
		};

		if (i == 0) {
			memcpy(bytes, &head, sizeof(head));
			bytes += sizeof(head);
		}
		memcpy(bytes, &entry, sizeof(entry));
		memcpy(bytes + sizeof(entry), name, length);
		if (xattr.size > 0)
			memcpy(bytes + sizeof(entry) + length, xattr.value, xattr.size);
		memset(bytes + used, 0, padded(used) - used);
		bytes += padded(used);
	}
}

uint16_t erofs_attributes_count(uint32_t size)
{
	return size ? (uint16_t)((size - sizeof(struct erofs_attributes)) / 4 + 1) : 0;
}
