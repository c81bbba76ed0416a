/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_KEY_SERVICE_H
#define STORAGE_KEY_SERVICE_H

#include <stdint.h>

#include "base/error.h"
#include "sys/secret.h"

/*
 * A key from a service that answers one request a connection, over vsock or a Unix socket, as Go's net/rpc/jsonrpc writes it:
 *
 *   -> {"method":"VirtualMachine.FetchKey","params":[{"KeyID":"ID","Key":null,"ReturnCode":false}],"id":0}
 *   <- {"id":0,"result":{"KeyID":"ID","Key":"BASE64","ReturnCode":true},"error":null}
 *
 * a line each.  A service that is not there yet, that answers an error, no key or nothing at all is asked again; one that answers
 * what is no such line is not.
 */
#define KEY_SERVICE_ATTEMPTS    90u
#define KEY_SERVICE_INTERVAL_MS 250u  /* between two attempts */
#define KEY_SERVICE_ANSWER_MS   1000u /* the most that one attempt takes */

struct key_service {
	const char *id;        /* of the key */
	const char *unix_path; /* NULL: vsock */
	unsigned cid, port;
	unsigned attempts; /* 1 to KEY_SERVICE_ATTEMPTS */
	size_t least;      /* bytes of a key; usually KEY_SERVICE_LEAST */
};

/* The least and the most bytes of a key. */
#define KEY_SERVICE_LEAST 32
#define KEY_SERVICE_MOST  64

/*
 * The key, into a new secret.  Blocks, at most attempts * (INTERVAL + ANSWER): for workers.  ERROR_KEY: the service was there to
 * the last attempt and gave no key, or what it gave is none; ERROR_TIMEOUT: it never answered.
 */
must_check int key_service_fetch(const struct key_service *service, struct secret *key, struct error *err);

#endif
