/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_OCI_H
#define CONTAINER_OCI_H

#include "container/oci_table.h"

/*
 * An OCI runtime spec (config.json, https://github.com/opencontainers/runtime-spec, version 1.x) into a libcontainer Config, as
 * config_decode reads it, and a process object, as config_decode_process does.  docs/CONFIG.md says of every key what it becomes.
 */

/* The whole document, for tests that walk it. */
extern const struct oci_table oci_table;

/*
 * On success *config and *process are the caller's, to json_object_put; they may share values with `spec`.  On failure both are
 * NULL, and err->field is the path in the document: "linux.seccomp.syscalls[3].action".
 */
must_check int oci_convert(json_object *spec, json_object **config, json_object **process, struct error *err);

/*
 * An error of what was converted, whose field begins with "config." or "process.", becomes one of the document: the field where
 * the value stood ("spec.mounts[2].options"), and the converted one in the message.
 */
void oci_blame(struct error *err);

#endif
