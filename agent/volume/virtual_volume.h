/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VOLUME_VIRTUAL_VOLUME_H
#define VOLUME_VIRTUAL_VOLUME_H

#include <json-c/json.h>

#include "base/decode.h"
#include "base/error.h"
#include "storage/verity.h"

/*
 * A Kata virtual volume, as nydus-snapshotter and Kata's shims write it (KataVirtualVolume of kata-containers 4.1:
 * src/libs/kata-types/src/mount.rs, src/runtime/virtcontainers/types/virtual_volume.go).  Where the Rust and Go readers disagree,
 * the stricter one is followed, except for the superblock: see enum verity_superblock.
 */

#define VIRTUAL_VOLUME_OPTION "io.katacontainers.volume="

struct virtual_volume_verity {
	const char *hashtype, *hash, *salt;
	uint64_t blocknum, blocksize, hashsize, offset, hash_type;
	bool no_superblock, has_no_superblock, has_hash_type;
	/* Ours: docs/VOLUMES.md. */
	const char *on_corruption, *signature;
	uint64_t fec_offset, fec_roots;
};

/* The members that belong to some types only: bits for rules.h. */
enum virtual_volume_member {
	VIRTUAL_VOLUME_DIRECT_VOLUME = 1,
	VIRTUAL_VOLUME_IMAGE_PULL = 2,
	VIRTUAL_VOLUME_NYDUS_IMAGE = 4,
	VIRTUAL_VOLUME_DM_VERITY = 8,
};

struct virtual_volume_metadata {
	struct decode_list pairs; /* struct decode_pair */
};

struct virtual_volume_nydus {
	const char *config, *snapshot_dir;
};

struct virtual_volume {
	const char *volume_type, *source, *fs_type;
	struct decode_list options; /* const char * */
	bool has_dm_verity, has_direct_volume, has_image_pull, has_nydus_image;
	json_object *dm_verity_json;
	struct virtual_volume_verity dm_verity; /* decoded from it */
	struct virtual_volume_metadata direct_volume, image_pull;
	struct virtual_volume_nydus nydus_image;
};

/*
 * `json` is the object itself, or a string: base64 of it, with or without the option's name before it.  *parsed holds what strings
 * point to when it was a string (NULL otherwise); the caller puts it.  Fields in errors are relative to the volume.
 */
must_check int virtual_volume_decode(json_object *json, struct virtual_volume *volume, json_object **parsed,
				     struct decode_memory *memory, struct error *err);

/* The VIRTUAL_VOLUME_* bits of the members that are there. */
unsigned virtual_volume_members(const struct virtual_volume *volume);
/* The text of a metadata key; NULL when it is not there. */
const char *virtual_volume_metadata(const struct virtual_volume_metadata *metadata, const char *key);

/*
 * The dm_verity member: an object, or nydus-snapshotter's text for tarfs, "DATA BLOCKS,HASH OFFSET,sha256:ROOT", which means data
 * blocks of 512 bytes, hash blocks of 4096, no salt and no superblock (pkg/tarfs and snapshot/mount_option.go there).  Fields in
 * errors are relative to the member.
 */
must_check int virtual_volume_verity_decode(json_object *json, struct virtual_volume_verity *verity, struct decode_memory *memory,
					    struct error *err);
/*
 * The checks of a dm_verity member, and its texts as bytes: power-of-two sizes, alignment, overflow, the areas' order.
 * ERROR_PARAMS with the field from "dm_verity" on.
 */
must_check int virtual_volume_verity(const struct virtual_volume_verity *from, struct verity *verity, struct error *err);

#endif
