/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_EROFS_ATTRIBUTES_H
#define LAYER_EROFS_ATTRIBUTES_H

#include <stdint.h>

#include "base/error.h"
#include "layer/xattrs.h"

/* The extended attributes behind an EROFS inode (storage/erofs_format.h), that of an opaque directory included. */

#define EROFS_ATTRIBUTES_MAX (12u + 4 * 65534u) /* bytes: what an inode can count */

/* 0 when there are none.  ERROR_LAYER: a value of more than 65535 bytes, or more in all than an inode has room for. */
must_check int erofs_attributes_size(const struct xattrs *xattrs, uint32_t *size, struct error *err);
/* Into `bytes`, of which there are as many as erofs_attributes_size said. */
void erofs_attributes_put(const struct xattrs *xattrs, uint8_t *bytes);
/* What the inode says of `size` bytes of them. */
uint16_t erofs_attributes_count(uint32_t size);

#endif
