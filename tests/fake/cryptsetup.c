/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/libraries.c, with a libcryptsetup that writes down what it is asked for. */
#include "fake/cryptsetup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/libraries.h"

struct fake_cryptsetup fake_cryptsetup;

static void set_log(struct crypt_device *device, void (*log)(int level, const char *message, void *context), void *context)
{
	(void)device, (void)log, (void)context;
}

static int init(struct crypt_device **device, const char *path)
{
	static char handle;

	*device = (struct crypt_device *)&handle;
	fake_cryptsetup.opened++;
	snprintf(fake_cryptsetup.device, sizeof(fake_cryptsetup.device), "%s", path);
	return fake_cryptsetup.fail_init;
}

static int format(struct crypt_device *device, const char *type, const char *cipher, const char *mode, const char *uuid,
		  const char *key, size_t key_size, void *params)
{
	const struct crypt_params_verity *verity = params;

	(void)device, (void)cipher, (void)mode, (void)uuid, (void)key, (void)key_size;
	if (strcmp(type, CRYPT_VERITY) != 0)
		return -EINVAL;
	snprintf(fake_cryptsetup.data_device, sizeof(fake_cryptsetup.data_device), "%s", verity->data_device);
	snprintf(fake_cryptsetup.hash_name, sizeof(fake_cryptsetup.hash_name), "%s", verity->hash_name);
	fake_cryptsetup.salt_size = verity->salt_size;
	memcpy(fake_cryptsetup.salt, verity->salt, verity->salt_size);
	fake_cryptsetup.hash_type = verity->hash_type;
	fake_cryptsetup.data_block_size = verity->data_block_size;
	fake_cryptsetup.hash_block_size = verity->hash_block_size;
	fake_cryptsetup.data_size = verity->data_size;
	fake_cryptsetup.hash_area_offset = verity->hash_area_offset;
	fake_cryptsetup.flags = verity->flags;
	return fake_cryptsetup.fail_format;
}

static int activate(struct crypt_device *device, const char *name, const char *key, size_t key_size, const char *signature,
		    size_t signature_size, uint32_t flags)
{
	(void)device, (void)signature, (void)signature_size;
	snprintf(fake_cryptsetup.name, sizeof(fake_cryptsetup.name), "%s", name);
	memcpy(fake_cryptsetup.root, key, key_size);
	fake_cryptsetup.root_size = key_size;
	fake_cryptsetup.activate_flags = flags;
	fake_cryptsetup.activated++;
	return fake_cryptsetup.fail_activate;
}

static void release(struct crypt_device *device)
{
	(void)device;
	fake_cryptsetup.freed++;
}

int libraries_open(struct libraries *lib, enum library library, struct error *err)
{
	if (fake_cryptsetup.no_library || library != LIBRARY_cryptsetup)
		return error_set(err, ERROR_INTERNAL, ENOENT, "libcryptsetup");
	memset(lib, 0, sizeof(*lib));
	lib->crypt_set_log_callback = set_log;
	lib->crypt_init = init;
	lib->crypt_format = format;
	lib->crypt_activate_by_signed_key = activate;
	lib->crypt_free = release;
	return 0;
}

void *libraries_data(enum library library, const char *symbol)
{
	(void)library, (void)symbol;
	return NULL;
}
