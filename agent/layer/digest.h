/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_DIGEST_H
#define LAYER_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Digests of streams as OCI writes them ("sha256:" and 64 lower-case hexadecimal digits; image-spec, descriptor.md), summed up by
 * libcrypto, which uses what the CPU has.  For workers.  Only SHA-256 is accepted.
 */

#define DIGEST_SIZE 32u
#define DIGEST_TEXT (sizeof("sha256:") + 2 * DIGEST_SIZE) /* its terminating zero included */

struct digest; /* a sum under way */

/* ERROR_INTERNAL. */
must_check int digest_begin(struct digest **sum, struct error *err);
void digest_add(struct digest *sum, const void *bytes, size_t size);
/* The digest of what came since the last one; the next sum begins. */
void digest_next(struct digest *sum, uint8_t digest[DIGEST_SIZE]);
/* Frees `sum`; NULL as `digest`: only that.  NULL is nothing. */
void digest_end(struct digest *sum, uint8_t digest[DIGEST_SIZE]);

void digest_format(const uint8_t digest[DIGEST_SIZE], char text[DIGEST_TEXT]);
/* ERROR_PARAMS without a field; the grammar is the one above.  `digest` may be NULL. */
must_check int digest_parse(const char *text, uint8_t digest[DIGEST_SIZE], struct error *err);
/* For a decode table. */
must_check int digest_check(const char *text, struct error *err);

#endif
