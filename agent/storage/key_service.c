/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/key_service.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "base/text.h"

#define LINE_MAX_BYTES 8192u

/* ---- the wire ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(int fd, short what, int64_t until)
{
	struct pollfd poll_fd = { .fd = fd, .events = what };
	int64_t left = until - now_ms();
	int ready = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;

	if (ready < 0)
		return -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

static int make_address(const struct key_service *service, struct sockaddr_storage *storage, socklen_t *length)
{
	if (service->unix_path) {
		struct sockaddr_un *address = (struct sockaddr_un *)storage;

		*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
		*length = sizeof(*address);
		return text_format(address->sun_path, sizeof(address->sun_path), "%s", service->unix_path);
	}
	*(struct sockaddr_vm *)storage =
		(struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = service->cid, .svm_port = service->port };
	*length = sizeof(struct sockaddr_vm);
	return 0;
}

/* Returns a descriptor or a negative errno. */
static int connect_to(const struct key_service *service, int64_t until)
{
	struct sockaddr_storage address;
	socklen_t length, size = sizeof(int);
	int error = 0;
	int result = make_address(service, &address, &length);

	if (result < 0)
		return result;
	fd_auto fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, length) == 0)
		return take_fd(&fd);
	if (errno != EINPROGRESS)
		return -errno;
	result = wait_for(fd, POLLOUT, until);
	if (result == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		result = -errno;
	if (result == 0)
		result = -error;
	return result < 0 ? result : take_fd(&fd);
}

static int send_all(int fd, const char *bytes, size_t size, int64_t until)
{
	while (size > 0) {
		ssize_t done = send(fd, bytes, size, MSG_NOSIGNAL);

		if (done < 0 && errno == EAGAIN) {
			int result = wait_for(fd, POLLOUT, until);
			if (result < 0)
				return result;
			continue;
		}
		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			bytes += done;
			size -= (size_t)done;
		}
	}
	return 0;
}

/* One line, without its newline, into `line`.  Returns its length. */
static long receive_line(int fd, char line[LINE_MAX_BYTES], int64_t until)
{
	size_t have = 0;

	while (have < LINE_MAX_BYTES) {
		ssize_t got = recv(fd, line + have, LINE_MAX_BYTES - have, 0);

		if (got < 0 && errno == EAGAIN) {
			int result = wait_for(fd, POLLIN, until);
			if (result < 0)
				return result;
			continue;
		}
		if (got == 0)
			return -ECONNRESET;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got < 0)
			continue;
		const char *end = memchr(line + have, '\n', (size_t)got);
		if (end)
			return end - line;
		have += (size_t)got;
	}
	return -EMSGSIZE;
}

/* ---- what is said ---- */

static int encode_request(const struct key_service *service, struct buf *text)
{
	struct encode e = { .buf = text };

	encode_open(&e, NULL, '{');
	encode_string(&e, "method", "VirtualMachine.FetchKey");
	encode_open(&e, "params", '[');
	encode_open(&e, NULL, '{');
	encode_string(&e, "KeyID", service->id);
	encode_null(&e, "Key");
	encode_bool(&e, "ReturnCode", false);
	encode_close(&e, '}');
	encode_close(&e, ']');
	encode_uint(&e, "id", 0);
	encode_close(&e, '}');
	return encode_result(&e) < 0 ? -ENOMEM : buf_append(text, "\n", 1);
}

struct envelope {
	uint64_t id;
	json_object *result, *error;
};

struct answer {
	const char *id, *key;
	bool found;
};

#define FIELD(type, key_name, decode_kind, member) .name = key_name, .kind = decode_kind, .offset = offsetof(struct type, member)

static const struct decode_field envelope_fields[] = {
	{ FIELD(envelope, "id", DECODE_UINT, id), .flags = DECODE_REQUIRED },
	{ FIELD(envelope, "result", DECODE_RAW, result) },
	{ FIELD(envelope, "error", DECODE_RAW, error) },
};
static const struct decode_schema envelope_schema = { envelope_fields, array_count(envelope_fields), sizeof(struct envelope),
						      NULL };

static const struct decode_field answer_fields[] = {
	{ FIELD(answer, "KeyID", DECODE_STRING, id), .flags = DECODE_REQUIRED },
	{ FIELD(answer, "Key", DECODE_STRING, key), .max = LINE_MAX_BYTES },
	{ FIELD(answer, "ReturnCode", DECODE_BOOL, found) },
};
static const struct decode_schema answer_schema = { answer_fields, array_count(answer_fields), sizeof(struct answer), NULL };

/* 1: there is a key, 0: not yet. */
static int take_key(const struct key_service *service, const struct answer *answer, struct secret *key, struct error *err)
{
	uint8_t bytes[KEY_SERVICE_MOST];

	if (!answer->found || !answer->key || !*answer->key)
		return 0;
	if (strcmp(answer->id, service->id) != 0)
		return error_set(err, ERROR_KEY, EBADMSG, "the key service answers with another key's id");
	long size = text_from_base64(answer->key, strlen(answer->key), bytes, sizeof(bytes));
	int result = size < (long)service->least
			     ? error_set(err, ERROR_KEY, EBADMSG, "the key service answers no %zu to %d bytes in base64",
					 service->least, KEY_SERVICE_MOST)
			     : secret_new(key, (size_t)size, err);
	if (result == 0)
		memcpy(key->bytes, bytes, (size_t)size);
	explicit_bzero(bytes, sizeof(bytes));
	return result < 0 ? result : 1;
}

static int read_answer(const struct key_service *service, const char *line, size_t length, struct secret *key, struct error *err)
{
	struct envelope envelope = { 0 };
	struct answer answer = { 0 };
	json_object *json = NULL;
	int result = decode_parse(line, length, &json, err);

	if (result == 0)
		result = decode_object(json, &envelope_schema, &envelope, NULL, err);
	if (result == 0 && !envelope.error && envelope.result)
		result = decode_object(envelope.result, &answer_schema, &answer, NULL, err);
	if (result < 0) {
		err->code = ERROR_KEY;
		err->field[0] = '\0';
		error_wrap(err, "the key service's answer");
	} else if (!envelope.error && envelope.result) {
		result = take_key(service, &answer, key, err);
	}
	decode_wipe(json);
	json_object_put(json);
	return result;
}

/* 1: the key; 0: not yet, and *why tells; or an error that another attempt does not mend. */
static int attempt(const struct key_service *service, const struct buf *request, struct secret *key, int *why, struct error *err)
{
	int64_t until = now_ms() + KEY_SERVICE_ANSWER_MS;
	char line[LINE_MAX_BYTES];
	fd_auto fd = connect_to(service, until);
	long length = fd < 0 ? fd : send_all(fd, buf_bytes(request), buf_length(request), until);

	if (length == 0)
		length = receive_line(fd, line, until);
	*why = length < 0 ? (int)-length : 0;
	if (length == -EMSGSIZE)
		return error_set(err, ERROR_KEY, EMSGSIZE, "the key service's answer has more than %u bytes", LINE_MAX_BYTES);
	int result = length < 0 ? 0 : read_answer(service, line, (size_t)length, key, err);
	explicit_bzero(line, sizeof(line));
	return result;
}

int key_service_fetch(const struct key_service *service, struct secret *key, struct error *err)
{
	struct buf request = { 0 };
	int why = 0, result = encode_request(service, &request);

	if (result < 0)
		error_set(err, ERROR_INTERNAL, -result, "request to the key service");
	for (unsigned i = 0; i < service->attempts && result == 0; i++) {
		if (i > 0)
			usleep(KEY_SERVICE_INTERVAL_MS * 1000);
		result = attempt(service, &request, key, &why, err);
	}
	buf_free(&request);
	if (result != 0)
		return result < 0 ? result : 0;
	if (why)
		return error_set(err, ERROR_TIMEOUT, why, "the key service was asked %u times for a key", service->attempts);
	return error_set(err, ERROR_KEY, ENOKEY, "the key service has no such key, asked %u times", service->attempts);
}
