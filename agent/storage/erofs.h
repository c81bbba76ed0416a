/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_EROFS_H
#define STORAGE_EROFS_H

#include <stdint.h>

#include "base/error.h"

/*
 * What an EROFS image (and so a RAFS v6 bootstrap, which is one) says of the devices that it is spread over.  The kernel mounts an
 * image with devices missing or too small, and fails when a file is read: so this is checked before.
 *
 * https://docs.kernel.org/filesystems/erofs.html; Linux: fs/erofs/erofs_fs.h; nydus: docs/nydus-design.md
 */

#define EROFS_DEVICES_MAX 512u

struct erofs_device {
	char tag[65];    /* a blob's id, or "" */
	uint64_t bytes;  /* that the image uses of it */
	uint64_t mapped; /* bytes: where it lies when all are one flat disk; 0: nowhere */
};

struct erofs_layout {
	uint32_t block_size; /* bytes: 512 to 4096 */
	uint64_t bytes;      /* of the image itself, without its devices */
	uint32_t device_count;
	struct erofs_device devices[EROFS_DEVICES_MAX];
};

/* `size`: bytes that can be read.  ERROR_MOUNT; ERROR_UNSUPPORTED_VOLUME for RAFS v5, which no kernel mounts. */
must_check int erofs_read(int fd, uint64_t size, struct erofs_layout *layout, struct error *err);

/* Is the image with all its devices in one disk of `size` bytes, each device in a range of its own?  ERROR_MOUNT. */
must_check int erofs_check_flat(const struct erofs_layout *layout, uint64_t size, struct error *err);

#endif
