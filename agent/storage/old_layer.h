/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_OLD_LAYER_H
#define STORAGE_OLD_LAYER_H

#include "storage/encrypted.h"

/*
 * An image layer of the secureoverlay2 storage driver: LUKS1 (storage/luks1.h), an ext4 below it, nothing authenticated.  Mapped
 * and mounted read-only, without replaying a journal.  The kernel's ext4 reads what whoever wrote the image wanted it to read: only
 * for VMs whose owner has said that this is wanted.
 *
 * As encrypted_open(); of `place`, `use` says nothing.  *size is the file system's place, bytes.  ERROR_HEADER, ERROR_KEY,
 * ERROR_CRYPT, ERROR_MOUNT.
 */
#define OLD_LAYER_FILE "base.img" /* in the layer's own tree */

must_check int old_layer_open(const struct encrypted_place *place, const struct luks_key *key, uint64_t *size, struct error *err);

#endif
