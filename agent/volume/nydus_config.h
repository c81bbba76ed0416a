/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_NYDUS_CONFIG_H
#define VOLUME_NYDUS_CONFIG_H

#include "volume/virtual_volume.h"

/*
 * `nydus_image.config` of a volume that the kernel mounts alone: where the blobs of the bootstrap are, in the order of its device
 * table. A JSON text, {"blobs":[{"id":TAG,"source":DEVICE,"dm_verity":{...}}]} for blobs on devices,
 * {"blobs":[{"id":TAG,"path":FILE}]} for files below snapshot_dir.  `id` may be left out; given, it must be the tag in the table.
 * A config for nydusd is refused: there is no nydusd here.
 */
struct nydus_blob {
	const char *id, *source, *path;
	json_object *dm_verity_json;
	struct virtual_volume_verity dm_verity; /* decoded from it */
	bool has_dm_verity;
};

struct nydus_config {
	struct decode_list blobs; /* struct nydus_blob; empty: the bootstrap names no devices, or is a flat disk */
	json_object *json;
	struct decode_memory memory;
};

/* An absent or empty config is one without blobs.  ERROR_PARAMS with the field.  The config is the caller's to free, always. */
must_check int nydus_config_read(const struct virtual_volume *volume, bool files, bool plain_allowed, struct nydus_config *config,
				 struct error *err);
void nydus_config_free(struct nydus_config *config);
/* Is the blob, if it says what it is, the one that the table names here? */
must_check int nydus_config_match(const struct nydus_blob *blob, const char *tag, size_t index, struct error *err);

#endif
