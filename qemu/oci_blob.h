/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_OCI_BLOB_H
#define QEMU_OCI_BLOB_H

#include "base/decode.h"

/*
 * The files of an OCI image layout.  Names are relative to the layout's folder.  Every error is an ERROR_HOST whose message begins
 * with the file and, where there is one, the member in it: "index.json: manifests[0].size: must be ...".
 */

#define OCI_BLOB_JSON_MAX  (4u * 1024u * 1024u) /* bytes of an index, a manifest or a config */
#define OCI_BLOB_NAME_SIZE 80                   /* "blobs/sha256/" and 64 digits */

/* "sha256:" and 64 lower-case hex digits, which alone may become part of a path; for `check` in rows. */
must_check int oci_blob_check_digest(const char *digest, struct error *err);
/* "blobs/sha256/HEX" of a digest that has been checked. */
void oci_blob_name(const char *digest, char name[OCI_BLOB_NAME_SIZE]);

/*
 * Opens a regular file that is no symbolic link; returns the descriptor, the caller's.  `digest`: NULL, or *size is what the file
 * must have, and is named so in the error; without it *size is set.
 */
must_check int oci_blob_open(int folder, const char *name, const char *digest, uint64_t *size, struct error *err);

/*
 * One JSON text.  `digest` (NULL: none) is summed up over the very bytes that are parsed, `size` compared with it.  *json is the
 * caller's to put.
 */
must_check int oci_blob_read(int folder, const char *name, const char *digest, uint64_t size, json_object **json,
			     struct error *err);

/* decode_object, but for keys that the schema does not have: a reader of OCI documents passes them over, and so they go from
 * `json`. */
must_check int oci_blob_decode(json_object *json, const char *name, const struct decode_schema *schema, void *object,
			       struct decode_memory *memory, struct error *err);

#endif
