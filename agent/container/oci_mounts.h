/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_OCI_MOUNTS_H
#define CONTAINER_OCI_MOUNTS_H

#include "container/oci_table.h"

/*
 * An element of `mounts`: the options become libcontainer's flags, propagation_flags, cleared_flags, rec_attr, extensions and
 * id_mapping; what is no such option is the file system's own and goes to `data`.
 */
extern const struct oci_table oci_mounts_table;

/* The rows of an id mapping, which user namespaces have too. */
extern const struct oci_table oci_mounts_id_table;

/* A word of linux.rootfsPropagation and its mount(2) flags. */
extern const struct oci_table_word oci_mounts_propagation[];

#endif
