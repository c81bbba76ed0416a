/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_OCI_CONFIG_H
#define QEMU_OCI_CONFIG_H

#include "base/decode.h"
#include "qemu/options.h"

/* The config of an OCI image (image-spec, config.md), as far as it matters here; Docker's has the same members. */

struct oci_config {
	const char *architecture, *os;
	struct {
		const char *type;
		struct decode_list diff_ids; /* const char *, the lowest layer's first */
	} rootfs;
	struct {
		const char *user, *working_dir;
		struct decode_list env, entrypoint, cmd; /* const char * */
	} run;
};

/* `json` and `memory` must outlive *config.  `name`: of the file, for errors. */
must_check int oci_config_decode(json_object *json, const char *name, struct oci_config *config, struct decode_memory *memory,
				 struct error *err);

/*
 * What is run and how: `options` with the image's own words where the command line has none.  What stands behind `--` replaces Cmd;
 * Entrypoint stays.  *own points into all three.
 */
must_check int oci_config_apply(const struct oci_config *config, const struct options *options, struct options *own,
				struct decode_memory *memory, struct error *err);

#endif
