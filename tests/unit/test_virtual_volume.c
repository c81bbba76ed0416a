/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/volume/volume.c agent/volume/virtual_volume.c agent/volume/rules.c agent/volume/mapped.c agent/volume/raw_block.c */
/* links: agent/volume/direct_block.c agent/volume/nydus_config.c agent/volume/nydus_block.c agent/volume/nydus_fs.c */
/* links: agent/volume/erofs_image.c */
/* links: tests/fake/volume_parts.c agent/storage/filesystem.c agent/storage/erofs.c */
/* links: agent/sys/device_ways.c agent/sys/device_tree.c agent/sys/device_pci.c agent/sys/device_scsi.c */
/*
 * Kata virtual volumes: the vectors of tests/data/volume-vectors.json, which were recorded from Kata 4.1 and nydus-snapshotter, and
 * what coffer answers to each.
 */
#include "unit/test.h"

#include "base/text.h"
#include "volume/volume.h"

#define HASH "9de18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c39325174"

static struct {
	json_object *json, *parsed;
	struct decode_memory memory;
	struct volume_attach request;
	struct verity verity;
	struct error err;
} t;

static int clean(void **state)
{
	(void)state;
	json_object_put(t.json);
	json_object_put(t.parsed);
	t.json = t.parsed = NULL;
	decode_free(&t.memory);
	return 0;
}

static int decode_json(json_object *json)
{
	clean(NULL);
	memset(&t.err, 0, sizeof(t.err));
	memset(&t.request, 0x55, sizeof(t.request));
	t.json = json;
	return virtual_volume_decode(t.json, &t.request.volume, &t.parsed, &t.memory, &t.err);
}

static int decode_text(const char *text)
{
	json_object *json = NULL;
	int result = decode_parse(text, strlen(text), &json, &t.err);

	return result < 0 ? result : decode_json(json);
}

/* As volume.attach does it; `source` replaces the volume's, when it is not NULL. */
static int answer(json_object *json, const char *source, bool plain)
{
	struct volume_bases bases;
	int result = decode_json(json);

	if (result < 0)
		return result;
	if (source && t.request.volume.source)
		t.request.volume.source = source;
	t.request.id = "v";
	t.request.timeout_ms = 1;
	t.request.plain_allowed = plain;
	return volume_check(&t.request, &bases, &t.err);
}

/*
 * What coffer answers to each vector when its source is a device (the vectors' own /p/i.disk is a host's path, and refused as
 * such).  docs/VOLUMES.md has the reasons.
 */
static const struct {
	const char *name;
	enum error_code code; /* ERROR_NONE: attached */
	const char *field;
	bool plain; /* attached in a VM that was started with plain storage allowed */
} answers[] = {
	{ "direct_ok_full", ERROR_NOT_ALLOWED, "volume_type", true },
	{ "direct_null_metadata", ERROR_PARAMS, "fs_type", false },
	{ "direct_no_fstype", ERROR_PARAMS, "fs_type", false },
	{ "direct_only_type", ERROR_PARAMS, "fs_type", false },
	/* All three take an image without dm-verity.  The host is not trusted: coffer does not. */
	{ "raw_ok_noverity", ERROR_NOT_ALLOWED, "dm_verity", true },
	{ "raw_no_fstype", ERROR_PARAMS, "fs_type", false },
	{ "verity_md5", ERROR_PARAMS, "dm_verity.hashtype", false },
	{ "verity_bs0", ERROR_PARAMS, "dm_verity.blocksize", false },
	/* Kata's Go reader refuses these two by the offset only; here the size itself is wrong. */
	{ "verity_hs3000", ERROR_PARAMS, "dm_verity.hashsize", false },
	{ "verity_hs524800", ERROR_PARAMS, "dm_verity.hashsize", false },
	{ "verity_off0", ERROR_PARAMS, "dm_verity.offset", false },
	{ "verity_off_short", ERROR_PARAMS, "dm_verity.offset", false },
	{ "verity_bn_2p32m1", ERROR_NONE, "", false },
	{ "verity_off_gap_ok", ERROR_NONE, "", false },
	{ "verity_hash_upper", ERROR_NONE, "", false },
	{ "verity_hash_nonhex", ERROR_PARAMS, "dm_verity.hash", false },
	{ "verity_sha1_len64", ERROR_PARAMS, "dm_verity.hashtype", false }, /* SHA-1 is no proof any more */
	{ "verity_with_rust_fields", ERROR_NONE, "", false },
	{ "verity_neg_offset", ERROR_PARAMS, "dm_verity.offset", false },
	{ "verity_string_blocknum", ERROR_PARAMS, "dm_verity.blocknum", false },
	{ "nydus_block_v5", ERROR_UNSUPPORTED_VOLUME, "fs_type", false },
	{ "nydus_fs_ext4", ERROR_PARAMS, "fs_type", false },
	/* "c" is no list of blobs, and what else it may be is for a daemon. */
	{ "nydus_no_snapdir", ERROR_PARAMS, "nydus_image.config", false },
	{ "nydus_no_source", ERROR_PARAMS, "source", false },
	{ "pull_no_source", ERROR_UNSUPPORTED_VOLUME, "volume_type", false },
	{ "pull_empty_image_pull", ERROR_UNSUPPORTED_VOLUME, "volume_type", false },
	{ "unknown_type", ERROR_PARAMS, "volume_type", false }, /* Kata's readers let it pass */
	{ "no_type", ERROR_PARAMS, "volume_type", false },
	{ "unknown_field", ERROR_PARAMS, "zzz", false }, /* all three ignore it: a restriction could be lost that way */
	{ "null_options", ERROR_UNSUPPORTED_VOLUME, "volume_type", false },
	{ "metadata_nonstring", ERROR_PARAMS, "image_pull.metadata.a", false },
	{ "trailing_garbage", ERROR_PARAMS, "", false },
	{ "invalid_base64", ERROR_PARAMS, "", false },
	{ "b64_backslash_n", ERROR_PARAMS, "", false },
	{ "empty", ERROR_PARAMS, "", false },
};

static json_object *vectors;

static int load_vectors(void **state)
{
	(void)state;
	vectors = json_object_from_file("tests/data/volume-vectors.json");
	return vectors ? 0 : -1;
}

static int drop_vectors(void **state)
{
	(void)state;
	json_object_put(vectors);
	return 0;
}

static const char *member(json_object *vector, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(vector, key, &value) ? json_object_get_string(value) : NULL;
}

static void check_answer(const char *name, const char *form, bool plain, int result)
{
	size_t row = 0;
	enum error_code wanted;

	while (row < array_count(answers) && strcmp(answers[row].name, name) != 0)
		row++;
	check_row(row < array_count(answers), "%s: nobody has decided what the answer is", name);
	wanted = plain && answers[row].plain ? ERROR_NONE : answers[row].code;
	check_row((result == 0) == (wanted == ERROR_NONE), "%s (%s): %s: %s", name, form, t.err.field, t.err.message);
	if (result == 0)
		return;
	check_row(t.err.code == wanted && strcmp(t.err.field, answers[row].field) == 0, "%s (%s): %s, field \"%s\": %s", name, form,
		  error_wire_name(t.err.code), t.err.field, t.err.message);
}

/* As the option string, as its base64 alone, and as the object. */
static void every_vector_in_every_form(void **state)
{
	(void)state;
	assert_int_equal(json_object_array_length(vectors), array_count(answers));
	for (size_t i = 0; i < json_object_array_length(vectors); i++) {
		json_object *vector = json_object_array_get_idx(vectors, i);
		const char *name = member(vector, "name"), *json = member(vector, "json"), *base64 = member(vector, "base64");
		char option[4096];

		snprintf(option, sizeof(option), VIRTUAL_VOLUME_OPTION "%s", base64);
		check_answer(name, "option", false, answer(json_object_new_string(option), "serial:s", false));
		check_answer(name, "base64", false, answer(json_object_new_string(base64), "serial:s", false));
		check_answer(name, "plain", true, answer(json_object_new_string(base64), "serial:s", true));
		json_object *object;
		if (json && decode_parse(json, strlen(json), &object, &t.err) == 0)
			check_answer(name, "object", false, answer(object, "/dev/vdb", false));
	}
}

/* Whatever coffer attaches, the three other readers take too. */
static void nothing_is_attached_that_another_reader_refuses(void **state)
{
	size_t attached = 0;

	(void)state;
	for (size_t i = 0; i < array_count(answers); i++) {
		json_object *vector = json_object_array_get_idx(vectors, i);

		check_row(strcmp(member(vector, "name"), answers[i].name) == 0, "row %zu", i);
		if (answers[i].code != ERROR_NONE && !answers[i].plain)
			continue;
		attached++;
		check_row(strncmp(member(vector, "kata_rust"), "valid", 5) == 0, "%s", answers[i].name);
		check_row(strcmp(member(vector, "kata_go"), "ok") == 0, "%s", answers[i].name);
		check_row(strcmp(member(vector, "nydus_go"), "ok") == 0, "%s", answers[i].name);
	}
	assert_int_equal(attached, 6);
}

static void a_host_s_path_is_no_source(void **state)
{
	(void)state;
	for (size_t i = 0; i < json_object_array_length(vectors); i++) {
		json_object *vector = json_object_array_get_idx(vectors, i);

		if (strncmp(member(vector, "name"), "verity_", 7) != 0 ||
		    answer(json_object_new_string(member(vector, "base64")), NULL, false) == 0)
			continue;
		if (strcmp(t.err.field, "source") != 0) /* what the decoder finds comes before */
			check_row(strncmp(t.err.field, "dm_verity.", 10) == 0, "%s: %s", member(vector, "name"), t.err.field);
	}
	assert_failed(answer(json_object_new_string(member(json_object_array_get_idx(vectors, 13), "base64")), NULL, false), &t.err,
		      ERROR_PARAMS, "source");
}

/* ---- dm_verity ---- */

struct verity_row {
	const char *change; /* members that stand in place of the good ones */
	const char *field;  /* NULL: accepted */
};

static int verity_with(const char *hashtype, const char *hash, const char *numbers, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "{\"volume_type\":\"image_raw_block\",\"source\":\"serial:s\",\"dm_verity\":{\"hashtype\":\"%s\",\"hash\":\"%s\",%"
		 "s%s}}",
		 hashtype, hash, numbers, more);
	int result = decode_text(text);
	return result < 0 ? result : virtual_volume_verity(&t.request.volume.dm_verity, &t.verity, &t.err);
}

/* The vectors of Kata's own unit tests, and what lies around them: one change each to a good description. */
static void geometry(void **state)
{
	static const struct verity_row rows[] = {
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":512,\"offset\":8388608", NULL },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":4096,\"offset\":8388608", NULL },
		{ "\"blocknum\":16384,\"blocksize\":4096,\"hashsize\":4096,\"offset\":67108864", NULL },
		{ "\"blocknum\":16384,\"blocksize\":1024,\"hashsize\":2048,\"offset\":16777216", NULL },
		{ "\"blocknum\":1,\"blocksize\":512,\"hashsize\":512,\"offset\":512", NULL },
		{ "\"blocknum\":1,\"blocksize\":512,\"hashsize\":512,\"offset\":9223372036854775296", NULL },
		{ "\"blocknum\":4294967295,\"blocksize\":4096,\"hashsize\":4096,\"offset\":17592186040320", NULL },
		{ "\"blocknum\":16384,\"blocksize\":3000,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocksize" },
		{ "\"blocknum\":16384,\"blocksize\":0,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocksize" },
		{ "\"blocknum\":16384,\"blocksize\":511,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocksize" },
		{ "\"blocknum\":16384,\"blocksize\":256,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocksize" },
		{ "\"blocknum\":1,\"blocksize\":8192,\"hashsize\":512,\"offset\":8388608",
		  "dm_verity.blocksize" }, /* above a page */
		{ "\"blocknum\":16384,\"blocksize\":524800,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocksize" },
		/* Kata's Go check takes it, the kernel does not. */
		{ "\"blocknum\":1,\"blocksize\":1000,\"hashsize\":512,\"offset\":1024", "dm_verity.blocksize" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":3000,\"offset\":8388608", "dm_verity.hashsize" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":0,\"offset\":8388608", "dm_verity.hashsize" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":524800,\"offset\":8388608", "dm_verity.hashsize" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":8192,\"offset\":8388608", "dm_verity.hashsize" },
		{ "\"blocknum\":0,\"blocksize\":512,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocknum" },
		{ "\"blocknum\":4294967296,\"blocksize\":512,\"hashsize\":512,\"offset\":8796093022208", "dm_verity.blocknum" },
		{ "\"blocknum\":18446744073709551615,\"blocksize\":512,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocknum" },
		{ "\"blocknum\":-1,\"blocksize\":512,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocknum" },
		{ "\"blocknum\":16384.0,\"blocksize\":512,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocknum" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":512,\"offset\":0", "dm_verity.offset" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":512,\"offset\":8193", "dm_verity.offset" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":512,\"offset\":8384512", "dm_verity.offset" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":512,\"offset\":8388096", "dm_verity.offset" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":512,\"offset\":8388609", "dm_verity.offset" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":4096,\"offset\":8389120", "dm_verity.offset" },
		{ "\"blocknum\":1,\"blocksize\":512,\"hashsize\":512,\"offset\":9223372036854775808", "dm_verity.offset" },
		{ "\"blocknum\":1,\"blocksize\":512,\"hashsize\":512,\"offset\":18446744073709551104", "dm_verity.offset" },
		{ "\"blocksize\":512,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocknum" },
		{ "\"blocknum\":16384,\"hashsize\":512,\"offset\":8388608", "dm_verity.blocksize" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"offset\":8388608", "dm_verity.hashsize" },
		{ "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":512", "dm_verity.offset" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = verity_with("sha256", HASH, rows[i].change, "");

		check_row((result == 0) == !rows[i].field, "%s: %s: %s", rows[i].change, t.err.field, t.err.message);
		if (rows[i].field)
			check_row(strcmp(t.err.field, rows[i].field) == 0, "%s: %s: %s", rows[i].change, t.err.field,
				  t.err.message);
	}
}

#define GOOD "\"blocknum\":16384,\"blocksize\":512,\"hashsize\":4096,\"offset\":8388608"

static void what_is_decoded(void **state)
{
	(void)state;
	assert_worked(verity_with("sha256", HASH, GOOD, ""), &t.err);
	assert_string_equal(t.verity.algorithm, "sha256");
	assert_int_equal(t.verity.root_size, 32);
	char hex[65];
	text_to_hex(t.verity.root, 32, hex);
	assert_string_equal(hex, HASH);
	assert_true(t.verity.blocks == 16384 && t.verity.block_size == 512 && t.verity.hash_block_size == 4096);
	assert_true(t.verity.hash_offset == 8388608);
	assert_int_equal(t.verity.hash_type, 1);
	assert_int_equal(t.verity.salt_size, 0);
	assert_false(t.verity.superblock);
	assert_int_equal(t.verity.on_corruption, VERITY_CORRUPTION_ERROR);
	assert_int_equal(t.verity.fec_roots, 0);
	assert_int_equal(t.verity.signature_size, 0);
}

static void hashes(void **state)
{
	static const struct {
		const char *type, *hash, *field;
	} rows[] = {
		{ "sha512", HASH HASH, NULL },
		{ "sha512", HASH, "dm_verity.hash" },
		{ "sha256", HASH HASH, "dm_verity.hash" },
		{ "sha256", HASH "00", "dm_verity.hash" },
		{ "sha256", "9de18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c393251", "dm_verity.hash" },
		{ "sha256", "9de18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c3932517", "dm_verity.hash" },
		{ "sha256", "", "dm_verity.hash" },
		{ "sha256", "0xe18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c39325174", "dm_verity.hash" },
		{ "sha256", " de18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c39325174", "dm_verity.hash" },
		{ "SHA256", HASH, "dm_verity.hashtype" },
		{ "sha1", "9de18652fe74edfb9b805aaed72ae2aa48f94333", "dm_verity.hashtype" },
		{ "md5", HASH, "dm_verity.hashtype" },
		{ "", HASH, "dm_verity.hashtype" },
		{ "sha256 1", HASH, "dm_verity.hashtype" }, /* a blank would be the next word of the table */
		{ "sha2567", HASH, "dm_verity.hashtype" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = verity_with(rows[i].type, rows[i].hash, GOOD, "");

		check_row((result == 0) == !rows[i].field, "%s %s: %s", rows[i].type, rows[i].hash, t.err.message);
		if (rows[i].field)
			check_row(strcmp(t.err.field, rows[i].field) == 0, "%s %s: %s", rows[i].type, rows[i].hash, t.err.field);
	}
	assert_worked(verity_with("sha512", HASH HASH, GOOD, ""), &t.err);
	assert_int_equal(t.verity.root_size, 64);
}

static void salts(void **state)
{
	static const struct {
		const char *more;
		int size; /* -1: refused */
	} rows[] = {
		{ ",\"salt\":null", 0 },
		{ ",\"salt\":\"\"", 0 },
		{ ",\"salt\":\"-\"", 0 },
		{ ",\"salt\":\"00\"", 1 },
		{ ",\"salt\":\"0000000000000000000000000000000000000000000000000000000000000000\"", 32 },
		{ ",\"salt\":\"aBcDeF\"", 3 },
		{ ",\"salt\":\"0\"", -1 },
		{ ",\"salt\":\"--\"", -1 },
		{ ",\"salt\":\"zz\"", -1 },
		{ ",\"salt\":\"00 00\"", -1 },
		{ ",\"salt\":5", -1 },
	};
	char more[1024] = ",\"salt\":\"";

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = verity_with("sha256", HASH, GOOD, rows[i].more);

		check_row((result == 0) == (rows[i].size >= 0), "%s: %s", rows[i].more, t.err.message);
		if (result == 0)
			check_row(t.verity.salt_size == (size_t)rows[i].size, "%s: %zu", rows[i].more, t.verity.salt_size);
		else
			check_row(strcmp(t.err.field, "dm_verity.salt") == 0, "%s: %s", rows[i].more, t.err.field);
	}
	/* 256 bytes at most. */
	for (int i = 0; i < 256; i++)
		strncat(more, "5a", 3);
	strncat(more, "\"", 2);
	assert_worked(verity_with("sha256", HASH, GOOD, more), &t.err);
	assert_int_equal(t.verity.salt_size, 256);
	assert_int_equal(t.verity.salt[255], 0x5a);
	memcpy(more + strlen(more) - 1, "5a\"", 4);
	assert_failed(verity_with("sha256", HASH, GOOD, more), &t.err, ERROR_PARAMS, "dm_verity.salt");
}

/* An explicit field wins; without one there is none. */
static void the_superblock(void **state)
{
	(void)state;
	assert_worked(verity_with("sha256", HASH, GOOD, ",\"no_superblock\":true"), &t.err);
	assert_false(t.verity.superblock);
	assert_worked(verity_with("sha256", HASH, GOOD, ",\"no_superblock\":false"), &t.err);
	assert_true(t.verity.superblock);
	assert_worked(verity_with("sha256", HASH, GOOD, ",\"no_superblock\":null"), &t.err);
	assert_false(t.verity.superblock);
	assert_failed(verity_with("sha256", HASH, GOOD, ",\"no_superblock\":0"), &t.err, ERROR_PARAMS, "dm_verity.no_superblock");
	assert_worked(verity_with("sha256", HASH, GOOD, ",\"hash_type\":0"), &t.err);
	assert_int_equal(t.verity.hash_type, 0);
	assert_worked(verity_with("sha256", HASH, GOOD, ",\"hash_type\":1"), &t.err);
	assert_int_equal(t.verity.hash_type, 1);
	assert_failed(verity_with("sha256", HASH, GOOD, ",\"hash_type\":2"), &t.err, ERROR_PARAMS, "dm_verity.hash_type");
	assert_failed(verity_with("sha256", HASH, GOOD, ",\"colour\":2"), &t.err, ERROR_PARAMS, "dm_verity.colour");
}

/* nydus-snapshotter's label for a tarfs disk; the numbers of its docs/tarfs.md and of a published pull request among them. */
static void the_text_of_tarfs(void **state)
{
	static const struct {
		const char *text;
		uint64_t blocks, offset; /* 0: refused */
	} rows[] = {
		{ "379918,194519040,sha256:8113799aaf9a5d14feca1eadc3b7e6ea98bdaf61e3a2e4a8ef8c24e26a551efd", 379918, 194519040 },
		{ "1038,532480,sha256:6f398283a00a69ee4f1dd7f41ba5a36dfcafaf883fbd93566d5ffebb1796684d", 1038, 532480 },
		{ "379918,194518016,sha256:" HASH, 0, 0 }, /* not at a hash block */
		{ "379918,4096,sha256:" HASH, 0, 0 },      /* within the data */
		{ "1,4096,sha1:00", 0, 0 },
		{ "1,4096,sha256:00", 0, 0 },
		{ "1,4096,sha256:" HASH "0", 0, 0 },
		{ "1,4096,SHA256:" HASH, 0, 0 },
		{ "0,4096,sha256:" HASH, 0, 0 },
		{ "4294967296,2199023259648,sha256:" HASH, 0, 0 },
		{ "18446744073709551617,4096,sha256:" HASH, 0, 0 },
		{ "1,18446744073709555712,sha256:" HASH, 0, 0 },
		{ "-1,4096,sha256:" HASH, 0, 0 },
		{ " 1,4096,sha256:" HASH, 0, 0 },
		{ "1,4096", 0, 0 },
		{ ",,sha256:" HASH, 0, 0 },
		{ "x", 0, 0 },
		{ "", 0, 0 },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		snprintf(text, sizeof(text), "{\"volume_type\":\"image_raw_block\",\"source\":\"serial:s\",\"dm_verity\":\"%s\"}",
			 rows[i].text);
		int result = decode_text(text);
		if (result == 0)
			result = virtual_volume_verity(&t.request.volume.dm_verity, &t.verity, &t.err);
		check_row((result == 0) == (rows[i].blocks > 0), "%s: %s", rows[i].text, t.err.message);
		if (result < 0) {
			check_row(strncmp(t.err.field, "dm_verity", 9) == 0, "%s: %s", rows[i].text, t.err.field);
			continue;
		}
		assert_true(t.verity.blocks == rows[i].blocks && t.verity.hash_offset == rows[i].offset);
		assert_int_equal(t.verity.block_size, 512);
		assert_int_equal(t.verity.hash_block_size, 4096);
		assert_int_equal(t.verity.salt_size, 0);
		assert_false(t.verity.superblock);
		assert_int_equal(t.verity.hash_type, 1);
	}
}

static void our_own_keys(void **state)
{
	static const struct {
		const char *more, *field; /* NULL: accepted */
	} rows[] = {
		{ ",\"on_corruption\":\"error\"", NULL },
		{ ",\"on_corruption\":\"panic\"", NULL },
		{ ",\"on_corruption\":\"restart\"", NULL },
		{ ",\"on_corruption\":\"ignore\"", "dm_verity.on_corruption" },
		{ ",\"on_corruption\":\"\"", "dm_verity.on_corruption" },
		{ ",\"on_corruption\":\"panic 1\"", "dm_verity.on_corruption" },
		{ ",\"on_corruption\":1", "dm_verity.on_corruption" },
		{ ",\"signature\":\"MIIB\"", NULL },
		{ ",\"signature\":\"\"", "dm_verity.signature" },
		{ ",\"signature\":\"MIIB=\"", "dm_verity.signature" },
		{ ",\"signature\":\"/etc/key\"", NULL },
		{ ",\"signature\":\"a b=\"", "dm_verity.signature" },
		{ ",\"fec_roots\":2,\"fec_offset\":16777216", NULL },
		{ ",\"fec_roots\":24,\"fec_offset\":16777216", NULL },
		{ ",\"fec_roots\":1,\"fec_offset\":16777216", "dm_verity.fec_roots" },
		{ ",\"fec_roots\":25,\"fec_offset\":16777216", "dm_verity.fec_roots" },
		{ ",\"fec_offset\":16777216", "dm_verity.fec_roots" },
		{ ",\"fec_roots\":2", "dm_verity.fec_offset" },
		{ ",\"fec_roots\":2,\"fec_offset\":16777217", "dm_verity.fec_offset" },
		{ ",\"fec_roots\":2,\"fec_offset\":8388608", "dm_verity.fec_offset" }, /* where the hash area begins */
		{ ",\"fec_roots\":2,\"fec_offset\":4096", "dm_verity.fec_offset" },
	};
	static const char numbers[] = "\"blocknum\":2048,\"blocksize\":4096,\"hashsize\":4096,\"offset\":8388608";

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		int result = verity_with("sha256", HASH, numbers, rows[i].more);

		check_row((result == 0) == !rows[i].field, "%s: %s: %s", rows[i].more, t.err.field, t.err.message);
		if (rows[i].field)
			check_row(strcmp(t.err.field, rows[i].field) == 0, "%s: %s", rows[i].more, t.err.field);
	}
	assert_worked(verity_with("sha256", HASH, numbers, ",\"on_corruption\":\"restart\""), &t.err);
	assert_int_equal(t.verity.on_corruption, VERITY_CORRUPTION_RESTART);
	/* The parity is over blocks of one size. */
	assert_failed(verity_with("sha256", HASH, GOOD, ",\"fec_roots\":2,\"fec_offset\":16777216"), &t.err, ERROR_PARAMS,
		      "dm_verity.fec_roots");
}

/* ---- the option string ---- */

static void other_strings_that_are_no_volume(void **state)
{
	static const char *const strings[] = {
		"",
		"io.katacontainers.volume=",
		"io.katacontainers.volume",
		"IO.KATACONTAINERS.VOLUME=e30=",
		"io.katacontainers.volume=e30",
		"io.katacontainers.volume= e30=",
		"io.katacontainers.volume=io.katacontainers.volume=e30=",
		"bnVsbA==" /* null */,
		"NQ==" /* 5 */,
		"W10=" /* [] */,
		"ImUzMD0i" /* "e30=", base64 in base64 */,
		"e30=" /* {} */,
		"eyJ2b2x1bWVfdHlwZSI6ImEiLCJ2b2x1bWVfdHlwZSI6ImIifQ==" /* volume_type twice */,
		"extraoption=e30=",
	};

	(void)state;
	for (size_t i = 0; i < array_count(strings); i++) {
		check_row(decode_json(json_object_new_string(strings[i])) < 0, "accepted: %s", strings[i]);
		check_row(t.err.code == ERROR_PARAMS, "%s: %s", strings[i], error_wire_name(t.err.code));
	}
	assert_true(decode_json(json_object_new_int(5)) < 0);
	assert_true(decode_json(json_object_new_array()) < 0);
	assert_true(decode_json(json_object_new_boolean(1)) < 0);
}

static void a_nul_in_the_string_does_not_end_it(void **state)
{
	(void)state;
	assert_true(decode_json(json_object_new_string_len("e30=\0e30", 8)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(every_vector_in_every_form, clean),
		cmocka_unit_test(nothing_is_attached_that_another_reader_refuses),
		cmocka_unit_test_teardown(a_host_s_path_is_no_source, clean),
		cmocka_unit_test_teardown(geometry, clean),
		cmocka_unit_test_teardown(what_is_decoded, clean),
		cmocka_unit_test_teardown(hashes, clean),
		cmocka_unit_test_teardown(salts, clean),
		cmocka_unit_test_teardown(the_superblock, clean),
		cmocka_unit_test_teardown(the_text_of_tarfs, clean),
		cmocka_unit_test_teardown(our_own_keys, clean),
		cmocka_unit_test_teardown(other_strings_that_are_no_volume, clean),
		cmocka_unit_test_teardown(a_nul_in_the_string_does_not_end_it, clean),
	};

	return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
