/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/luks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/text.h"
#include "sys/libraries.h"

#define DIGEST_ITERATIONS     1000u /* the volume key is random */
#define PASSPHRASE_ITERATIONS 1000000u
#define ARGON2_PASSES         4u
#define ARGON2_LEAST_KIB      (32u * 1024u)

static void log_cryptsetup(int level, const char *message, void *context)
{
	(void)context;
	if (level == CRYPT_LOG_ERROR)
		log_debug("libcryptsetup: %s", message);
}

/* KiB that could be had without swapping; 0 when unknown. */
static uint64_t free_kib(void)
{
	char text[4096];
	const char *line;

	if (text_read_file("/proc/meminfo", text, sizeof(text)) < 0 || !(line = strstr(text, "MemAvailable:")))
		return 0;
	return strtoull(line + strlen("MemAvailable:"), NULL, 10);
}

static int read_all(int fd, uint8_t *bytes, size_t size, uint64_t offset, const char *what, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(fd, bytes + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error_set(err, ERROR_DEVICE, got < 0 ? errno : EIO, "read %s", what);
		done += (size_t)got;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t size, uint64_t offset, const char *what, struct error *err)
{
	for (size_t done = 0; done < size;) {
		ssize_t put = pwrite(fd, bytes + done, size - done, (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return error_set(err, ERROR_DEVICE, put < 0 ? errno : EIO, "write %s", what);
		done += (size_t)put;
	}
	return 0;
}

int luks_load(int disk, uint8_t *front, struct luks_header *header, struct error *err)
{
	/* While a mapping is open the kernel may still have what was read then. */
	posix_fadvise(disk, 0, LUKS_HEADER_DATA, POSIX_FADV_DONTNEED);
	int result = read_all(disk, front, LUKS_HEADER_DATA, 0, "the header", err);

	return result < 0 ? result : luks_header_read(front, header, err);
}

/* ---- libcryptsetup on a file in memory ---- */

struct session {
	struct libraries lib;
	struct crypt_device *device;
	int file;
};

static void session_end(struct session *session)
{
	if (session->device)
		session->lib.crypt_free(session->device);
	close_fd(&session->file);
}

#define SESSION __attribute__((cleanup(session_end))) struct session

/* A file with this header, and with the area if there is one; then it is sealed. */
static int make_file(struct session *session, const struct luks_header *header, const uint8_t *area, struct error *err)
{
	uint8_t *copies = malloc(LUKS_HEADER_SIZE);
	int result;

	session->file = memfd_create("luks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (!copies || session->file < 0 || ftruncate(session->file, LUKS_HEADER_DATA) < 0)
		result = error_set(err, ERROR_INTERNAL, copies ? errno : ENOMEM, "header in memory");
	else
		result = luks_header_write(header, area != NULL, copies, err);
	if (result == 0)
		result = write_all(session->file, copies, LUKS_HEADER_SIZE, 0, "the header in memory", err);
	if (result == 0 && area)
		result = write_all(session->file, area, LUKS_HEADER_AREA_SIZE, luks_header_area(header), "the key slot in memory",
				   err);
	free(copies);
	if (result == 0 && area && fcntl(session->file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		result = error_set(err, ERROR_INTERNAL, errno, "seal the header");
	return result;
}

static int session_begin(struct session *session, const struct luks_header *header, const uint8_t *area, struct error *err)
{
	char path[32];
	int result = libraries_open(&session->lib, LIBRARY_cryptsetup, err);

	if (result == 0)
		result = make_file(session, header, area, err);
	if (result < 0)
		return result;
	struct libraries *lib = &session->lib;
	lib->crypt_set_log_callback(NULL, log_cryptsetup, NULL);
	/* Nobody else knows of the file, and there is no /run/cryptsetup.  Tokens are programs of others. */
	lib->crypt_metadata_locking(NULL, 0);
	lib->crypt_token_external_disable();
	if (text_format(path, sizeof(path), "/proc/self/fd/%d", session->file) < 0)
		return error_set(err, ERROR_INTERNAL, EINVAL, "header path");
	result = lib->crypt_init(&session->device, path);
	if (result == 0)
		result = lib->crypt_load(session->device, CRYPT_LUKS2, NULL);
	return result < 0 ? error_set(err, ERROR_CRYPT, -result, "open the header in memory") : 0;
}

int luks_unlock(const uint8_t *front, const struct luks_header *header, const struct luks_key *key, struct secret *volume_key,
		struct error *err)
{
	SESSION session = { .file = -1 };
	size_t size = LUKS_HEADER_KEY;
	uint64_t available = free_kib();

	if (header->argon2 && available && header->memory_kib > available)
		return error_set(err, ERROR_CRYPT, ENOMEM, "the key slot needs %u KiB of memory, and %llu are free",
				 header->memory_kib, (unsigned long long)available);
	int result = session_begin(&session, header, front + luks_header_area(header), err);
	if (result == 0)
		result = secret_new(volume_key, LUKS_HEADER_KEY, err);
	if (result < 0)
		return result;
	result = session.lib.crypt_volume_key_get(session.device, 0, (char *)volume_key->bytes, &size,
						  (const char *)key->secret.bytes, key->secret.size);
	if (result >= 0 && size == LUKS_HEADER_KEY)
		return 0;
	secret_wipe(volume_key);
	if (result == -EPERM)
		return error_set(err, ERROR_KEY, EACCES, "the key does not open the volume");
	return error_set(err, ERROR_CRYPT, result < 0 ? -result : EBADMSG, "open the key slot");
}

/* ---- making ---- */

int luks_begin(const struct secret *volume_key, struct luks_header *header, struct error *err)
{
	uint8_t uuid[16];

	*header = (struct luks_header){ .digest_iterations = DIGEST_ITERATIONS };
	if (getrandom(uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid) ||
	    getrandom(header->digest_salt, sizeof(header->digest_salt), 0) != (ssize_t)sizeof(header->digest_salt))
		return error_set(err, ERROR_INTERNAL, errno, "getrandom");
	/* RFC 4122: version 4. */
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	char *at = header->uuid;
	for (size_t i = 0; i < sizeof(uuid); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		text_to_hex(uuid + i, 1, at);
		at += 2;
	}
	/* libcryptsetup adds a key slot only for the key that the digest says. */
	sha256_pbkdf2(volume_key->bytes, volume_key->size, header->digest_salt, sizeof(header->digest_salt), DIGEST_ITERATIONS,
		      header->digest, sizeof(header->digest));
	return 0;
}

static void choose_pbkdf(const struct luks_key *key, struct crypt_pbkdf_type *pbkdf)
{
	uint64_t memory = free_kib() / 4;

	if (memory > LUKS_HEADER_ARGON2_KIB)
		memory = LUKS_HEADER_ARGON2_KIB;
	*pbkdf = (struct crypt_pbkdf_type){
		.type = CRYPT_KDF_PBKDF2,
		.hash = "sha256",
		.iterations = key->raw ? LUKS_HEADER_PBKDF2_LEAST : PASSPHRASE_ITERATIONS,
		.flags = CRYPT_PBKDF_NO_BENCHMARK,
	};
	if (key->raw || memory < ARGON2_LEAST_KIB)
		return;
	pbkdf->type = CRYPT_KDF_ARGON2ID;
	pbkdf->iterations = ARGON2_PASSES;
	pbkdf->max_memory_kb = (uint32_t)memory / 1024 * 1024;
	pbkdf->parallel_threads = 1;
}

int luks_set_key(struct luks_header *header, const struct secret *volume_key, const struct luks_key *key, uint8_t *area,
		 struct error *err)
{
	SESSION session = { .file = -1 };
	auto_free uint8_t *front = malloc(LUKS_HEADER_DATA);
	struct crypt_pbkdf_type pbkdf;
	struct luks_header made;

	if (!front)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	choose_pbkdf(key, &pbkdf);
	header->sequence++;
	int result = session_begin(&session, header, NULL, err);
	if (result < 0)
		return result;
	result = session.lib.crypt_set_pbkdf_type(session.device, &pbkdf);
	if (result == 0)
		result = session.lib.crypt_keyslot_add_by_key(session.device, 0, (const char *)volume_key->bytes, volume_key->size,
							      (const char *)key->secret.bytes, key->secret.size, 0);
	if (result < 0)
		return error_set(err, ERROR_CRYPT, -result, "make the key slot");
	/* What the library made has to be what will be accepted later. */
	result = luks_load(session.file, front, &made, err);
	if (result < 0)
		return error_wrap(err, "libcryptsetup");
	memcpy(area, front + luks_header_area(&made), LUKS_HEADER_AREA_SIZE);
	header->argon2 = made.argon2;
	header->iterations = made.iterations;
	header->memory_kib = made.memory_kib;
	header->cpus = made.cpus;
	memcpy(header->slot_salt, made.slot_salt, sizeof(header->slot_salt));
	return 0;
}

/* ---- the disk ---- */

static int flush(int disk, struct error *err)
{
	return fsync(disk) < 0 ? error_set(err, ERROR_DEVICE, errno, "flush the header") : 0;
}

static int write_and_flush(int disk, const uint8_t *bytes, size_t size, uint64_t offset, struct error *err)
{
	int result = write_all(disk, bytes, size, offset, "the header", err);

	return result < 0 ? result : flush(disk, err);
}

static int fill_with_random(int disk, uint64_t offset, struct error *err)
{
	uint8_t block[4096];
	int result = 0;

	for (uint64_t at = 0; at < LUKS_HEADER_AREA_SIZE && result == 0; at += sizeof(block)) {
		/* More than 256 bytes may come in pieces; what is left of the block before does as well. */
		if (getrandom(block, sizeof(block), 0) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "getrandom");
		result = write_all(disk, block, sizeof(block), offset + at, "the unused key slot", err);
	}
	return result < 0 ? result : flush(disk, err);
}

int luks_store(int disk, const struct luks_header *header, const uint8_t *area, struct error *err)
{
	auto_free uint8_t *copies = malloc(LUKS_HEADER_SIZE);
	struct luks_header other = *header;

	if (!copies)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	other.area = !header->area;
	int result = luks_header_write(header, true, copies, err);
	if (result == 0)
		result = write_and_flush(disk, area, LUKS_HEADER_AREA_SIZE, luks_header_area(header), err);
	if (result == 0)
		result = write_and_flush(disk, copies, LUKS_HEADER_COPY, 0, err);
	if (result == 0)
		result = write_and_flush(disk, copies + LUKS_HEADER_COPY, LUKS_HEADER_COPY, LUKS_HEADER_COPY, err);
	/* The slot that was in use before is gone from here on. */
	return result < 0 ? result : fill_with_random(disk, luks_header_area(&other), err);
}

int luks_mend(int disk, const struct luks_header *header, struct error *err)
{
	auto_free uint8_t *copies = malloc(LUKS_HEADER_SIZE);
	size_t offset = header->copy ? 0 : LUKS_HEADER_COPY;

	if (header->agree)
		return 0;
	if (!copies)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	int result = luks_header_write(header, true, copies, err);
	return result < 0 ? result : write_and_flush(disk, copies + offset, LUKS_HEADER_COPY, offset, err);
}

int luks_erase(int disk, struct error *err)
{
	auto_free uint8_t *zeros = calloc(1, LUKS_HEADER_SIZE);

	if (!zeros)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "header");
	return write_and_flush(disk, zeros, LUKS_HEADER_SIZE, 0, err);
}
