/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sys/libraries.h"

#define PREFIX "sha256:"

struct digest {
	struct libraries lib;
	EVP_MD_CTX *context;
};

int digest_begin(struct digest **sum, struct error *err)
{
	struct digest *made = calloc(1, sizeof(*made));

	*sum = NULL;
	if (!made)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "digest");
	int result = libraries_open(&made->lib, LIBRARY_crypto, err);
	if (result == 0) {
		made->context = made->lib.EVP_MD_CTX_new();
		if (!made->context || made->lib.EVP_DigestInit_ex(made->context, made->lib.EVP_sha256(), NULL) != 1)
			result = error_set(err, ERROR_INTERNAL, ENOMEM, "begin a SHA-256");
	}
	if (result < 0)
		digest_end(made, NULL);
	else
		*sum = made;
	return result;
}

void digest_add(struct digest *sum, const void *bytes, size_t size)
{
	/* It fails for no input that there is: SHA-256 takes 2^61 bytes. */
	if (size > 0)
		(void)sum->lib.EVP_DigestUpdate(sum->context, bytes, size);
}

void digest_next(struct digest *sum, uint8_t digest[DIGEST_SIZE])
{
	/* No kind is named again: that would look the algorithm up anew. */
	if (sum->lib.EVP_DigestFinal_ex(sum->context, digest, NULL) != 1 ||
	    sum->lib.EVP_DigestInit_ex(sum->context, NULL, NULL) != 1)
		memset(digest, 0, DIGEST_SIZE);
}

void digest_end(struct digest *sum, uint8_t digest[DIGEST_SIZE])
{
	if (!sum)
		return;
	if (digest && sum->lib.EVP_DigestFinal_ex(sum->context, digest, NULL) != 1)
		memset(digest, 0, DIGEST_SIZE);
	if (sum->context)
		sum->lib.EVP_MD_CTX_free(sum->context);
	free(sum);
}

void digest_format(const uint8_t digest[DIGEST_SIZE], char text[DIGEST_TEXT])
{
	memcpy(text, PREFIX, sizeof(PREFIX));
	text_to_hex(digest, DIGEST_SIZE, text + sizeof(PREFIX) - 1);
}

int digest_parse(const char *text, uint8_t digest[DIGEST_SIZE], struct error *err)
{
	uint8_t unused[DIGEST_SIZE] = { 0 };
	size_t prefix = sizeof(PREFIX) - 1, length = strlen(text);

	if (strncmp(text, PREFIX, prefix) != 0 || length != DIGEST_TEXT - 1 ||
	    strspn(text + prefix, "0123456789abcdef") != 2 * DIGEST_SIZE ||
	    text_from_hex(text + prefix, digest ? digest : unused, DIGEST_SIZE) != (long)DIGEST_SIZE)
		return error_set(err, ERROR_PARAMS, EINVAL, "a digest is " PREFIX " and 64 lower-case hexadecimal digits");
	return 0;
}

int digest_check(const char *text, struct error *err)
{
	return digest_parse(text, NULL, err);
}
