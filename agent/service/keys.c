/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service/keys.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "service/storage.h"

_Static_assert(LUKS_KEY_MAX == COFFER_PASSPHRASE_MAX, "what may be said fits");
_Static_assert(KEYS_RAW_MOST <= LUKS_KEY_MAX, "a raw key fits");

bool keys_given(const struct key_request *key)
{
	return key->passphrase || key->raw || key->has_file || key->has_service;
}

const char *keys_source(const struct key_request *key)
{
	return key->has_file ? "file" : key->has_service ? "service" : "request";
}

static unsigned attempts_of(const struct key_request *key)
{
	return key->service.attempts ? (unsigned)key->service.attempts : KEY_SERVICE_ATTEMPTS;
}

unsigned keys_wait_ms(const struct key_request *key)
{
	return key->has_service ? attempts_of(key) * (KEY_SERVICE_INTERVAL_MS + KEY_SERVICE_ANSWER_MS) : 0;
}

/* ---- PID 1 ---- */

int keys_hold(struct agent *agent, struct key_request *key, const char *field, struct error *err)
{
	struct object *volume;

	key->held = NULL;
	if (!key->has_file)
		return 0;
	int result = objects_get(&agent->objects, OBJECT_VOLUME, key->file.volume, "file.volume", &volume, err);
	if (result == 0)
		result = objects_check_ready(volume, err);
	if (result == 0 && !((const struct volume_object *)volume)->authentic)
		result = error_field(err, "file.volume", "%s is neither verified nor encrypted: its host could choose the key",
				     key->file.volume);
	if (result < 0)
		return error_within(err, field);
	volume->users++; /* it cannot go, and be another one, meanwhile */
	key->held = volume;
	return 0;
}

void keys_release(struct key_request *key)
{
	if (key->held)
		key->held->users--;
	key->held = NULL;
}

/* ---- workers ---- */

void keys_wipe(struct luks_key *key)
{
	secret_wipe(&key->secret);
}

static int take_raw(const char *base64, size_t least, struct luks_key *key, struct error *err)
{
	int result = secret_new(&key->secret, KEYS_RAW_MOST, err);

	if (result < 0)
		return result;
	long size = text_from_base64(base64, strlen(base64), key->secret.bytes, KEYS_RAW_MOST);
	if (size < (long)least)
		return error_field(err, "raw", "must be %zu to %d bytes in base64", least, KEYS_RAW_MOST);
	key->secret.size = (size_t)size;
	return 0;
}

static int take_passphrase(const char *text, struct luks_key *key, struct error *err)
{
	size_t size = strlen(text);
	int result = size > LUKS_KEY_MAX ? error_set(err, ERROR_INTERNAL, EMSGSIZE, "a passphrase")
					 : secret_new(&key->secret, size, err);

	if (result == 0)
		memcpy(key->secret.bytes, text, size);
	return result;
}

static int take_file(const struct key_file *file, size_t raw_least, struct luks_key *key, struct error *err)
{
	size_t most = file->passphrase ? LUKS_KEY_MAX + 1 : KEYS_RAW_MOST, least = file->passphrase ? 1 : raw_least;
	fd_auto fd = storage_open_file(file->volume, file->path, "file.path", err);
	int result = fd < 0 ? fd : secret_new(&key->secret, most + 1, err);
	size_t size = 0;
	ssize_t got = 1;

	while (result == 0 && size <= most && (got = read(fd, key->secret.bytes + size, most + 1 - size)) > 0)
		size += (size_t)got;
	if (result < 0)
		return result;
	if (got < 0)
		return error_set(err, ERROR_MOUNT, errno, "read the key");
	if (file->passphrase && size > 0 && key->secret.bytes[size - 1] == '\n')
		size--;
	if (size < least || size > (file->passphrase ? LUKS_KEY_MAX : most))
		return error_field(err, "file.path", "must hold %zu to %zu bytes", least,
				   file->passphrase ? (size_t)LUKS_KEY_MAX : most);
	key->secret.size = size;
	return 0;
}

static int take_from_service(const struct key_request *said, size_t least, struct luks_key *key, struct error *err)
{
	const struct key_service service = {
		.id = said->service.id,
		.unix_path = said->service.unix_path,
		.cid = said->service.cid ? (unsigned)said->service.cid : 2,
		.port = (unsigned)said->service.port,
		.attempts = attempts_of(said),
		.least = least,
	};

	return key_service_fetch(&service, &key->secret, err);
}

int keys_take(const struct key_request *said, const char *field, size_t least, struct luks_key *key, struct error *err)
{
	int result;

	key->raw = !said->passphrase && !(said->has_file && said->file.passphrase);
	if (said->has_file)
		result = take_file(&said->file, least, key, err);
	else if (said->has_service)
		result = take_from_service(said, least, key, err);
	else
		result = said->raw ? take_raw(said->raw, least, key, err)
				   : take_passphrase(said->passphrase ? said->passphrase : "", key, err);
	if (result < 0 && err->code == ERROR_PARAMS)
		error_within(err, field);
	return result;
}
