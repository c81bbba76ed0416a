/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_NYDUS_BLOCK_H
#define VOLUME_NYDUS_BLOCK_H

#include "volume/volume.h"

/*
 * image_nydus_block, layer_nydus_block: a RAFS v6 (EROFS) bootstrap on a device, mounted by the kernel alone, with its blobs on
 * devices of their own, or behind the bootstrap on one flat disk (nydus' tarfs).
 */
extern const struct volume_driver nydus_block_image, nydus_block_layer;

#endif
