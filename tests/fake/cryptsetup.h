/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAKE_CRYPTSETUP_H
#define FAKE_CRYPTSETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What tests/fake/cryptsetup.c, in place of libcryptsetup, was asked to activate, and where it shall fail. */
struct fake_cryptsetup {
	char device[256], data_device[256], name[128], hash_name[32];
	uint8_t root[64], salt[256];
	size_t root_size;
	uint32_t salt_size, hash_type, data_block_size, hash_block_size, flags, activate_flags;
	uint64_t data_size, hash_area_offset;
	int fail_init, fail_format, fail_activate; /* negative errnos */
	unsigned activated, opened, freed;
	bool no_library;
};

extern struct fake_cryptsetup fake_cryptsetup;

#endif
