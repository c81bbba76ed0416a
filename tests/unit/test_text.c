/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/text.h"

/* RFC 4648 section 10. */
static const struct {
	const char *plain, *base64, *hex;
} vectors[] = {
	{ "", "", "" },
	{ "f", "Zg==", "66" },
	{ "fo", "Zm8=", "666f" },
	{ "foo", "Zm9v", "666f6f" },
	{ "foob", "Zm9vYg==", "666f6f62" },
	{ "fooba", "Zm9vYmE=", "666f6f6261" },
	{ "foobar", "Zm9vYmFy", "666f6f626172" },
};

static void rfc_4648_vectors(void **state)
{
	uint8_t bytes[16];
	char text[32];

	(void)state;
	for (size_t i = 0; i < array_count(vectors); i++) {
		size_t length = strlen(vectors[i].plain);

		assert_int_equal(text_from_base64(vectors[i].base64, strlen(vectors[i].base64), bytes, sizeof(bytes)), length);
		assert_memory_equal(bytes, vectors[i].plain, length);
		text_to_base64((const uint8_t *)vectors[i].plain, length, text);
		assert_string_equal(text, vectors[i].base64);
		assert_int_equal(text_from_hex(vectors[i].hex, bytes, sizeof(bytes)), length);
		assert_memory_equal(bytes, vectors[i].plain, length);
		text_to_hex((const uint8_t *)vectors[i].plain, length, text);
		assert_string_equal(text, vectors[i].hex);
	}
}

static void base64_that_is_refused(void **state)
{
	static const char *const refused[] = {
		"Z",       "Zg",       "Zg=",    "Zm8",      "Zm9vYg",    "Zm9vYg=",  /* padding is required */
		"Zh==",    "Zm9=",     "Zv==",   "Zm+=",                              /* unused bits that are not zero */
		"Z===",    "====",     "=",      "==",       "=g==",      "Zg==Zg==", /* padding elsewhere */
		"Zg=Z",    "Zm8=Zm8=", "Zm9v=",  "Zm9v====", "=Zm9",      "Zm=v",
		"Zm9\n",   "Zm9v\n",   "\nZm9v", "Zm 9",     "Zm9v Zm9v", "Zm9v\r\n", /* white space */
		"_-__",    "Zm9-",     "Zm9_",                                        /* the URL alphabet */
		"Zm9\x80", "Zm9\xff",  "Zm.v",   "Zm9,",     "{}{}",
	};
	uint8_t bytes[32];

	(void)state;
	for (size_t i = 0; i < array_count(refused); i++)
		check_row(text_from_base64(refused[i], strlen(refused[i]), bytes, sizeof(bytes)) == -EINVAL, "accepted: %s",
			  refused[i]);
	assert_int_equal(text_from_base64("Zm\0v", 4, bytes, sizeof(bytes)), -EINVAL);
	assert_int_equal(text_from_base64("\0\0\0\0", 4, bytes, sizeof(bytes)), -EINVAL);
}

static void base64_of_all_bytes_and_lengths(void **state)
{
	uint8_t in[256], out[256];
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(255 - i);
	for (size_t length = 0; length <= sizeof(in); length++) {
		text_to_base64(in, length, text);
		assert_int_equal(strlen(text), (length + 2) / 3 * 4);
		/* Exactly as much room as is needed, and one less. */
		assert_int_equal(text_from_base64(text, strlen(text), out, length), length);
		assert_memory_equal(in, out, length);
		if (length > 0)
			assert_int_equal(text_from_base64(text, strlen(text), out, length - 1), -EMSGSIZE);
	}
}

static void hex_that_is_refused(void **state)
{
	static const char *const refused[] = { "0", "abc", "0g", "g0", "0x12", " 00", "00 ", "0-", "-1", "+1", "\xc3\xa9", "0\n" };
	uint8_t bytes[8];

	(void)state;
	for (size_t i = 0; i < array_count(refused); i++)
		check_row(text_from_hex(refused[i], bytes, sizeof(bytes)) == -EINVAL, "accepted: %s", refused[i]);
	assert_int_equal(text_from_hex("001122334455667788", bytes, sizeof(bytes)), -EMSGSIZE);
	assert_int_equal(text_from_hex("0011223344556677", bytes, sizeof(bytes)), 8);
	assert_int_equal(text_from_hex("aBcDeF", bytes, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "\xab\xcd\xef", 3);
}

static void format_never_truncates(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(text_format(out, sizeof(out), "%s", "1234567"), 0);
	assert_string_equal(out, "1234567");
	assert_int_equal(text_format(out, sizeof(out), "%s", "12345678"), -ENAMETOOLONG);
	assert_int_equal(text_format(out, sizeof(out), "%d/%s", 123456, "x"), -ENAMETOOLONG);
}

static const char *file_with(const char *content, size_t size)
{
	static char path[] = "/tmp/coffer-test-text-XXXXXX";

	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	fd_auto fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), size);
	return path;
}

static void read_file_drops_the_last_newline(void **state)
{
	char out[16];

	(void)state;
	const char *path = file_with("virtio\n", 7);
	assert_int_equal(text_read_file(path, out, sizeof(out)), 6);
	assert_string_equal(out, "virtio");
	unlink(path);
	path = file_with("", 0);
	assert_int_equal(text_read_file(path, out, sizeof(out)), 0);
	assert_string_equal(out, "");
	unlink(path);
	assert_int_equal(text_read_file(path, out, sizeof(out)), -ENOENT);
	assert_int_equal(text_read_file("/", out, sizeof(out)), -EISDIR);
}

/* As the header says: at most size - 1 bytes; one more is an error and not a beginning. */
static void read_file_of_just_the_size(void **state)
{
	char out[8];

	(void)state;
	const char *path = file_with("1234567", 7);
	assert_int_equal(text_read_file(path, out, sizeof(out)), 7);
	assert_string_equal(out, "1234567");
	unlink(path);
	path = file_with("12345678", 8);
	assert_int_equal(text_read_file(path, out, sizeof(out)), -EMSGSIZE);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_4648_vectors),
		cmocka_unit_test(base64_that_is_refused),
		cmocka_unit_test(base64_of_all_bytes_and_lengths),
		cmocka_unit_test(hex_that_is_refused),
		cmocka_unit_test(format_never_truncates),
		cmocka_unit_test(read_file_drops_the_last_newline),
		cmocka_unit_test(read_file_of_just_the_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
