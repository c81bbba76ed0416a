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
};

struct virtual_volume {
	const char *volume_type, *source, *fs_type;
	struct decode_list options; /* const char * */
	struct virtual_volume_verity dm_verity;
	bool has_dm_verity;
	json_object *direct_volume, *image_pull, *nydus_image; /* NULL when absent; of no use to the types attached so far */
};

/*
 * `json` is the object itself, or a string: base64 of it, with or without the option's name before it.  *parsed holds what strings
 * point to when it was a string (NULL otherwise); the caller puts it.  Fields in errors are relative to the volume.
 */
must_check int virtual_volume_decode(json_object *json, struct virtual_volume *volume, json_object **parsed,
				     struct decode_memory *memory, struct error *err);

/* The checks of a dm_verity member, and its hex texts as bytes.  ERROR_PARAMS with the field from "dm_verity" on. */
must_check int virtual_volume_verity(const struct virtual_volume *volume, struct verity *verity, struct error *err);

#endif
