/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_SECRET_H
#define FAKE_SECRET_H

#include <stddef.h>

/* What became of the secrets that tests/fake/secret.c gave out. */
struct fake_secret {
	size_t size;
	unsigned made, wiped, keys, forgotten;
	char description[160], offered_as[160];
	unsigned char offered[64];
	size_t offered_size;
	int fail_keyring;
};

extern struct fake_secret fake_secret;

#endif
