/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/luks_header.c */
/* fuzz: -max_len=8192 */
/*
 * The header of an encrypted volume.  The first byte says what the rest is: the JSON of both copies, or of one; bytes over the
 * beginning of the binary part, of both copies or of one; all with right checksums.  Or bytes as they come, with wrong ones.  What
 * is accepted is within the limits, and is the same when it is written anew and read again.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/sha256.h"
#include "storage/luks_header.h"

static void sum_up(uint8_t *copy)
{
	struct sha256 sum;

	memset(copy + 448, 0, 64);
	sha256_begin(&sum);
	sha256_add(&sum, copy, LUKS_HEADER_COPY);
	sha256_end(&sum, copy + 448);
}

static void check_limits(const struct luks_header *header)
{
	must_hold(header->sequence >= 1 && header->sequence <= INT64_MAX);
	must_hold(strlen(header->uuid) == 36 && strspn(header->uuid, "0123456789abcdef-") == 36);
	must_hold(header->area < LUKS_HEADER_AREAS);
	must_hold(luks_header_area(header) + LUKS_HEADER_AREA_SIZE <= LUKS_HEADER_DATA);
	must_hold(header->digest_iterations >= LUKS_HEADER_PBKDF2_LEAST && header->digest_iterations <= LUKS_HEADER_PBKDF2_MOST);
	if (header->argon2) {
		must_hold(header->iterations >= 1 && header->iterations <= LUKS_HEADER_ARGON2_TIME);
		must_hold(header->memory_kib >= 32 && header->memory_kib <= LUKS_HEADER_ARGON2_KIB);
		must_hold(header->cpus >= 1 && header->cpus <= LUKS_HEADER_ARGON2_CPUS);
	} else {
		must_hold(header->iterations >= LUKS_HEADER_PBKDF2_LEAST && header->iterations <= LUKS_HEADER_PBKDF2_MOST);
		must_hold(header->memory_kib == 0 && header->cpus == 0);
	}
}

static void check_accepted(const struct luks_header *header)
{
	static uint8_t again[LUKS_HEADER_SIZE];
	struct luks_header found, wanted = *header;
	struct error err;

	check_limits(header);
	must_hold(luks_header_write(header, true, again, &err) == 0);
	must_hold(luks_header_read(again, &found, &err) == 0);
	wanted.agree = true;
	wanted.copy = found.copy;
	must_hold(memcmp(&wanted, &found, sizeof(found)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t disk[LUKS_HEADER_SIZE], template[LUKS_HEADER_SIZE];
	struct luks_header header = { .sequence = 5, .iterations = 1000, .digest_iterations = 1000 };
	struct error err = { 0 };

	if (size < 1)
		return 0;
	uint8_t form = data[0];
	data++, size--;
	memcpy(header.uuid, "df7368d6-24a7-47c1-8f92-1ab407583261", 36);
	if (template[0] == 0)
		must_hold(luks_header_write(&header, true, template, &err) == 0);
	memcpy(disk, template, sizeof(disk));
	for (unsigned which = 0; which < 2; which++) {
		uint8_t *copy = disk + (size_t)which * LUKS_HEADER_COPY;

		if (form & (1 << which))
			continue;
		if (form & 4) {
			memcpy(copy, data, size);
		} else {
			memset(copy + LUKS_HEADER_BINARY, 0, LUKS_HEADER_JSON);
			memcpy(copy + LUKS_HEADER_BINARY, data, size);
		}
		if (!(form & 8))
			sum_up(copy);
	}
	luks_header_present(disk);
	if (luks_header_read(disk, &header, &err) == 0)
		check_accepted(&header);
	else
		must_hold(err.code == ERROR_HEADER && err.message[0] != '\0' && err.field[0] == '\0');
	return 0;
}
