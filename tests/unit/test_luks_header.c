/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/luks_header.c */
/* The strict reader of headers: one that libcryptsetup made, and what becomes of it when one thing is changed. */
#include "unit/test.h"

#include <endian.h>

#include "base/sha256.h"
#include "storage/luks_header.h"

/* As libcryptsetup 2.6.1 wrote it. */
#define SLOT                                                                                                                       \
	"\"0\":{\"type\":\"luks2\",\"key_size\":96,\"af\":{\"type\":\"luks1\",\"stripes\":4000,\"hash\":\"sha256\"},\"area\":{"    \
	"\"type\":\"raw\",\"offset\":\"32768\",\"size\":\"385024\",\"encryption\":\"aes-xts-plain64\",\"key_size\":64},\"kdf\":{"  \
	"\"type\":\"pbkdf2\",\"hash\":\"sha256\",\"iterations\":1000,\"salt\":\"i8EvzEaDLTAv+vyBvaJa95nr+qkCPvBGNuxE3ukfzBI=\"}}"
#define SEGMENT                                                                                                                    \
	"\"0\":{\"type\":\"crypt\",\"offset\":\"1048576\",\"size\":\"dynamic\",\"iv_tweak\":\"0\",\"encryption\":"                 \
	"\"aes-xts-plain64\",\"sector_size\":4096,\"integrity\":{\"type\":\"hmac(sha256)\",\"journal_encryption\":\"none\","       \
	"\"journal_integrity\":\"none\"}}"
#define DIGEST                                                                                                                     \
	"\"0\":{\"type\":\"pbkdf2\",\"keyslots\":[\"0\"],\"segments\":[\"0\"],\"hash\":\"sha256\",\"iterations\":1000,\"salt\":"   \
	"\"uRGA47AcTLY+oxGQFxqBdLkWBkLZFsi4D0A3+LnKaJc=\",\"digest\":\"DMwPVXVjEXw5IPImcIjABKEE8PqDyNDMbh6ZpdHn4Cs=\"}"
#define JSON                                                                                                                       \
	"{\"keyslots\":{" SLOT "},\"tokens\":{},\"segments\":{" SEGMENT "},\"digests\":{" DIGEST                                   \
	"},\"config\":{\"json_size\":\"12288\",\"keyslots_size\":\"1015808\"}}"

static uint8_t disk[LUKS_HEADER_SIZE];

static void sum_up(unsigned which)
{
	uint8_t *copy = disk + (size_t)which * LUKS_HEADER_COPY;
	struct sha256 sum;

	memset(copy + 448, 0, 64);
	sha256_begin(&sum);
	sha256_add(&sum, copy, LUKS_HEADER_COPY);
	sha256_end(&sum, copy + 448);
}

static void write_copy(unsigned which, const char *json, uint64_t sequence)
{
	uint8_t *copy = disk + (size_t)which * LUKS_HEADER_COPY;
	const uint64_t size = htobe64(LUKS_HEADER_COPY), offset = htobe64((uint64_t)which * LUKS_HEADER_COPY);

	memset(copy, 0, LUKS_HEADER_COPY);
	memcpy(copy, which ? "SKUL\xba\xbe\0\2" : "LUKS\xba\xbe\0\2", 8);
	memcpy(copy + 8, &size, 8);
	sequence = htobe64(sequence);
	memcpy(copy + 16, &sequence, 8);
	memcpy(copy + 72, "sha256", 6);
	memset(copy + 104, 's', 64);
	memcpy(copy + 168, "df7368d6-24a7-47c1-8f92-1ab407583261", 36);
	memcpy(copy + 256, &offset, 8);
	memcpy(copy + 4096, json, strlen(json));
	sum_up(which);
}

static int read_json(const char *json, struct luks_header *header, struct error *err)
{
	write_copy(0, json, 2);
	write_copy(1, json, 2);
	return luks_header_read(disk, header, err);
}

static void a_header_of_the_library(void **state)
{
	struct luks_header header;
	struct error err;

	(void)state;
	assert_worked(read_json(JSON, &header, &err), &err);
	assert_int_equal(header.sequence, 2);
	assert_true(header.agree && !header.argon2);
	assert_string_equal(header.uuid, "df7368d6-24a7-47c1-8f92-1ab407583261");
	assert_int_equal(header.iterations, 1000);
	assert_int_equal(header.area, 0);
	assert_int_equal(luks_header_area(&header), 32768);
	assert_int_equal(header.slot_salt[0], 0x8b);
	assert_int_equal(header.digest_salt[31], 0x97);
	assert_int_equal(header.digest[31], 0x2b);
	/* Written anew it is the same text. */
	static uint8_t again[LUKS_HEADER_SIZE];
	assert_worked(luks_header_write(&header, true, again, &err), &err);
	assert_string_equal((const char *)again + 4096, JSON);
	assert_string_equal((const char *)again + 16384 + 4096, JSON);
	assert_true(luks_header_present(again));
	assert_memory_not_equal(again + 104, again + 16384 + 104, 64);
}

static void both_key_derivations_come_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct luks_header header = { .sequence = 7 + i, .digest_iterations = 1000, .iterations = 1000, .area = i % 2 },
				   found;
		struct error err;
		char sums[2][65];
		static uint8_t area[LUKS_HEADER_AREA_SIZE];

		memcpy(header.uuid, "df7368d6-24a7-47c1-8f92-1ab407583261", 36);
		if (i >= 2) {
			header.argon2 = true;
			header.iterations = 4;
			header.memory_kib = LUKS_HEADER_ARGON2_KIB;
			header.cpus = 1;
		}
		assert_worked(luks_header_write(&header, true, disk, &err), &err);
		assert_worked(luks_header_read(disk, &found, &err), &err);
		header.agree = true;
		found.copy = 0;
		assert_memory_equal(&header, &found, sizeof(header));
		assert_worked(luks_header_sum(&header, area, sums[0], &err), &err);
		area[LUKS_HEADER_AREA_SIZE - 1] ^= 1;
		assert_worked(luks_header_sum(&header, area, sums[1], &err), &err);
		assert_string_not_equal(sums[0], sums[1]);
		header.slot_salt[0] ^= 1;
		assert_worked(luks_header_sum(&header, area, sums[0], &err), &err);
		assert_string_not_equal(sums[0], sums[1]);
	}
}

/* One word of the JSON replaced; the message must name the field. */
static void one_thing_changed(void **state)
{
	static const struct {
		const char *old, *new, *field;
	} rows[] = {
		{ "\"type\":\"luks2\"", "\"type\":\"reencrypt\"", "keyslots.0.type" },
		{ "\"key_size\":96", "\"key_size\":64", "keyslots.0.key_size" },
		{ "\"key_size\":96", "\"key_size\":96,\"priority\":2", "keyslots.0.priority" },
		{ "\"stripes\":4000", "\"stripes\":4001", "keyslots.0.af.stripes" },
		{ "\"hash\":\"sha256\"},\"area\"", "\"hash\":\"sha1\"},\"area\"", "keyslots.0.af.hash" },
		{ "\"type\":\"luks1\"", "\"type\":\"luks2\"", "keyslots.0.af.type" },
		{ "\"type\":\"raw\"", "\"type\":\"checksum\"", "keyslots.0.area.type" },
		{ "\"32768\"", "\"36864\"", "keyslots.0.area.offset" },
		{ "\"32768\"", "32768", "keyslots.0.area.offset" },
		{ "\"385024\"", "\"258048\"", "keyslots.0.area.size" },
		{ "\"aes-xts-plain64\",\"key_size\"", "\"cipher_null-ecb\",\"key_size\"", "keyslots.0.area.encryption" },
		{ "\"key_size\":64", "\"key_size\":32", "keyslots.0.area.key_size" },
		{ "\"pbkdf2\",\"hash\"", "\"pbkdf3\",\"hash\"", "keyslots.0.kdf.type" },
		{ "\"iterations\":1000,\"salt\":\"i8", "\"iterations\":999,\"salt\":\"i8", "keyslots.0.kdf.iterations" },
		{ "\"iterations\":1000,\"salt\":\"i8", "\"iterations\":10000001,\"salt\":\"i8", "keyslots.0.kdf.iterations" },
		{ "\"iterations\":1000,\"salt\":\"i8", "\"iterations\":null,\"salt\":\"i8", "keyslots.0.kdf" },
		{ "\"iterations\":1000,\"salt\":\"i8", "\"iterations\":1000,\"time\":1,\"salt\":\"i8", "keyslots.0.kdf" },
		{ "zBI=\"", "zBJ=\"", "keyslots.0.kdf.salt" },
		{ SLOT, SLOT ",\"1\":{}", "keyslots.1" },
		{ SLOT, "", "keyslots.0" },
		{ "\"tokens\":{}", "\"tokens\":{\"0\":{}}", "tokens.0" },
		{ "\"tokens\":{}", "\"tokens\":null", "tokens" },
		{ "\"tokens\":{}", "\"tokens\":[]", "tokens" },
		{ "\"type\":\"crypt\"", "\"type\":\"linear\"", "segments.0.type" },
		{ "\"1048576\"", "\"1048577\"", "segments.0.offset" },
		{ "\"dynamic\"", "\"4096\"", "segments.0.size" },
		{ "\"iv_tweak\":\"0\"", "\"iv_tweak\":\"1\"", "segments.0.iv_tweak" },
		{ "\"aes-xts-plain64\",\"sector_size\"", "\"cipher_null-ecb\",\"sector_size\"", "segments.0.encryption" },
		{ "\"sector_size\":4096", "\"sector_size\":512", "segments.0.sector_size" },
		{ "hmac(sha256)", "none", "segments.0.integrity.type" },
		{ "\"journal_integrity\":\"none\"", "\"journal_integrity\":\"x\"", "segments.0.integrity.journal_integrity" },
		{ SEGMENT, SEGMENT ",\"1\":{}", "segments.1" },
		{ "\"type\":\"pbkdf2\",\"keyslots\"", "\"type\":\"x\",\"keyslots\"", "digests.0.type" },
		{ "\"keyslots\":[\"0\"]", "\"keyslots\":[\"0\",\"1\"]", "digests.0.keyslots" },
		{ "\"keyslots\":[\"0\"]", "\"keyslots\":[]", "digests.0.keyslots" },
		{ "\"segments\":[\"0\"]", "\"segments\":[\"1\"]", "digests.0.segments" },
		{ "4Cs=\"", "4A==\"", "digests.0.digest" },
		{ DIGEST, DIGEST ",\"1\":{}", "digests.1" },
		{ "\"12288\"", "\"12289\"", "config.json_size" },
		{ "\"1015808\"", "\"0\"", "config.keyslots_size" },
		{ "\"1015808\"", "\"1015808\",\"flags\":[\"no-journal\"]", "config.flags" },
		{ "\"1015808\"", "\"1015808\",\"requirements\":{}", "config.requirements" },
		{ "\"config\"", "\"other\":{},\"config\"", "other" },
		{ "\"tokens\":{}", "\"tokens\":{},\"tokens\":{}", "duplicate key" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const char *at = strstr(JSON, rows[i].old);
		struct luks_header header;
		struct error err = { 0 };
		char json[8192];

		check_row(at != NULL, "%s is not there", rows[i].old);
		snprintf(json, sizeof(json), "%.*s%s%s", (int)(at - JSON), JSON, rows[i].new, at + strlen(rows[i].old));
		int result = read_json(json, &header, &err);
		check_row(result < 0 && err.code == ERROR_HEADER, "%s: %s", rows[i].new, result < 0 ? err.message : "accepted");
		check_row(strstr(err.message, rows[i].field) != NULL, "%s: %s", rows[i].field, err.message);
		check_row(err.field[0] == '\0', "%s: a disk's field is no field of the request", rows[i].field);
	}
}

/* Every byte of the binary part that is not the salt matters. */
static void every_byte_of_the_binary_part(void **state)
{
	struct luks_header header, good;
	struct error err;

	(void)state;
	assert_worked(read_json(JSON, &good, &err), &err);
	for (unsigned byte = 0; byte < 4096; byte++) {
		bool checksum = byte >= 448 && byte < 480, salt = byte >= 104 && byte < 168;
		/* Bits that make another number, or another UUID, which is right by itself. */
		bool value = (byte >= 16 && byte < 24) || (byte >= 168 && byte < 204);

		write_copy(0, JSON, 2);
		write_copy(1, JSON, 2);
		for (size_t which = 0; which < 2 && !checksum; which++) {
			disk[which * LUKS_HEADER_COPY + byte] ^= 0x80;
			sum_up((unsigned)which);
			/* The zeros behind the checksum were overwritten by that. */
			if (byte >= 480 && byte < 512)
				disk[which * LUKS_HEADER_COPY + byte] ^= 0x80;
		}
		if (checksum) {
			disk[byte] ^= 0x80;
			disk[LUKS_HEADER_COPY + byte] ^= 0x80;
		}
		int result = luks_header_read(disk, &header, &err);
		if (salt)
			check_row(result == 0 && memcmp(&header, &good, sizeof(good)) == 0, "byte %u", byte);
		else if (!value)
			check_row(result < 0 && err.code == ERROR_HEADER, "byte %u is not looked at", byte);
	}
}

static void copies(void **state)
{
	struct luks_header header;
	struct error err;

	(void)state;
	/* A change that was cut short, both ways round. */
	for (unsigned later = 0; later < 2; later++) {
		write_copy(later, JSON, 9);
		write_copy(!later, JSON, 8);
		assert_worked(luks_header_read(disk, &header, &err), &err);
		assert_true(header.sequence == 9 && header.copy == later && !header.agree);
		/* Torn. */
		disk[(size_t)later * LUKS_HEADER_COPY + 5000] ^= 1;
		assert_worked(luks_header_read(disk, &header, &err), &err);
		assert_true(header.sequence == 8 && header.copy == !later && !header.agree);
		disk[(size_t)!later * LUKS_HEADER_COPY + 5000] ^= 1;
		assert_failed(luks_header_read(disk, &header, &err), &err, ERROR_HEADER, "");
	}
	write_copy(0, JSON, 9);
	write_copy(1, JSON, 7);
	assert_failed(luks_header_read(disk, &header, &err), &err, ERROR_HEADER, "");
	assert_non_null(strstr(err.message, "seqid"));
	write_copy(0, JSON, UINT64_MAX);
	write_copy(1, JSON, 1);
	assert_failed(luks_header_read(disk, &header, &err), &err, ERROR_HEADER, "");
	memset(disk, 0, sizeof(disk));
	assert_false(luks_header_present(disk));
	assert_failed(luks_header_read(disk, &header, &err), &err, ERROR_HEADER, "");
	memcpy(disk, "SKUL\xba\xbe", 6);
	assert_true(luks_header_present(disk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_of_the_library),
		cmocka_unit_test(both_key_derivations_come_back),
		cmocka_unit_test(one_thing_changed),
		cmocka_unit_test(every_byte_of_the_binary_part),
		cmocka_unit_test(copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
