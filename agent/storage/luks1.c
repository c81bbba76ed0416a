/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/luks1.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "sys/libraries.h"

#define STRIPES         4000u
#define ACTIVE          0x00ac71f3u
#define DISABLED        0x0000deadu
#define ITERATIONS_MOST 10000000u /* some seconds */
#define FIRST_SLOT      8u        /* sectors */
#define UUID            "00000000-0000-4000-8000-000000000000"

struct packed_slot {
	uint32_t active, iterations;
	uint8_t salt[32];
	uint32_t offset, stripes;
} __attribute__((packed));

struct packed_header {
	char magic[6];
	uint16_t version;
	char cipher[32], mode[32], hash[32];
	uint32_t payload, key_size;
	uint8_t digest[20], digest_salt[32];
	uint32_t digest_iterations;
	char uuid[40];
	struct packed_slot slots[LUKS1_SLOTS];
} __attribute__((packed));

_Static_assert(sizeof(struct packed_header) == 592, "as the specification has it");

static const char magic[6] = { 'L', 'U', 'K', 'S', '\xba', '\xbe' };

/* Sectors from slot to slot: the stripes of a key, in whole blocks of 4096 bytes. */
static uint32_t slot_offset(uint32_t key_size, unsigned slot)
{
	return FIRST_SLOT + slot * ((key_size * STRIPES + 4095) / 4096 * 8);
}

/* ---- reading ---- */

static int wrong(struct error *err, const char *field, const char *wanted)
{
	return error_set(err, ERROR_HEADER, EBADMSG, "%s: must be %s", field, wanted);
}

static bool is_text(const char text[32], const char *wanted)
{
	char padded[32] = { 0 };

	memcpy(padded, wanted, strlen(wanted));
	return memcmp(text, padded, sizeof(padded)) == 0;
}

static int read_slot(const struct packed_slot *packed, uint32_t key_size, unsigned index, struct luks1_slot *slot,
		     struct error *err)
{
	char field[32];

	snprintf(field, sizeof(field), "key slot %u", index);
	slot->active = be32toh(packed->active) == ACTIVE;
	if (!slot->active)
		return be32toh(packed->active) == DISABLED ? 0 : wrong(err, field, "active or disabled");
	slot->iterations = be32toh(packed->iterations);
	memcpy(slot->salt, packed->salt, sizeof(slot->salt));
	if (slot->iterations == 0 || slot->iterations > ITERATIONS_MOST)
		return wrong(err, field, "of 1 to 10000000 iterations");
	if (be32toh(packed->stripes) != STRIPES)
		return wrong(err, field, "of 4000 stripes");
	return be32toh(packed->offset) == slot_offset(key_size, index) ? 0 : wrong(err, field, "at its usual place");
}

int luks1_read(const uint8_t *front, struct luks1_header *header, struct error *err)
{
	struct packed_header packed;
	unsigned active = 0;
	int result = 0;

	memcpy(&packed, front, sizeof(packed));
	*header = (struct luks1_header){
		.key_size = be32toh(packed.key_size),
		.plain64 = is_text(packed.mode, "xts-plain64"),
		.digest_iterations = be32toh(packed.digest_iterations),
	};
	memcpy(header->digest, packed.digest, sizeof(header->digest));
	memcpy(header->digest_salt, packed.digest_salt, sizeof(header->digest_salt));
	if (memcmp(packed.magic, magic, sizeof(magic)) != 0)
		return wrong(err, "magic", "LUKS'");
	if (be16toh(packed.version) != 1)
		return wrong(err, "version", "1");
	if (!is_text(packed.cipher, "aes"))
		return wrong(err, "cipher-name", "\"aes\"");
	if (!header->plain64 && !is_text(packed.mode, "xts-plain"))
		return wrong(err, "cipher-mode", "\"xts-plain\" or \"xts-plain64\"");
	if (!is_text(packed.hash, "sha256"))
		return wrong(err, "hash-spec", "\"sha256\"");
	if (header->key_size != 32 && header->key_size != 64)
		return wrong(err, "key-bytes", "32 or 64");
	if (be32toh(packed.payload) != LUKS1_PAYLOAD)
		return wrong(err, "payload-offset", "4096");
	if (header->digest_iterations == 0 || header->digest_iterations > ITERATIONS_MOST)
		return wrong(err, "mk-digest-iter", "1 to 10000000");
	for (unsigned i = 0; i < LUKS1_SLOTS && result == 0; i++) {
		result = read_slot(&packed.slots[i], header->key_size, i, &header->slots[i], err);
		active += header->slots[i].active;
	}
	return result == 0 && active == 0 ? wrong(err, "key slots", "active, one at least") : result;
}

/* ---- opening ---- */

static void write_header(const struct luks1_header *header, struct packed_header *packed)
{
	*packed = (struct packed_header){
		.version = htobe16(1),
		.cipher = "aes",
		.hash = "sha256",
		.payload = htobe32(LUKS1_PAYLOAD),
		.key_size = htobe32(header->key_size),
		.digest_iterations = htobe32(header->digest_iterations),
		.uuid = UUID,
	};
	memcpy(packed->magic, magic, sizeof(magic));
	snprintf(packed->mode, sizeof(packed->mode), "%s", header->plain64 ? "xts-plain64" : "xts-plain");
	memcpy(packed->digest, header->digest, sizeof(packed->digest));
	memcpy(packed->digest_salt, header->digest_salt, sizeof(packed->digest_salt));
	for (unsigned i = 0; i < LUKS1_SLOTS; i++) {
		const struct luks1_slot *slot = &header->slots[i];

		packed->slots[i].active = htobe32(slot->active ? ACTIVE : DISABLED);
		packed->slots[i].iterations = htobe32(slot->iterations);
		packed->slots[i].offset = htobe32(slot_offset(header->key_size, i));
		packed->slots[i].stripes = htobe32(STRIPES);
		memcpy(packed->slots[i].salt, slot->salt, sizeof(slot->salt));
	}
}

/* A sealed file in memory: our header, and behind it what was read. */
static int make_file(const struct luks1_header *header, uint8_t *front, struct error *err)
{
	fd_auto file = memfd_create("luks1", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct packed_header packed;

	write_header(header, &packed);
	memset(front, 0, FIRST_SLOT * 512);
	memcpy(front, &packed, sizeof(packed));
	if (file < 0 || write(file, front, LUKS1_FRONT) != (ssize_t)LUKS1_FRONT ||
	    fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "header in memory");
	return take_fd(&file);
}

static int open_slot(struct libraries *lib, int file, const struct luks_key *key, uint32_t key_size, struct secret *volume_key,
		     struct error *err)
{
	struct crypt_device *device = NULL;
	size_t size = key_size;
	char path[32];
	int result = secret_new(volume_key, key_size, err);

	if (result < 0)
		return result;
	lib->crypt_metadata_locking(NULL, 0);
	if (text_format(path, sizeof(path), "/proc/self/fd/%d", file) < 0)
		return error_set(err, ERROR_INTERNAL, EINVAL, "header path");
	result = lib->crypt_init(&device, path);
	if (result == 0)
		result = lib->crypt_load(device, CRYPT_LUKS1, NULL);
	if (result == 0)
		result = lib->crypt_volume_key_get(device, CRYPT_ANY_SLOT, (char *)volume_key->bytes, &size,
						   (const char *)key->secret.bytes, key->secret.size);
	if (device)
		lib->crypt_free(device);
	if (result >= 0 && size == key_size)
		return 0;
	secret_wipe(volume_key);
	if (result == -EPERM)
		return error_set(err, ERROR_KEY, EACCES, "the key does not open the image");
	return error_set(err, ERROR_CRYPT, result < 0 ? -result : EBADMSG, "open a key slot");
}

int luks1_unlock(int file, const struct luks_key *key, struct luks1_header *header, struct secret *volume_key, struct error *err)
{
	auto_free uint8_t *front = malloc(LUKS1_FRONT);
	struct libraries lib;
	size_t have = 0;
	ssize_t got = 1;

	if (!front)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	while (have < LUKS1_FRONT && (got = pread(file, front + have, LUKS1_FRONT - have, (off_t)have)) > 0)
		have += (size_t)got;
	if (have < LUKS1_FRONT)
		return error_set(err, got < 0 ? ERROR_DEVICE : ERROR_HEADER, got < 0 ? errno : EBADMSG,
				 "the image ends in its header");
	int result = luks1_read(front, header, err);
	if (result < 0)
		return result;
	result = libraries_open(&lib, LIBRARY_cryptsetup, err);
	if (result < 0)
		return result;
	fd_auto copy = make_file(header, front, err);
	return copy < 0 ? copy : open_slot(&lib, copy, key, header->key_size, volume_key, err);
}
