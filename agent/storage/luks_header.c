/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/luks_header.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/sha256.h"
#include "base/text.h"

/* ---- the binary part ---- */

struct binary {
	uint8_t magic[6];
	uint16_t version; /* integers are big-endian */
	uint64_t size;
	uint64_t sequence;
	char label[48];
	char checksum_name[32];
	uint8_t salt[64];
	char uuid[40];
	char subsystem[48];
	uint64_t offset;
	uint8_t zeros[184];
	uint8_t checksum[64];
	uint8_t more_zeros[7 * 512];
} __attribute__((packed));

_Static_assert(sizeof(struct binary) == LUKS_HEADER_BINARY, "the binary part is one block");

static const uint8_t magics[2][6] = { { 'L', 'U', 'K', 'S', 0xba, 0xbe }, { 'S', 'K', 'U', 'L', 0xba, 0xbe } };
static const char checksum_name[32] = "sha256";

static int refuse(struct error *err, const char *field, const char *why)
{
	return error_set(err, ERROR_HEADER, 0, "%s: %s", field, why);
}

static bool is_zero(const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;

	for (size_t i = 0; i < size; i++) {
		if (byte[i] != 0)
			return false;
	}
	return true;
}

static void sum_up(const uint8_t *copy, uint8_t digest[SHA256_SIZE])
{
	static const uint8_t none[64];
	const size_t at = offsetof(struct binary, checksum);
	struct sha256 sum;

	sha256_begin(&sum);
	sha256_add(&sum, copy, at);
	sha256_add(&sum, none, sizeof(none));
	sha256_add(&sum, copy + at + sizeof(none), LUKS_HEADER_COPY - at - sizeof(none));
	sha256_end(&sum, digest);
}

static bool is_whole(const uint8_t *copy, unsigned which)
{
	uint8_t digest[SHA256_SIZE];

	if (memcmp(copy, magics[which], sizeof(magics[which])) != 0)
		return false;
	sum_up(copy, digest);
	return memcmp(copy + offsetof(struct binary, checksum), digest, sizeof(digest)) == 0;
}

bool luks_header_present(const uint8_t *bytes)
{
	for (unsigned which = 0; which < 2; which++) {
		for (unsigned kind = 0; kind < 2; kind++) {
			if (memcmp(bytes + (size_t)which * LUKS_HEADER_COPY, magics[kind], sizeof(magics[kind])) == 0)
				return true;
		}
	}
	return false;
}

/* 36 characters of hex digits and dashes, and zeros behind them. */
static bool is_uuid(const char text[40])
{
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : text_hex_digit(text[i]) < 0 || (text[i] >= 'A' && text[i] <= 'F'))
			return false;
	}
	return is_zero(text + 36, 4);
}

static int check_binary(const uint8_t *copy, unsigned which, struct luks_header *header, struct error *err)
{
	struct binary binary;

	memcpy(&binary, copy, sizeof(binary));
	if (memcmp(binary.magic, magics[which], sizeof(binary.magic)) != 0)
		return refuse(err, "magic", "there is no LUKS header");
	if (be16toh(binary.version) != 2)
		return refuse(err, "version", "must be 2");
	if (be64toh(binary.size) != LUKS_HEADER_COPY)
		return refuse(err, "hdr_size", "must be 16384");
	if (memcmp(binary.checksum_name, checksum_name, sizeof(checksum_name)) != 0)
		return refuse(err, "checksum_alg", "must be sha256");
	if (!is_whole(copy, which))
		return refuse(err, "csum", "the checksum is wrong");
	if (be64toh(binary.sequence) == 0 || be64toh(binary.sequence) > INT64_MAX)
		return refuse(err, "seqid", "must be within 1 and 2^63-1");
	if (!is_zero(binary.label, sizeof(binary.label)))
		return refuse(err, "label", "must be empty");
	if (!is_uuid(binary.uuid))
		return refuse(err, "uuid", "must be a UUID in lower case");
	if (!is_zero(binary.subsystem, sizeof(binary.subsystem)))
		return refuse(err, "subsystem", "must be empty");
	if (be64toh(binary.offset) != (uint64_t)which * LUKS_HEADER_COPY)
		return refuse(err, "hdr_offset", "is not where the header is");
	if (!is_zero(binary.zeros, sizeof(binary.zeros)) || !is_zero(binary.more_zeros, sizeof(binary.more_zeros)) ||
	    !is_zero(binary.checksum + SHA256_SIZE, sizeof(binary.checksum) - SHA256_SIZE))
		return refuse(err, "padding", "must be zeros");
	header->sequence = be64toh(binary.sequence);
	memcpy(header->uuid, binary.uuid, 36);
	return 0;
}

/* ---- the JSON part ---- */

struct stripes {
	const char *type, *hash;
	uint64_t count;
};

struct area {
	const char *type, *offset, *size, *encryption;
	uint64_t key_size;
};

struct kdf {
	const char *type, *hash, *salt;
	uint64_t iterations, time, memory, cpus;
};

struct slot {
	const char *type;
	uint64_t key_size;
	struct stripes af;
	struct area area;
	struct kdf kdf;
};

struct integrity {
	const char *type, *journal_encryption, *journal_integrity;
};

struct segment {
	const char *type, *offset, *size, *iv_tweak, *encryption;
	uint64_t sector_size;
	struct integrity integrity;
};

struct digest {
	const char *type, *hash, *salt, *digest;
	struct decode_list keyslots, segments;
	uint64_t iterations;
};

struct config {
	const char *json_size, *keyslots_size;
};

/* Each of the first four objects has one member, "0"; tokens has none. */
struct slots {
	struct slot first;
};

struct segments {
	struct segment first;
};

struct digests {
	struct digest first;
};

struct tokens {
	char nothing;
};

struct metadata {
	struct slots keyslots;
	struct tokens tokens;
	struct segments segments;
	struct digests digests;
	struct config config;
};

#define NEEDED(type, key, decode_kind, member)                                                                                     \
	.name = key, .kind = decode_kind, .offset = offsetof(struct type, member), .flags = DECODE_REQUIRED
#define TEXT(type, key, member)                                                                                                    \
	{                                                                                                                          \
		NEEDED(type, key, DECODE_STRING, member), .max = 64                                                                \
	}
#define NUMBER(type, key, member, least, most)                                                                                     \
	{                                                                                                                          \
		NEEDED(type, key, DECODE_UINT, member), .min = (least), .max = (most)                                              \
	}
#define OBJECT(type, key, member, its_schema)                                                                                      \
	{                                                                                                                          \
		NEEDED(type, key, DECODE_OBJECT, member), .schema = &(its_schema)                                                  \
	}
#define LIST(type, key, member)                                                                                                    \
	{                                                                                                                          \
		NEEDED(type, key, DECODE_LIST, member), .item = &name_item, .max = 1                                               \
	}
#define SCHEMA(name, type)                                                                                                         \
	static const struct decode_schema name##_schema = { name##_fields, array_count(name##_fields), sizeof(struct type), NULL }

static const struct decode_field name_item = { .kind = DECODE_STRING, .max = 8 };

static const struct decode_field stripes_fields[] = {
	TEXT(stripes, "type", type),
	TEXT(stripes, "hash", hash),
	NUMBER(stripes, "stripes", count, 4000, 4000),
};
SCHEMA(stripes, stripes);

static const struct decode_field area_fields[] = {
	TEXT(area, "type", type),
	TEXT(area, "offset", offset),
	TEXT(area, "size", size),
	TEXT(area, "encryption", encryption),
	NUMBER(area, "key_size", key_size, 64, 64),
};
SCHEMA(area, area);

/* What must be there depends on the type: check_kdf(). */
static const struct decode_field kdf_fields[] = {
	TEXT(kdf, "type", type),
	TEXT(kdf, "salt", salt),
	{ .name = "hash", .kind = DECODE_STRING, .offset = offsetof(struct kdf, hash), .max = 64 },
	{ .name = "iterations",
	  .kind = DECODE_UINT,
	  .offset = offsetof(struct kdf, iterations),
	  .min = LUKS_HEADER_PBKDF2_LEAST,
	  .max = LUKS_HEADER_PBKDF2_MOST },
	{ .name = "time", .kind = DECODE_UINT, .offset = offsetof(struct kdf, time), .min = 1, .max = LUKS_HEADER_ARGON2_TIME },
	{ .name = "memory", .kind = DECODE_UINT, .offset = offsetof(struct kdf, memory), .min = 32, .max = LUKS_HEADER_ARGON2_KIB },
	{ .name = "cpus", .kind = DECODE_UINT, .offset = offsetof(struct kdf, cpus), .min = 1, .max = LUKS_HEADER_ARGON2_CPUS },
};
SCHEMA(kdf, kdf);

static const struct decode_field slot_fields[] = {
	TEXT(slot, "type", type),
	NUMBER(slot, "key_size", key_size, LUKS_HEADER_KEY, LUKS_HEADER_KEY),
	OBJECT(slot, "af", af, stripes_schema),
	OBJECT(slot, "area", area, area_schema),
	OBJECT(slot, "kdf", kdf, kdf_schema),
};
SCHEMA(slot, slot);

static const struct decode_field integrity_fields[] = {
	TEXT(integrity, "type", type),
	TEXT(integrity, "journal_encryption", journal_encryption),
	TEXT(integrity, "journal_integrity", journal_integrity),
};
SCHEMA(integrity, integrity);

static const struct decode_field segment_fields[] = {
	TEXT(segment, "type", type),
	TEXT(segment, "offset", offset),
	TEXT(segment, "size", size),
	TEXT(segment, "iv_tweak", iv_tweak),
	TEXT(segment, "encryption", encryption),
	NUMBER(segment, "sector_size", sector_size, 4096, 4096),
	OBJECT(segment, "integrity", integrity, integrity_schema),
};
SCHEMA(segment, segment);

static const struct decode_field digest_fields[] = {
	TEXT(digest, "type", type),
	TEXT(digest, "hash", hash),
	TEXT(digest, "salt", salt),
	TEXT(digest, "digest", digest),
	LIST(digest, "keyslots", keyslots),
	LIST(digest, "segments", segments),
	NUMBER(digest, "iterations", iterations, LUKS_HEADER_PBKDF2_LEAST, LUKS_HEADER_PBKDF2_MOST),
};
SCHEMA(digest, digest);

static const struct decode_field config_fields[] = {
	TEXT(config, "json_size", json_size),
	TEXT(config, "keyslots_size", keyslots_size),
};
SCHEMA(config, config);

static const struct decode_field slots_fields[] = { OBJECT(slots, "0", first, slot_schema) };
SCHEMA(slots, slots);
static const struct decode_field segments_fields[] = { OBJECT(segments, "0", first, segment_schema) };
SCHEMA(segments, segments);
static const struct decode_field digests_fields[] = { OBJECT(digests, "0", first, digest_schema) };
SCHEMA(digests, digests);
static const struct decode_schema tokens_schema = { NULL, 0, sizeof(struct tokens), NULL };

static const struct decode_field metadata_fields[] = {
	OBJECT(metadata, "keyslots", keyslots, slots_schema),    OBJECT(metadata, "tokens", tokens, tokens_schema),
	OBJECT(metadata, "segments", segments, segments_schema), OBJECT(metadata, "digests", digests, digests_schema),
	OBJECT(metadata, "config", config, config_schema),
};
SCHEMA(metadata, metadata);

/* Texts that have one value each. */
#define IS(path, member, text)                                                                                                     \
	{                                                                                                                          \
		path, offsetof(struct metadata, member), text                                                                      \
	}
static const struct {
	const char *path;
	size_t offset;
	const char *text;
} texts[] = {
	IS("keyslots.0.type", keyslots.first.type, "luks2"),
	IS("keyslots.0.af.type", keyslots.first.af.type, "luks1"),
	IS("keyslots.0.af.hash", keyslots.first.af.hash, "sha256"),
	IS("keyslots.0.area.type", keyslots.first.area.type, "raw"),
	IS("keyslots.0.area.size", keyslots.first.area.size, "385024"),
	IS("keyslots.0.area.encryption", keyslots.first.area.encryption, "aes-xts-plain64"),
	IS("segments.0.type", segments.first.type, "crypt"),
	IS("segments.0.offset", segments.first.offset, "1048576"),
	IS("segments.0.size", segments.first.size, "dynamic"),
	IS("segments.0.iv_tweak", segments.first.iv_tweak, "0"),
	IS("segments.0.encryption", segments.first.encryption, "aes-xts-plain64"),
	IS("segments.0.integrity.type", segments.first.integrity.type, "hmac(sha256)"),
	IS("segments.0.integrity.journal_encryption", segments.first.integrity.journal_encryption, "none"),
	IS("segments.0.integrity.journal_integrity", segments.first.integrity.journal_integrity, "none"),
	IS("digests.0.type", digests.first.type, "pbkdf2"),
	IS("digests.0.hash", digests.first.hash, "sha256"),
	IS("config.json_size", config.json_size, "12288"),
	IS("config.keyslots_size", config.keyslots_size, "1015808"),
};

static const char *const area_offsets[LUKS_HEADER_AREAS] = { "32768", "417792" };

static int check_texts(const struct metadata *metadata, struct error *err)
{
	for (size_t i = 0; i < array_count(texts); i++) {
		const char *found = *(const char *const *)((const char *)metadata + texts[i].offset);

		if (strcmp(found, texts[i].text) != 0)
			return error_set(err, ERROR_HEADER, 0, "%s: must be \"%s\", and is \"%s\"", texts[i].path, texts[i].text,
					 found);
	}
	return 0;
}

static int take_kdf(const struct kdf *kdf, struct luks_header *header, struct error *err)
{
	bool pbkdf2 = strcmp(kdf->type, "pbkdf2") == 0;

	header->argon2 = strcmp(kdf->type, "argon2id") == 0;
	if (!pbkdf2 && !header->argon2)
		return refuse(err, "keyslots.0.kdf.type", "must be \"argon2id\" or \"pbkdf2\"");
	if (pbkdf2 && (!kdf->hash || strcmp(kdf->hash, "sha256") != 0))
		return refuse(err, "keyslots.0.kdf.hash", "must be \"sha256\"");
	if (pbkdf2 ? !kdf->iterations || kdf->time || kdf->memory || kdf->cpus
		   : kdf->hash || kdf->iterations || !kdf->time || !kdf->memory || !kdf->cpus)
		return refuse(err, "keyslots.0.kdf", "has not the members of its type");
	header->iterations = (uint32_t)(pbkdf2 ? kdf->iterations : kdf->time);
	header->memory_kib = (uint32_t)kdf->memory;
	header->cpus = (uint32_t)kdf->cpus;
	return 0;
}

static int take_bytes(const char *base64, const char *field, uint8_t bytes[32], struct error *err)
{
	if (text_from_base64(base64, strlen(base64), bytes, 32) != 32)
		return refuse(err, field, "must be 32 bytes in base64");
	return 0;
}

static int is_only_zero(const struct decode_list *list, const char *field, struct error *err)
{
	if (list->count != 1 || strcmp(((const char *const *)list->items)[0], "0") != 0)
		return refuse(err, field, "must be [\"0\"]");
	return 0;
}

static int take(const struct metadata *metadata, struct luks_header *header, struct error *err)
{
	const struct slot *slot = &metadata->keyslots.first;
	const struct digest *digest = &metadata->digests.first;
	int result = check_texts(metadata, err);

	if (result == 0)
		result = take_kdf(&slot->kdf, header, err);
	if (result == 0)
		result = take_bytes(slot->kdf.salt, "keyslots.0.kdf.salt", header->slot_salt, err);
	if (result == 0)
		result = take_bytes(digest->salt, "digests.0.salt", header->digest_salt, err);
	if (result == 0)
		result = take_bytes(digest->digest, "digests.0.digest", header->digest, err);
	if (result == 0)
		result = is_only_zero(&digest->keyslots, "digests.0.keyslots", err);
	if (result == 0)
		result = is_only_zero(&digest->segments, "digests.0.segments", err);
	if (result < 0)
		return result;
	header->digest_iterations = (uint32_t)digest->iterations;
	for (uint32_t i = 0; i < LUKS_HEADER_AREAS; i++) {
		if (strcmp(slot->area.offset, area_offsets[i]) == 0) {
			header->area = i;
			return 0;
		}
	}
	return refuse(err, "keyslots.0.area.offset", "must be \"32768\" or \"417792\"");
}

/* Decoding's errors are about a request; here they are about a disk, and the field stands in the message. */
static int blame_header(struct error *err)
{
	struct error was = *err;

	if (was.code != ERROR_PARAMS && was.code != ERROR_PARSE)
		return error_step(err, "read the header");
	return error_set(err, ERROR_HEADER, 0, "%s%s%s", was.field, was.field[0] ? ": " : "", was.message);
}

static int check_json(const char *text, struct luks_header *header, struct error *err)
{
	__attribute__((cleanup(decode_free))) struct decode_memory memory = { 0 };
	size_t length = strnlen(text, LUKS_HEADER_JSON);
	struct metadata metadata;
	json_object *json = NULL;

	if (!is_zero(text + length, LUKS_HEADER_JSON - length))
		return refuse(err, "JSON", "there are bytes behind its end");
	if (decode_parse(text, length, &json, err) < 0)
		return blame_header(err);
	int result = decode_object(json, &metadata_schema, &metadata, &memory, err);
	if (result < 0)
		result = blame_header(err);
	else
		result = take(&metadata, header, err);
	json_object_put(json);
	return result;
}

static int check_copy(const uint8_t *bytes, unsigned which, struct luks_header *header, struct error *err)
{
	static const char *const names[] = { "first header", "second header" };
	const uint8_t *copy = bytes + (size_t)which * LUKS_HEADER_COPY;

	memset(header, 0, sizeof(*header));
	int result = check_binary(copy, which, header, err);
	if (result == 0)
		result = check_json((const char *)copy + LUKS_HEADER_BINARY, header, err);
	return result < 0 ? error_wrap(err, "%s", names[which]) : 0;
}

int luks_header_read(const uint8_t *bytes, struct luks_header *header, struct error *err)
{
	const bool whole[2] = { is_whole(bytes, 0), is_whole(bytes + LUKS_HEADER_COPY, 1) };
	struct luks_header copies[2];
	int result = 0;

	if (whole[0] || !whole[1])
		result = check_copy(bytes, 0, &copies[0], err);
	if (result == 0 && whole[1])
		result = check_copy(bytes, 1, &copies[1], err);
	if (result < 0)
		return result;
	if (!whole[0] || !whole[1]) {
		*header = copies[whole[0] ? 0 : 1];
		header->copy = whole[0] ? 0 : 1;
		return 0;
	}
	unsigned later = copies[1].sequence > copies[0].sequence;
	uint64_t apart = copies[later].sequence - copies[!later].sequence;
	bool same = memcmp(copies[0].uuid, copies[1].uuid, sizeof(copies[0].uuid)) == 0 &&
		    memcmp(bytes + LUKS_HEADER_BINARY, bytes + LUKS_HEADER_COPY + LUKS_HEADER_BINARY, LUKS_HEADER_JSON) == 0;
	if (apart > 1 || (apart == 0 && !same))
		return refuse(err, apart ? "seqid" : "JSON", "the two copies do not belong together");
	*header = copies[later];
	header->copy = later;
	header->agree = apart == 0;
	return 0;
}

/* ---- writing ---- */

static int write_slot(const struct luks_header *header, char *text, size_t size)
{
	char salt[48], kdf[160];
	int result;

	text_to_base64(header->slot_salt, sizeof(header->slot_salt), salt);
	if (header->argon2)
		result =
			text_format(kdf, sizeof(kdf), "\"type\":\"argon2id\",\"time\":%u,\"memory\":%u,\"cpus\":%u,\"salt\":\"%s\"",
				    header->iterations, header->memory_kib, header->cpus, salt);
	else
		result = text_format(kdf, sizeof(kdf), "\"type\":\"pbkdf2\",\"hash\":\"sha256\",\"iterations\":%u,\"salt\":\"%s\"",
				     header->iterations, salt);
	if (result < 0)
		return result;
	return text_format(
		text, size,
		"\"0\":{\"type\":\"luks2\",\"key_size\":96,\"af\":{\"type\":\"luks1\",\"stripes\":4000,\"hash\":\"sha256\"},"
		"\"area\":{\"type\":\"raw\",\"offset\":\"%s\",\"size\":\"385024\",\"encryption\":\"aes-xts-plain64\","
		"\"key_size\":64},\"kdf\":{%s}}",
		area_offsets[header->area], kdf);
}

/* In the order and spelling of libcryptsetup, so that one disk has one text whoever wrote it last. */
static int write_json(const struct luks_header *header, bool slot, char *text, struct error *err)
{
	char salt[48], digest[48], slot_text[512] = "";
	int result = slot ? write_slot(header, slot_text, sizeof(slot_text)) : 0;

	text_to_base64(header->digest_salt, sizeof(header->digest_salt), salt);
	text_to_base64(header->digest, sizeof(header->digest), digest);
	if (result == 0)
		result = text_format(
			text, LUKS_HEADER_JSON,
			"{\"keyslots\":{%s},\"tokens\":{},\"segments\":{\"0\":{\"type\":\"crypt\",\"offset\":\"1048576\","
			"\"size\":\"dynamic\",\"iv_tweak\":\"0\",\"encryption\":\"aes-xts-plain64\",\"sector_size\":4096,"
			"\"integrity\":{\"type\":\"hmac(sha256)\",\"journal_encryption\":\"none\",\"journal_integrity\":\"none\"}}}"
			","
			"\"digests\":{\"0\":{\"type\":\"pbkdf2\",\"keyslots\":[%s],\"segments\":[\"0\"],\"hash\":\"sha256\","
			"\"iterations\":%u,\"salt\":\"%s\",\"digest\":\"%s\"}},"
			"\"config\":{\"json_size\":\"12288\",\"keyslots_size\":\"1015808\"}}",
			slot_text, slot ? "\"0\"" : "", header->digest_iterations, salt, digest);
	return result < 0 ? error_set(err, ERROR_INTERNAL, EMSGSIZE, "header") : 0;
}

int luks_header_write(const struct luks_header *header, bool slot, uint8_t *bytes, struct error *err)
{
	char json[LUKS_HEADER_JSON] = "";
	int result = write_json(header, slot, json, err);

	if (result < 0)
		return result;
	memset(bytes, 0, LUKS_HEADER_SIZE);
	for (unsigned which = 0; which < 2; which++) {
		uint8_t *copy = bytes + (size_t)which * LUKS_HEADER_COPY;
		struct binary binary = {
			.version = htobe16(2),
			.size = htobe64(LUKS_HEADER_COPY),
			.sequence = htobe64(header->sequence),
			.offset = htobe64((uint64_t)which * LUKS_HEADER_COPY),
		};

		memcpy(binary.magic, magics[which], sizeof(binary.magic));
		memcpy(binary.checksum_name, checksum_name, sizeof(checksum_name));
		memcpy(binary.uuid, header->uuid, sizeof(header->uuid));
		if (getrandom(binary.salt, sizeof(binary.salt), 0) != (ssize_t)sizeof(binary.salt))
			return error_set(err, ERROR_INTERNAL, errno, "getrandom");
		memcpy(copy, &binary, sizeof(binary));
		memcpy(copy + LUKS_HEADER_BINARY, json, strlen(json));
		sum_up(copy, copy + offsetof(struct binary, checksum));
	}
	return 0;
}

uint64_t luks_header_area(const struct luks_header *header)
{
	return LUKS_HEADER_SIZE + (uint64_t)header->area * LUKS_HEADER_AREA_SIZE;
}

int luks_header_sum(const struct luks_header *header, const uint8_t *area, char hex[65], struct error *err)
{
	char json[LUKS_HEADER_JSON] = "";
	uint8_t digest[SHA256_SIZE];
	struct sha256 sum;
	int result = write_json(header, true, json, err);

	if (result < 0)
		return result;
	sha256_begin(&sum);
	sha256_add(&sum, json, strlen(json));
	sha256_add(&sum, area, LUKS_HEADER_AREA_SIZE);
	sha256_end(&sum, digest);
	text_to_hex(digest, sizeof(digest), hex);
	return 0;
}
