/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_OVERLAY_H
#define STORAGE_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/undo.h"

#define OVERLAY_LOWER_MAX 500u /* the kernel's own limit: OVL_MAX_STACK in fs/overlayfs/params.h */

/*
 * Overlay file systems.  What a lower layer says about itself in extended attributes is limited to whiteouts and opaque
 * directories: redirects are not followed, and a file's data are those of its own layer (no metacopy).  All names are ours
 * ([A-Za-z0-9_.-] and /), so nothing in them means anything to the option parser.
 */
struct overlay {
	const char *base;         /* a directory */
	const char *const *lower; /* names of directories below it, or absolute ones; the top one first */
	size_t count;             /* 1 to OVERLAY_LOWER_MAX; at least 2 without `upper` */
	const char *upper, *work; /* directories that exist, `work` empty; NULL: nothing can be written */
	const char *label;        /* SELinux': of all files (sys/labels.h); NULL: none */
	bool lasting;             /* `upper` may be read after a crash: what is synchronised is written (else `volatile`) */
};

/* Mounted on `target`, which this makes. */
must_check int overlay_stack(const struct overlay *overlay, const char *target, struct undo *undo, struct error *err);

/* The same with upper and work directories that are made in the new directory `upper_base`, which goes away, with all in it, on
 * undo. */
must_check int overlay_mount(const char *lower_base, const char *const *lower, size_t count, const char *upper_base,
			     const char *label, const char *target, struct undo *undo, struct error *err);

#endif
