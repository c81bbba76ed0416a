/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_OCI_RESOURCES_H
#define CONTAINER_OCI_RESOURCES_H

#include "container/oci_table.h"

/* linux.resources into the members of libcontainer's `cgroups`. */
extern const struct oci_table oci_resources_table;

/* An element of linux.devices; and, to be called when all of them are there, the usual six behind them. */
extern const struct oci_table oci_resources_device_table;
must_check int oci_resources_add_nodes(const struct oci_table_output *output, json_object *value, json_object *out,
				       struct error *err);

#endif
