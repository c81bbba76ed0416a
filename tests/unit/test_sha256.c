/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/sha256.h"
#include "base/text.h"

static void sums_of_known_texts(void **state)
{
	/* FIPS 180-4's examples, and the lengths around a block's end. */
	static const struct {
		const char *text;
		unsigned repeat;
		const char *sum;
	} rows[] = {
		{ "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
		{ "a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
		{ "a", 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
		{ "a", 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34" },
		{ "a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		uint8_t digest[SHA256_SIZE];
		char hex[2 * SHA256_SIZE + 1];
		struct sha256 sum;

		sha256_begin(&sum);
		for (unsigned n = 0; n < rows[i].repeat; n++)
			sha256_add(&sum, rows[i].text, strlen(rows[i].text));
		sha256_end(&sum, digest);
		text_to_hex(digest, sizeof(digest), hex);
		check_row(strcmp(hex, rows[i].sum) == 0, "%s: %s", rows[i].sum, hex);
	}
}

static void keys_from_passwords(void **state)
{
	/* RFC 7914 section 11, their first 32 bytes; and a key that is longer than a block. */
	static const struct {
		const char *password, *salt;
		unsigned iterations;
		const char *key;
	} rows[] = {
		{ "passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" },
		{ "Password", "NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56" },
		{ "01234567890123456789012345678901234567890123456789012345678901234567890123456789", "salt", 2,
		  "fd06b27a55c9ded628627dd4d3cd0bf01ce0fb72535dbb27bc8879617d19b701" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		uint8_t key[SHA256_SIZE];
		char hex[2 * SHA256_SIZE + 1];

		sha256_pbkdf2(rows[i].password, strlen(rows[i].password), rows[i].salt, strlen(rows[i].salt), rows[i].iterations,
			      key, sizeof(key));
		text_to_hex(key, sizeof(key), hex);
		check_row(strcmp(hex, rows[i].key) == 0, "%s: %s", rows[i].key, hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_of_known_texts),
		cmocka_unit_test(keys_from_passwords),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
