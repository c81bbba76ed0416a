/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/qmp.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "qemu/connect.h"
#include "qemu/fail.h"
#include "qemu/lines.h"

#define QMP_ANSWER_MS 20000

static const char *string_member(json_object *json, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(json, key, &value) && value ? json_object_get_string(value) : "";
}

/* The next line as JSON, the caller's to put.  Remembers deleted devices. */
static int receive(struct qmp *qmp, int64_t end, json_object **json, struct error *err)
{
	const char *line;
	size_t length;
	json_object *data;
	int result = lines_read(qmp->fd, &qmp->in, end, &line, &length, err);

	if (result < 0)
		return error_wrap(err, "QEMU's QMP socket");
	result = decode_parse(line, length, json, err);
	buf_consume(&qmp->in, length + 1);
	if (result < 0)
		return error_wrap(err, "QEMU's QMP socket");
	if (strcmp(string_member(*json, "event"), "DEVICE_DELETED") == 0 && json_object_object_get_ex(*json, "data", &data))
		json_object_object_add(qmp->deleted, string_member(data, "device"), json_object_new_boolean(1));
	return 0;
}

/* Reads until the line has this member. */
static int receive_with(struct qmp *qmp, const char *member, const char *other, int64_t end, json_object **json, struct error *err)
{
	for (;;) {
		int result = receive(qmp, end, json, err);

		if (result < 0)
			return result;
		if (json_object_object_get_ex(*json, member, NULL) || (other && json_object_object_get_ex(*json, other, NULL)))
			return 0;
		json_object_put(*json);
	}
}

int qmp_command(struct qmp *qmp, const char *name, const char *arguments, size_t length, struct error *err)
{
	struct buf line = { 0 };
	struct encode e = { .buf = &line };
	json_object *answer = NULL, *error;

	encode_open(&e, NULL, '{');
	encode_string(&e, "execute", name);
	if (arguments)
		encode_raw(&e, "arguments", arguments, length);
	encode_close(&e, '}');
	int result = encode_result(&e) < 0 ? -ENOMEM : buf_append(&line, "\n", 1);
	if (result < 0)
		error_set(err, ERROR_HOST, ENOMEM, "%s", name);
	else
		result = lines_write(qmp->fd, buf_bytes(&line), buf_length(&line), process_now() + QMP_ANSWER_MS, err);
	buf_free(&line);
	if (result == 0)
		result = receive_with(qmp, "return", "error", process_now() + QMP_ANSWER_MS, &answer, err);
	if (result < 0)
		return result;
	if (json_object_object_get_ex(answer, "error", &error)) {
		const char *text = string_member(error, "desc");
		bool missing = strcmp(string_member(error, "class"), "DeviceNotFound") == 0 || strstr(text, "Failed to find node");

		result = error_set(err, ERROR_HOST, missing ? ENODEV : 0, "QEMU: %s: %s", name, text);
	}
	json_object_put(answer);
	return result;
}

int qmp_wait_deleted(struct qmp *qmp, const char *device, int milliseconds, struct error *err)
{
	int64_t end = process_now() + milliseconds;

	while (!json_object_object_get_ex(qmp->deleted, device, NULL)) {
		json_object *json;
		int result = receive(qmp, end, &json, err);

		if (result == -ETIMEDOUT)
			return fail_set(err, ETIMEDOUT, "the guest did not let go of %s", device);
		if (result < 0)
			return result;
		json_object_put(json);
	}
	return 0;
}

int qmp_open(const struct vm *vm, struct qmp *qmp, struct error *err)
{
	char path[PATH_MAX];
	json_object *greeting;
	int64_t end = process_now() + QMP_ANSWER_MS;

	*qmp = (struct qmp){ .fd = -1, .in = { .limit = COFFER_LINE_MAX } };
	int result = vm_path(vm, VM_QMP_SOCKET, path, sizeof(path), err);
	if (result == 0)
		result = connect_unix(path, &qmp->fd, err);
	if (result < 0)
		return error_wrap(err, "QEMU's QMP socket");
	qmp->deleted = json_object_new_object();
	if (!qmp->deleted)
		result = error_set(err, ERROR_HOST, ENOMEM, "QMP");
	if (result == 0)
		result = receive_with(qmp, "QMP", NULL, end, &greeting, err);
	if (result == 0) {
		json_object_put(greeting);
		result = qmp_command(qmp, "qmp_capabilities", NULL, 0, err);
	}
	if (result < 0)
		qmp_close(qmp);
	return result;
}

void qmp_close(struct qmp *qmp)
{
	close_fd(&qmp->fd);
	buf_free(&qmp->in);
	json_object_put(qmp->deleted);
	qmp->deleted = NULL;
}
