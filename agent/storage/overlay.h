/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_OVERLAY_H
#define STORAGE_OVERLAY_H

#include <stddef.h>

#include "base/error.h"
#include "base/undo.h"

#define OVERLAY_LOWER_MAX 500u /* the kernel's own limit: OVL_MAX_STACK in fs/overlayfs/params.h */

/*
 * An overlay file system: `lower` are names of directories below `lower_base`, the top one first; upper and work directories are
 * made in the new directory `upper_base`, which goes away, with all in it, on undo.  Mounted on `target`, which this makes. The
 * names are ours ([A-Za-z0-9_.-]), so nothing in them means anything to the option parser.
 *
 * What a lower layer says about itself in extended attributes is limited to whiteouts and opaque directories: redirects are not
 * followed, and a file's data are those of its own layer (no metacopy).  `volatile`: nothing is synchronised, as nobody can read
 * the upper layer after a crash.
 */
must_check int overlay_mount(const char *lower_base, const char *const *lower, size_t count, const char *upper_base,
			     const char *target, struct undo *undo, struct error *err);

#endif
