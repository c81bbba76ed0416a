/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_NYDUS_FS_H
#define VOLUME_NYDUS_FS_H

#include "volume/volume.h"

/*
 * image_nydus_fs, layer_nydus_fs: a RAFS v6 (EROFS) bootstrap and its blobs as files of another, verified volume, mounted by the
 * kernel: from the files themselves (Linux 6.12), through loop devices before.
 */
extern const struct volume_driver nydus_fs_image, nydus_fs_layer;

#endif
