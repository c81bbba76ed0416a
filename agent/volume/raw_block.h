/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_RAW_BLOCK_H
#define VOLUME_RAW_BLOCK_H

#include "volume/volume.h"

/* image_raw_block, layer_raw_block: a file system image on a block device, read-only, under dm-verity. */
extern const struct volume_driver raw_block_image, raw_block_layer;

#endif
