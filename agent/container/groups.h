/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONTAINER_GROUPS_H
#define CONTAINER_GROUPS_H

#include "base/undo.h"
#include "container/config.h"

/*
 * Makes the container's cgroup (v2) and sets the limits of the config, before anything runs in it.  Returns a
 * descriptor of the directory, for clone3's CLONE_INTO_CGROUP.  Conversions from the v1 numbers of the config follow runc's
 * documented ones.
 */
must_check int groups_create(const char *path, const struct config_cgroup *limits, struct undo *undo, struct error *err);

/* Closes the devices of the cgroup to all that are not allowed.  Apart, since making nodes is one of the things that it stops. */
must_check int groups_confine(int cgroup, struct error *err);

/* cpu.weight (1..10000) for cpu.shares (2..262144), by runc's logarithmic formula: 1024 shares are 100. */
unsigned groups_weight_from_shares(uint64_t shares);

#endif
