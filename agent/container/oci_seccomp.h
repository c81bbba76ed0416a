/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_OCI_SECCOMP_H
#define CONTAINER_OCI_SECCOMP_H

#include "container/oci_table.h"

/* linux.seccomp: words become libcontainer's numbers and names, and a rule for many system calls one for each. */
extern const struct oci_table oci_seccomp_table;

/* True for a filter without a default action and without rules, which is none. */
bool oci_seccomp_is_none(json_object *value);

#endif
