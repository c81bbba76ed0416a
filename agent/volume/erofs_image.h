/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_EROFS_IMAGE_H
#define VOLUME_EROFS_IMAGE_H

#include "volume/mapped.h"
#include "volume/nydus_config.h"

/*
 * Mounts an EROFS image that lies on a device, with the devices that it is spread over: `config`'s blobs, each a disk of its own;
 * or, with none or NULL, ranges of the same disk (nydus' tarfs: the bootstrap, then the layers' tars).  A table that names more
 * than is there is an error here: the kernel would mount it, and fail when a file is read.  For workers.
 */
must_check int erofs_image_mount(const struct volume_attach *request, const struct mapped *image, const struct nydus_config *config,
				 struct volume_context *context, struct error *err);

#endif
