/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_ENCRYPTED_H
#define SERVICE_ENCRYPTED_H

#include "service/keys.h"
#include "service/storage.h"

/*
 * Encrypted volumes that outlive the VM.  They are objects of kind OBJECT_VOLUME and of type "encrypted": volume.list shows them
 * and volume.detach closes them.  A key that comes with the request is seen by whoever carries the request (service/keys.h).
 */

#define ENCRYPTED_TYPE "encrypted"

struct encrypted_object {
	struct volume_object volume;
	uint8_t identity[32]; /* see storage/encrypted.h */
};

/* Both to create and to open. */
struct encrypted_request {
	const char *id;
	struct blockdev_name device;
	struct key_request key;
	unsigned timeout_ms;
	bool force;                   /* create */
	const char *header_sha256;    /* open; NULL: any */
	bool read_only;               /* open */
	struct completion completion; /* the service's */
};

struct encrypted_result {
	struct volume_attached attached;
	char header_sha256[65];
	uint8_t identity[32];
	struct steps steps;
};

struct encrypted_change {
	const char *id;              /* an open volume; or NULL: */
	struct blockdev_name device; /* a disk that is in no use */
	struct key_request key, new_key;
	unsigned timeout_ms;
};

struct encrypted_growth {
	uint64_t size;
	struct steps steps;
};

void encrypted_volume_create(struct agent *agent, struct encrypted_request *request, struct completion completion);
void encrypted_volume_open(struct agent *agent, struct encrypted_request *request, struct completion completion);
/* Answers a struct encrypted_result of which only header_sha256 is set. */
void encrypted_volume_change_key(struct agent *agent, struct encrypted_change *request, struct completion completion);

/* For service/resize.c, in a worker: grows the open volume to its disk's size. */
must_check int encrypted_volume_grow(const struct object *object, const struct key_request *key, struct worker *worker,
				     struct encrypted_growth *growth, struct error *err);

#endif
