/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fake of sys/secret.c: a secret of known bytes, no locked page and no kernel keyring; counts what is made and what is let go. */
#include "fake/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sys/secret.h"

struct fake_secret fake_secret;
static unsigned char bytes[4096];

int secret_new(struct secret *secret, size_t size, struct error *err)
{
	(void)err;
	memset(bytes, 0, size);
	*secret = (struct secret){ .bytes = bytes, .size = size };
	fake_secret.size = size;
	fake_secret.made++;
	return 0;
}

int secret_random(struct secret *secret, size_t size, struct error *err)
{
	(void)err;
	memset(bytes, 's', size);
	*secret = (struct secret){ .bytes = bytes, .size = size };
	fake_secret.size = size;
	fake_secret.made++;
	return 0;
}

void secret_wipe(struct secret *secret)
{
	if (!secret->bytes)
		return;
	memset(secret->bytes, 0, sizeof(bytes));
	*secret = (struct secret){ 0 };
	fake_secret.wiped++;
}

int secret_to_keyring(const struct secret *secret, const char *description, int32_t *key, struct error *err)
{
	(void)secret;
	if (fake_secret.fail_keyring)
		return error_set(err, ERROR_CRYPT, EDQUOT, "put the key into the kernel's keyring");
	snprintf(fake_secret.description, sizeof(fake_secret.description), "%s", description);
	*key = 4711;
	fake_secret.keys++;
	return 0;
}

int secret_offer(const char *description, const void *offered, size_t size, struct error *err)
{
	(void)err;
	snprintf(fake_secret.offered_as, sizeof(fake_secret.offered_as), "%s", description);
	if (size <= sizeof(fake_secret.offered))
		memcpy(fake_secret.offered, offered, size);
	fake_secret.offered_size = size;
	return 0;
}

void secret_forget_key(int32_t key)
{
	if (key == 4711)
		fake_secret.forgotten++;
}
