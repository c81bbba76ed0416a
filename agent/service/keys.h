/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_KEYS_H
#define SERVICE_KEYS_H

#include "agent.h"
#include "storage/key_service.h"
#include "storage/luks.h"

/*
 * Where the key of an encrypted volume or layer comes from.  PID 1 holds what it lies in (keys_hold) for as long as the request
 * runs; a worker takes it (keys_take).
 */

#define KEYS_RAW_LEAST KEY_SERVICE_LEAST
#define KEYS_RAW_MOST  KEY_SERVICE_MOST

/* A file of a volume whose content cannot be changed from outside: under dm-verity, or encrypted. */
struct key_file {
	const char *volume, *path;
	bool passphrase; /* its text, without one newline at the end; else its bytes are a raw key */
};

/* One that answers over vsock (cid, or the host) or on a Unix socket: storage/key_service.h. */
struct key_service_request {
	const char *id, *unix_path;
	uint64_t cid, port, attempts; /* 0: the usual */
};

/* As a request says it: exactly one of the four. */
struct key_request {
	const char *passphrase;
	const char *raw; /* base64 of KEYS_RAW_LEAST to KEYS_RAW_MOST bytes */
	struct key_file file;
	struct key_service_request service;
	bool has_file, has_service;
	struct object *held; /* the service's: the file's volume */
};

/* Is there one? */
bool keys_given(const struct key_request *key);
/* "request", "file" or "service": who has seen the key.  For answers. */
const char *keys_source(const struct key_request *key);
/* What fetching it may add to a request's time. */
unsigned keys_wait_ms(const struct key_request *key);

/* `field`: what the request calls it.  ERROR_NOT_FOUND, ERROR_STATE, ERROR_PARAMS when nothing protects the file's volume. */
must_check int keys_hold(struct agent *agent, struct key_request *key, const char *field, struct error *err);
/* May be called without a hold, and twice. */
void keys_release(struct key_request *key);

/* In a worker.  `least`: bytes of a raw key, usually KEYS_RAW_LEAST. */
must_check int keys_take(const struct key_request *said, const char *field, size_t least, struct luks_key *key, struct error *err);
void keys_wipe(struct luks_key *key);

#define auto_key __attribute__((cleanup(keys_wipe))) struct luks_key

#endif
