/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_VIEWS_H
#define SERVICE_VIEWS_H

#include "service/layers.h"

/* For workers: what a chain of layers shows, for the time of one piece of work. */
struct view {
	char path[STORE_PATH_MAX + 64];
	int folder;
	const struct undo *undo;
	size_t records; /* how many there were before */
};

/*
 * `layer` and all below it, read-only, mounted on the new directory `path`; what is sealed of them is mounted for `owner`
 * (service/sealed.h).  `layer` NULL: nothing, and folder is -1.
 */
must_check int views_open(struct view *view, const struct layer_object *layer, const char *path, const char *owner,
			  struct undo *undo, struct error *err);
/* Its records stay, and mean nothing any more. */
must_check int views_close(struct view *view, struct error *err);

#endif
