/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_DIRECT_BLOCK_H
#define VOLUME_DIRECT_BLOCK_H

#include "volume/volume.h"

/*
 * direct_block: a disk with a file system that the guest did not make.  Whatever is on it is the host's word, and the host reads
 * what is written: for VMs that were started with plain storage allowed.
 */
extern const struct volume_driver direct_block;

#endif
