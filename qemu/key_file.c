/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/key_file.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "coffer/protocol.h"
#include "qemu/fail.h"
#include "qemu/file.h"

#define RAW_LEAST 32
#define RAW_MOST  64

bool key_file_wanted(const struct options *options)
{
	return options->key_file || options->passphrase_file;
}

static int encode_raw_key(struct encode *e, const struct buf *bytes, struct error *err)
{
	char text[(RAW_MOST + 2) / 3 * 4 + 1];

	if (buf_length(bytes) < RAW_LEAST)
		return fail_set(err, EINVAL, "a key file holds %d to %d bytes", RAW_LEAST, RAW_MOST);
	text_to_base64((const uint8_t *)buf_bytes(bytes), buf_length(bytes), text);
	encode_string(e, "raw", text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

static int encode_passphrase(struct encode *e, struct buf *bytes, struct error *err)
{
	char text[COFFER_PASSPHRASE_MAX + 2];
	size_t size = buf_length(bytes);

	memcpy(text, buf_bytes(bytes), size);
	if (size > 0 && text[size - 1] == '\n')
		size--;
	text[size] = '\0';
	if (size == 0 || size > COFFER_PASSPHRASE_MAX || strlen(text) != size)
		return fail_set(err, EINVAL, "a passphrase is 1 to %d bytes of text", COFFER_PASSPHRASE_MAX);
	encode_string(e, "passphrase", text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

int key_file_encode(struct encode *e, const struct options *options, struct error *err)
{
	const char *file = options->key_file ? options->key_file : options->passphrase_file;
	struct buf bytes = { .wipe = true };

	if (!file)
		return 0;
	if (options->key_file && options->passphrase_file)
		return fail_set(err, EINVAL, "--key-file and --passphrase-file do not go together");
	int result = file_read(file, options->key_file ? RAW_MOST : COFFER_PASSPHRASE_MAX + 1, &bytes, err);
	encode_open(e, "key", '{');
	if (result == 0)
		result = options->key_file ? encode_raw_key(e, &bytes, err) : encode_passphrase(e, &bytes, err);
	encode_close(e, '}');
	buf_free(&bytes);
	return result;
}
