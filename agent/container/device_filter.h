/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_DEVICE_FILTER_H
#define CONTAINER_DEVICE_FILTER_H

#include "base/error.h"

/*
 * What device nodes the processes of a cgroup may make and open: null, zero, full, random, urandom, tty, console, ptmx and
 * the pseudo-terminals; nothing else.  Without it CAP_MKNOD would reach the disks below the encryption (CVE-2020-2023).
 * A BPF_PROG_TYPE_CGROUP_DEVICE program on the cgroup; it goes with the cgroup.
 */
must_check int device_filter_attach(int cgroup, struct error *err);

#endif
