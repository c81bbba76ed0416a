/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/digest.c agent/sys/libraries.c */
#include "unit/test.h"

#include "layer/digest.h"

static void sums_are_sha256(void **state)
{
	/* FIPS 180-4, the examples of NIST. */
	static const struct {
		const char *text, *digest;
	} rows[] = {
		{ "", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		uint8_t digest[DIGEST_SIZE], again[DIGEST_SIZE];
		char text[DIGEST_TEXT];
		struct digest *sum;
		struct error err;

		assert_worked(digest_begin(&sum, &err), &err);
		for (const char *at = rows[i].text; *at; at++)
			digest_add(sum, at, 1);
		digest_end(sum, digest);
		digest_format(digest, text);
		assert_string_equal(text, rows[i].digest);
		assert_worked(digest_parse(text, again, &err), &err);
		assert_memory_equal(digest, again, sizeof(digest));
	}
}

static void one_may_be_given_up(void **state)
{
	struct digest *sum;
	struct error err;

	(void)state;
	assert_worked(digest_begin(&sum, &err), &err);
	digest_add(sum, "x", 1);
	digest_end(sum, NULL);
	digest_end(NULL, NULL);
}

static void what_is_no_digest(void **state)
{
	static const char *const texts[] = {
		"",
		"sha256:",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
		"sha256:E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:g3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		" sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
	};

	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct error err = { 0 };

		assert_failed(digest_check(texts[i], &err), &err, ERROR_PARAMS, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_sha256),
		cmocka_unit_test(one_may_be_given_up),
		cmocka_unit_test(what_is_no_digest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
