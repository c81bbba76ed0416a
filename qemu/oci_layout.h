/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_OCI_LAYOUT_H
#define QEMU_OCI_LAYOUT_H

#include "qemu/oci_blob.h"
#include "qemu/oci_config.h"

/*
 * An OCI image layout (image-spec 1.0 and 1.1, image-layout.md), named "oci:FOLDER[:REF]".  Everything that is small is read and
 * summed up here; a layer's blob is looked at only as far as its size, since who unpacks it sums it up: the guest, by the digests.
 */

#define OCI_LAYOUT_PREFIX "oci:"

struct oci_layer {
	const char *digest;  /* of the blob */
	const char *diff_id; /* of the archive in it */
	uint64_t size;
};

struct oci_layout {
	int folder;
	char manifest[OCI_BLOB_NAME_SIZE]; /* its file */
	struct oci_layer *layers;          /* the lowest first; at least one */
	size_t layer_count;
	struct oci_config config;
	struct decode_memory memory;
	json_object *manifest_json, *config_json;
};

#define OCI_LAYOUT_NONE                                                                                                            \
	{                                                                                                                          \
		.folder = -1                                                                                                       \
	}

bool oci_layout_is(const char *name);

/*
 * Finds the image `name` for `platform` ("OS/ARCHITECTURE"; NULL: this machine's), reads and checks it.  ERROR_HOST, with the file
 * and the member in the message.  oci_layout_close, also after a failure.
 */
must_check int oci_layout_open(const char *name, const char *platform, struct oci_layout *layout, struct error *err);
void oci_layout_close(struct oci_layout *layout);

/* The blob of a layer, from its beginning; the caller's. */
must_check int oci_layout_layer(const struct oci_layout *layout, size_t index, struct error *err);

#endif
