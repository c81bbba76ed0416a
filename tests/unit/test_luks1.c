/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/luks1.c agent/sys/secret.c agent/sys/libraries.c */
/* Headers that `cryptsetup luksFormat --type luks1` makes, and what becomes of them in hostile hands. */
#include "unit/program.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/luks1.h"

#define PASSPHRASE "theBaseSecret"

static char folder[] = "/tmp/coffer-luks1-XXXXXX";
static char image[64], key_file[64];

/* As the older tools do it, but for the iterations. */
static void format(const char *mode, const char *bits)
{
	const char *const arguments[] = {
		"cryptsetup", "-q",  "luksFormat", "--type", "luks1", "--key-file", key_file,
		"-c",         mode,  "-h",         "sha256", "-s",    bits,         "--pbkdf-force-iterations",
		"1000",       image, NULL
	};

	assert_int_equal(truncate(image, 0), 0);
	assert_int_equal(truncate(image, 10 << 20), 0);
	assert_int_equal(run_program(arguments), 0);
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(image, sizeof(image), "%s/image", folder);
	snprintf(key_file, sizeof(key_file), "%s/key", folder);
	fd_auto key = open(key_file, O_WRONLY | O_CREAT, 0600);
	fd_auto made = open(image, O_WRONLY | O_CREAT, 0600);
	return write(key, PASSPHRASE, strlen(PASSPHRASE)) == (ssize_t)strlen(PASSPHRASE) && made >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(image);
	unlink(key_file);
	return rmdir(folder);
}

static int unlock(int file, const char *passphrase, struct luks1_header *header, struct secret *volume_key, struct error *err)
{
	struct luks_key key = { 0 };

	assert_worked(secret_new(&key.secret, strlen(passphrase), err), err);
	memcpy(key.secret.bytes, passphrase, strlen(passphrase));
	int result = luks1_unlock(file, &key, header, volume_key, err);
	secret_wipe(&key.secret);
	return result;
}

static void what_cryptsetup_makes_is_opened(void **state)
{
	static const struct {
		const char *mode, *bits;
		uint32_t key_size;
		bool plain64;
	} rows[] = { { "aes-xts-plain", "256", 32, false }, { "aes-xts-plain64", "512", 64, true } };

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct luks1_header header;
		struct secret volume_key = { 0 };
		struct error err;

		format(rows[i].mode, rows[i].bits);
		fd_auto file = open(image, O_RDONLY);
		assert_worked(unlock(file, PASSPHRASE, &header, &volume_key, &err), &err);
		assert_int_equal(header.key_size, rows[i].key_size);
		assert_int_equal(header.plain64, rows[i].plain64);
		assert_int_equal(volume_key.size, rows[i].key_size);
		uint8_t sum = 0;
		for (size_t at = 0; at < volume_key.size; at++)
			sum |= volume_key.bytes[at];
		assert_int_not_equal(sum, 0);
		secret_wipe(&volume_key);
		assert_failed(unlock(file, "another", &header, &volume_key, &err), &err, ERROR_KEY, "");
		assert_null(volume_key.bytes);
	}
}

/* Offsets in the header, and what is written there. */
static const struct {
	const char *message;
	unsigned at, size;
	uint64_t value; /* big-endian */
} refused[] = {
	{ "magic", 0, 1, 'M' },
	{ "version", 6, 2, 2 },
	{ "cipher-name", 8, 1, 'b' },
	{ "cipher-name", 11, 1, 'x' }, /* aesx */
	{ "cipher-name", 39, 1, 'x' }, /* behind the end of the text */
	{ "cipher-mode", 40, 1, 'c' },
	{ "hash-spec", 72, 4, 0x73686131 }, /* sha1 */
	{ "payload-offset", 104, 4, 0 },    /* which libcryptsetup reads as a detached header */
	{ "payload-offset", 104, 4, 2056 },
	{ "key-bytes", 108, 4, 0 },
	{ "key-bytes", 108, 4, 16 },
	{ "key-bytes", 108, 4, 0xffffffff },
	{ "mk-digest-iter", 164, 4, 0 },
	{ "mk-digest-iter", 164, 4, 10000001 },
	{ "key slot 0", 208, 4, 1 },
	{ "key slots", 208, 4, 0x0000dead },
	{ "key slot 0", 212, 4, 0 },
	{ "key slot 0", 212, 4, 10000001 },
	{ "key slot 0", 248, 4, 9 },
	{ "key slot 0", 252, 4, 4001 },
	{ "key slot 7", 544, 4, 2 },
	{ "key slot 7", 544, 4, 0x00ac71f3 }, /* on, with nothing in it */
};

static void other_headers_are_refused(void **state)
{
	static uint8_t good[LUKS1_FRONT], bad[LUKS1_FRONT];
	struct luks1_header header;
	struct error err;

	(void)state;
	format("aes-xts-plain", "256");
	fd_auto file = open(image, O_RDONLY);
	assert_int_equal(pread(file, good, sizeof(good), 0), sizeof(good));
	assert_worked(luks1_read(good, &header, &err), &err);
	for (size_t i = 0; i < array_count(refused); i++) {
		memcpy(bad, good, sizeof(bad));
		/* The last slot has no iterations, so that it is refused when it is only switched on. */
		memset(bad + 548, 0, 4);
		for (unsigned byte = 0; byte < refused[i].size; byte++)
			bad[refused[i].at + byte] = (uint8_t)(refused[i].value >> (8 * (refused[i].size - 1 - byte)));
		int result = luks1_read(bad, &header, &err);
		check_row(result < 0 && err.code == ERROR_HEADER, "row %zu, %s: %d", i, refused[i].message, result);
		check_row(strncmp(err.message, refused[i].message, strlen(refused[i].message)) == 0, "row %zu: %s", i, err.message);
	}
}

static void images_that_are_cut_off(void **state)
{
	struct luks1_header header;
	struct secret volume_key = { 0 };
	struct error err;

	(void)state;
	format("aes-xts-plain", "256");
	fd_auto file = open(image, O_RDWR);
	for (off_t size = LUKS1_FRONT - 1; size > 0; size = size / 3) {
		assert_int_equal(ftruncate(file, size), 0);
		assert_failed(unlock(file, PASSPHRASE, &header, &volume_key, &err), &err, ERROR_HEADER, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cryptsetup_makes_is_opened),
		cmocka_unit_test(other_headers_are_refused),
		cmocka_unit_test(images_that_are_cut_off),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
