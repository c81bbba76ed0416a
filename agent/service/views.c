/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/views.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "storage/overlay.h"
#include "sys/rollback.h"

int views_open(struct view *view, const struct layer_object *layer, const char *path, const char *owner, struct undo *undo,
	       struct error *err)
{
	struct layers_chain chain;

	*view = (struct view){ .folder = -1, .undo = undo, .records = undo->count };
	if (!layer)
		return 0;
	int result = layers_chain_open(&chain, layer, 2, owner, undo, err);
	if (result < 0)
		return result;
	const struct overlay overlay = { .base = layer->store->store.path, .lower = chain.lower, .count = chain.count };
	if (text_format(view->path, sizeof(view->path), "%s", path) < 0)
		return error_set(err, ERROR_INTERNAL, ENAMETOOLONG, "view of a layer");
	result = overlay_stack(&overlay, view->path, undo, err);
	if (result < 0)
		return result;
	view->folder = open(view->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return view->folder < 0 ? error_set(err, ERROR_MOUNT, errno, "open %s", view->path) : 0;
}

int views_close(struct view *view, struct error *err)
{
	if (view->folder < 0)
		return 0;
	close_fd(&view->folder);
	return rollback_since(view->undo, view->records, err);
}
