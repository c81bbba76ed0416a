/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_RAW_BLOCK_H
#define VOLUME_RAW_BLOCK_H

#include "volume/volume.h"

/* image_raw_block: a read-only file system image on a block device, under dm-verity. */
extern const struct volume_driver raw_block_image;

#endif
