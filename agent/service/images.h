/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_IMAGES_H
#define SERVICE_IMAGES_H

#include "service/keys.h"
#include "service/stores.h"
#include "sys/blockdev.h"

/*
 * Layers with a key of their own (layer/image.h).  Such a layer is locked: nothing of it is decrypted, until images_unlock is given
 * its key.  That is an object, on which stands whatever uses the layer's files.
 */

#define IMAGES_DIRECTORY "/run/coffer/image" /* an unlocked layer's volume is mounted on .../ID */

struct image_object {
	struct object object; /* under the layer's id; uses: the layer */
	struct layer_object *layer;
	bool writable;
	bool old; /* an image of an older kind, in the layer's own tree (storage/old_layer.h) */
};

/* How a new layer's image is made. */
struct image_plan {
	struct key_request key;
	const char *size;            /* of the content, as base/ram_size.h reads it: a file of the store */
	struct blockdev_name device; /* or `has_device`: a whole disk */
	bool has_device;
	bool force;    /* a disk with a LUKS header is given up */
	bool existing; /* the disk holds such a layer already */
	unsigned timeout_ms;
};

struct image_made {
	uint8_t identity[32];
	char header_sha256[65];
	uint64_t size; /* of the file system, bytes */
};

struct image_unlock {
	const char *id;
	struct key_request key;
	struct blockdev_name device;
	bool has_device;
	const char *header_sha256; /* or NULL */
	bool old;                  /* see struct image_object */
	unsigned timeout_ms;
	struct completion completion; /* the service's */
};

struct image_unlocked {
	bool writable;
	char path[128]; /* of the tree */
	struct image_made image;
	struct steps steps;
};

/* ERROR_PARAMS. */
must_check int images_check(const struct image_plan *plan, struct error *err);

/*
 * In a worker, while `layer` is made (store_begin): its image, open and mounted, with an empty tree (`existing`: the one that is
 * there).  *records is how many there were before: for images_close.
 */
must_check int images_make(struct worker *worker, const struct layer_object *layer, const struct image_plan *plan,
			   struct image_made *made, size_t *records, struct error *err);
/* Takes back what was made since, so that all of it is on the disk. */
must_check int images_close(struct worker *worker, size_t records, struct error *err);

/*
 * The completion's result is struct image_unlocked.  ERROR_KEY, ERROR_HEADER when the image is not the one that was made;
 * ERROR_NOT_ALLOWED for `old` in a VM that was not started so.
 */
void images_unlock(struct agent *agent, struct image_unlock *request, struct completion completion);
/* ERROR_IN_USE while something stands on it. */
void images_lock(struct agent *agent, const char *id, struct completion completion);

/* The image of a layer that has one and is unlocked, or NULL. */
struct object *images_find(const struct agent *agent, const struct layer_object *layer);
/*
 * `layer` (NULL: none) and what is below it, `depth` of them at most, stay unlocked until images_release.  ERROR_STATE naming one
 * that is locked; then nothing is held.
 */
must_check int images_hold(const struct agent *agent, const struct layer_object *layer, unsigned depth, struct error *err);
void images_release(const struct agent *agent, const struct layer_object *layer, unsigned depth);
/* `object` stands on the images of `layer` and of all that is below it.  ERROR_STATE as of images_hold. */
must_check int images_use(const struct agent *agent, const struct layer_object *layer, struct object *object, struct error *err);

#endif
