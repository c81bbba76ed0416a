/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_SECRET_H
#define SYS_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Key material of a worker: a locked page that is in no core dump and not copied into children, wiped before it is given back.
 */
struct secret {
	uint8_t *bytes; /* NULL: empty */
	size_t size;    /* at most one page */
};

/* Zeros, to be filled by the caller. */
must_check int secret_new(struct secret *secret, size_t size, struct error *err);
/* Fresh random bytes from getrandom(2), which waits until the kernel's generator is seeded. */
must_check int secret_random(struct secret *secret, size_t size, struct error *err);
void secret_wipe(struct secret *secret);

/*
 * Puts the secret as a "logon" key (which user space can never read back) into the calling thread's keyring; the key dies with
 * the thread at the latest.  `description` needs a prefix and a colon.  Returns the serial by *key.
 */
must_check int secret_to_keyring(const struct secret *secret, const char *description, int32_t *key, struct error *err);
/* Puts bytes that are no secret (a signature) as a "user" key where only this thread's requests to the kernel find them. */
must_check int secret_offer(const char *description, const void *bytes, size_t size, struct error *err);
/* Destroys the key now.  Mappings that took it keep their own copy in the kernel. */
void secret_forget_key(int32_t key);

#endif
