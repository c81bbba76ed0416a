/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/storage/luks.c agent/storage/luks_header.c agent/sys/libraries.c agent/sys/secret.c */
/* Key slots by the real libcryptsetup, on a file in place of a disk. */
#include "unit/test.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/luks.h"

/* In place of libc's: writes to `disk` fail after `allowed` of them. */
static int disk = -1, allowed = -1;

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	if (fd == disk && allowed == 0) {
		errno = EIO;
		return -1;
	}
	if (fd == disk && allowed > 0)
		allowed--;
	return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

static uint8_t front[LUKS_HEADER_DATA], area[LUKS_HEADER_AREA_SIZE];

static void set_key(struct luks_key *key, const char *text, bool raw)
{
	struct error err;

	assert_worked(secret_new(&key->secret, strlen(text), &err), &err);
	memcpy(key->secret.bytes, text, strlen(text));
	key->raw = raw;
}

static void end(struct luks_key *key, struct secret *secret)
{
	secret_wipe(&key->secret);
	secret_wipe(secret);
}

static void a_new_disk(struct secret *volume_key, struct luks_header *header, const struct luks_key *key)
{
	struct error err;

	disk = memfd_create("disk", MFD_CLOEXEC);
	allowed = -1;
	assert_int_equal(ftruncate(disk, 4 << 20), 0);
	assert_worked(secret_random(volume_key, LUKS_HEADER_KEY, &err), &err);
	assert_worked(luks_begin(volume_key, header, &err), &err);
	assert_worked(luks_set_key(header, volume_key, key, area, &err), &err);
	assert_worked(luks_store(disk, header, area, &err), &err);
}

/* 0, or the error's code. */
static enum error_code try(const struct luks_key *key, const struct secret *wanted)
{
	struct secret found = { 0 };
	struct luks_header header;
	struct error err;

	assert_worked(luks_load(disk, front, &header, &err), &err);
	if (luks_unlock(front, &header, key, &found, &err) < 0) {
		assert_null(found.bytes);
		return err.code;
	}
	assert_memory_equal(found.bytes, wanted->bytes, LUKS_HEADER_KEY);
	secret_wipe(&found);
	return ERROR_NONE;
}

static void made_and_opened(void **state)
{
	(void)state;
	for (int raw = 0; raw < 2; raw++) {
		struct secret volume_key = { 0 };
		struct luks_header header, found;
		struct luks_key key = { 0 };
		struct luks_key wrong = { 0 };
		struct error err;

		set_key(&key, "a passphrase, or 32 random bytes", raw);
		set_key(&wrong, "a passphrase, or 32 random bytez", raw);
		a_new_disk(&volume_key, &header, &key);
		assert_int_equal(try(&key, &volume_key), ERROR_NONE);
		assert_int_equal(try(&wrong, &volume_key), ERROR_KEY);
		assert_worked(luks_load(disk, front, &found, &err), &err);
		assert_true(found.agree && found.sequence == 1 && found.area == 0);
		assert_int_equal(found.argon2, !raw);
		if (raw)
			assert_int_equal(found.iterations, LUKS_HEADER_PBKDF2_LEAST);
		else
			assert_true(found.iterations == 4 && found.memory_kib <= LUKS_HEADER_ARGON2_KIB &&
				    found.memory_kib >= 32768);
		/* Nothing of either key stands in the clear. */
		assert_null(memmem(front, sizeof(front), key.secret.bytes, key.secret.size));
		assert_null(memmem(front, sizeof(front), volume_key.bytes, 32));
		end(&wrong, &volume_key);
		end(&key, &volume_key);
		close(disk);
	}
}

/* Each write of a change fails in turn, as when the power goes: the old key opens it, or the new one, and the next change works. */
static void a_change_that_is_cut_short(void **state)
{
	static uint8_t before[LUKS_HEADER_DATA], new_area[LUKS_HEADER_AREA_SIZE];
	struct secret volume_key = { 0 };
	struct luks_key old = { 0 };
	struct luks_key new = { 0 };
	struct luks_header header, changed;
	struct error err;
	unsigned olds = 0, news = 0;
	int result = -1;

	(void)state;
	set_key(&old, "the old key of at least 32 bytes", true);
	set_key(&new, "the new key of at least 32 bytes", true);
	a_new_disk(&volume_key, &header, &old);
	assert_int_equal(pread(disk, before, sizeof(before), 0), sizeof(before));
	changed = header;
	changed.area = 1;
	assert_worked(luks_set_key(&changed, &volume_key, &new, new_area, &err), &err);
	assert_int_equal(changed.sequence, 2);
	for (int writes = 0; result < 0; writes++) {
		allowed = -1;
		assert_int_equal(pwrite(disk, before, sizeof(before), 0), sizeof(before));
		allowed = writes;
		result = luks_store(disk, &changed, new_area, &err);
		allowed = -1;
		bool with_old = try(&old, &volume_key) == ERROR_NONE, with_new = try(&new, &volume_key) == ERROR_NONE;
		check_row(with_old != with_new, "after %d writes: old %d, new %d", writes, with_old, with_new);
		check_row(!with_old || news == 0, "after %d writes the old key is back", writes);
		olds += with_old;
		news += with_new;
		/* Whatever it was, what counts is written to both copies before anything else is changed. */
		struct luks_header found;
		assert_worked(luks_load(disk, front, &found, &err), &err);
		assert_worked(luks_mend(disk, &found, &err), &err);
		assert_worked(luks_load(disk, front, &found, &err), &err);
		check_row(found.agree, "after %d writes: mended", writes);
		assert_int_equal(try(with_old ? &old : &new, &volume_key), ERROR_NONE);
	}
	check_row(olds >= 2 && news >= 3, "%u times the old key, %u times the new", olds, news);
	/* The old slot is gone. */
	assert_int_equal(pread(disk, front, sizeof(front), 0), sizeof(front));
	assert_null(memmem(front, sizeof(front), before + LUKS_HEADER_SIZE, 4096));
	assert_worked(luks_erase(disk, &err), &err);
	assert_int_equal(pread(disk, front, sizeof(front), 0), sizeof(front));
	assert_false(luks_header_present(front));
	end(&old, &volume_key);
	end(&new, &volume_key);
	close(disk);
}

static void an_area_that_was_tampered_with(void **state)
{
	struct secret volume_key = { 0 };
	struct luks_key key = { 0 };
	struct luks_header header;

	(void)state;
	set_key(&key, "the old key of at least 32 bytes", true);
	a_new_disk(&volume_key, &header, &key);
	area[5000] ^= 1;
	assert_int_equal(pwrite(disk, area, sizeof(area), LUKS_HEADER_SIZE), sizeof(area));
	assert_int_equal(try(&key, &volume_key), ERROR_KEY);
	end(&key, &volume_key);
	close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_and_opened),
		cmocka_unit_test(a_change_that_is_cut_short),
		cmocka_unit_test(an_area_that_was_tampered_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
