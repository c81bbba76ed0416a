/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/integrity_layout.h"

#include <stddef.h>
#include <string.h>

#define SUPERBLOCK      8u /* sectors */
#define LASTING_JOURNAL 62u

const char *const integrity_modules[] = {
	"dm_mod",         "dm_integrity", "dm_crypt", "?aesni_intel", "aes_generic", "?sha256_ssse3",
	"sha256_generic", "hmac",         "xts",      "authenc",      NULL,
};
static const char *const gcm_modules[] = {
	"dm_mod", "dm_integrity",         "dm_crypt",      "?aesni_intel", "aes_generic", "ctr",
	"gcm",    "?ghash_clmulni_intel", "ghash_generic", NULL,
};
static const char *const aegis_modules[] = {
	"dm_mod", "dm_integrity", "dm_crypt", "?aesni_intel", "aes_generic", "?aegis128_aesni", "aegis128", NULL,
};

#define XTS_HMAC                                                                                                                   \
	.name = "aes-xts-hmac-sha256", .cipher = "authenc(hmac(sha256),xts(aes))", .modules = integrity_modules, .key_size = 64 + 32
#define SCRATCH .iv = "random", .front = 2048, .smallest = INTEGRITY_SMALLEST

const struct integrity_layout integrity_scratch[] = {
	{ XTS_HMAC, .tag_size = 32 + 16, SCRATCH },
	{ .name = "aes-gcm", .cipher = "gcm(aes)", .modules = gcm_modules, .key_size = 32, .tag_size = 16 + 12, SCRATCH },
	{ .name = "aegis128", .cipher = "aegis128", .modules = aegis_modules, .key_size = 16, .tag_size = 16 + 16, SCRATCH },
	{ .name = NULL },
};

const struct integrity_layout integrity_lasting = {
	XTS_HMAC,
	.iv = "plain64",
	.tag_size = 32,
	.start = 2048,
	.front = SUPERBLOCK + LASTING_JOURNAL * INTEGRITY_SECTION,
	.sections = LASTING_JOURNAL,
	.smallest = 32u * 1024u * 1024u,
};

const struct integrity_layout *integrity_layout_find(const char *name)
{
	const struct integrity_layout *row = integrity_scratch;

	while (row->name && strcmp(row->name, name) != 0)
		row++;
	return row->name ? row : NULL;
}
