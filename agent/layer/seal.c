/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/seal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "layer/erofs_write.h"

/* RFC 9562, section 5.8: version 8 is for what is made in a way of one's own. */
static struct erofs_options options_for(const uint8_t id[DIGEST_SIZE])
{
	struct erofs_options options;

	memcpy(options.uuid, id, sizeof(options.uuid));
	options.uuid[6] = (options.uuid[6] & 0x0f) | 0x80;
	options.uuid[8] = (options.uuid[8] & 0x3f) | 0x80;
	return options;
}

int seal_tree(int tree, int file, const uint8_t id[DIGEST_SIZE], struct seal *seal, struct error *err)
{
	const struct erofs_options options = options_for(id);
	struct erofs_written written;
	struct verity_tree made = { 0 };

	*seal = (struct seal){ 0 };
	if (getrandom(seal->salt, sizeof(seal->salt), 0) != (ssize_t)sizeof(seal->salt))
		return error_set(err, ERROR_INTERNAL, errno, "getrandom");
	int result = erofs_write(tree, file, &options, &written, err);
	if (result == 0)
		result = verity_tree_append(file, written.bytes, seal->salt, &made, err);
	if (result < 0)
		return result;
	memcpy(seal->root, made.root, sizeof(seal->root));
	seal->blocks = made.blocks;
	seal->bytes = made.bytes;
	return 0;
}
