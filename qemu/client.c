/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/decode.h"
#include "base/encode.h"
#include "qemu/connect.h"
#include "qemu/fail.h"
#include "qemu/interrupt.h"
#include "qemu/lines.h"

const char *client_string(json_object *json, const char *key)
{
	json_object *value;

	if (!json_object_object_get_ex(json, key, &value) || !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

bool client_bool(json_object *json, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(json, key, &value) && json_object_is_type(value, json_type_boolean) &&
	       json_object_get_boolean(value);
}

int64_t client_number(json_object *json, const char *key, int64_t missing)
{
	json_object *value;

	if (!json_object_object_get_ex(json, key, &value) || !json_object_is_type(value, json_type_int))
		return missing;
	return json_object_get_int64(value);
}

json_object *client_array(json_object *json, const char *key)
{
	json_object *value;

	if (!json_object_object_get_ex(json, key, &value) || !json_object_is_type(value, json_type_array))
		return NULL;
	return value;
}

/* The agent's error object as our own error value. */
static int adopt_error(struct client *client, json_object *error, struct error *err)
{
	json_object *data = NULL;
	enum error_code code = error_from_wire((int)client_number(error, "code", 0));

	json_object_put(client->error);
	client->error = json_object_get(error);
	json_object_object_get_ex(error, "data", &data);
	/* The message holds the errno's text already. */
	error_set(err, code == ERROR_NONE ? ERROR_INTERNAL : code, 0, "%s", client_string(error, "message"));
	snprintf(err->step, sizeof(err->step), "%s", client_string(data, "step"));
	snprintf(err->field, sizeof(err->field), "%s", client_string(data, "field"));
	int64_t errnum = client_number(data, "errno", 0);
	err->errnum = errnum > 0 && errnum < 4096 ? (int)errnum : EREMOTEIO;
	return -err->errnum;
}

/* Parses the line that begins `in` and takes it out. */
static int take_line(struct client *client, const char *line, size_t length, json_object **json, struct error *err)
{
	int result = decode_parse(line, length, json, err);

	buf_consume(&client->in, length + 1);
	if (result == 0 && !json_object_is_type(*json, json_type_object)) {
		json_object_put(*json);
		result = fail_set(err, EPROTO, "not an object");
	}
	return result < 0 ? error_wrap(err, "what the agent sent") : 0;
}

static int read_hello(struct client *client, int64_t end, struct error *err)
{
	const char *line;
	size_t length;
	json_object *json = NULL, *params;
	int result = lines_read(client->fd, &client->in, end, &line, &length, err);

	if (result == 0)
		result = take_line(client, line, length, &json, err);
	if (result < 0)
		return error_wrap(err, "the agent's hello");
	if (strcmp(client_string(json, "method"), "agent.hello") != 0 || !json_object_object_get_ex(json, "params", &params))
		result = fail_set(err, EPROTO, "what answers in the VM is not coffer-agent");
	else if (client_number(params, "protocol", -1) != COFFER_PROTOCOL_VERSION)
		result = fail_set(err, EPROTO, "the agent speaks protocol %lld, this coffer speaks %d",
				  (long long)client_number(params, "protocol", -1), COFFER_PROTOCOL_VERSION);
	else
		client->hello = json_object_get(params);
	json_object_put(json);
	return result;
}

int client_open(const struct vm *vm, int64_t end, struct client *client, struct error *err)
{
	*client = (struct client){ .fd = -1, .in = { .limit = 2 * COFFER_LINE_MAX }, .next_id = 1, .interrupt = -1 };
	int result = connect_vm(vm, COFFER_PORT_CONTROL, end, &client->fd, err);

	if (result == 0)
		result = read_hello(client, end, err);
	if (result < 0)
		client_close(client);
	return result;
}

void client_close(struct client *client)
{
	close_fd(&client->fd);
	buf_free(&client->in);
	json_object_put(client->hello);
	json_object_put(client->error);
	client->hello = client->error = NULL;
}

int64_t client_send(struct client *client, const char *method, const char *params, struct error *err)
{
	struct buf line = { .limit = COFFER_LINE_MAX };
	struct encode e = { .buf = &line };
	int64_t id = client->next_id++;

	encode_open(&e, NULL, '{');
	encode_string(&e, "jsonrpc", "2.0");
	encode_int(&e, "id", id);
	encode_string(&e, "method", method);
	if (params)
		encode_raw(&e, "params", params, strlen(params));
	encode_close(&e, '}');
	int result = encode_result(&e);
	if (result == 0)
		result = buf_append(&line, "\n", 1);
	if (result < 0)
		error_set(err, ERROR_HOST, -result, "the request %s", method);
	else
		result = lines_write(client->fd, buf_bytes(&line), buf_length(&line), process_now() + 30000, err);
	buf_free(&line);
	return result < 0 ? result : id;
}

/* Splits an answer.  Returns 0 or the error that it holds; *id is 0 for one without. */
static int open_answer(struct client *client, json_object *json, int64_t *id, json_object **answer, struct error *err)
{
	json_object *result, *error;

	*answer = NULL;
	*id = client_number(json, "id", 0);
	if (json_object_object_get_ex(json, "error", &error))
		return adopt_error(client, error, err);
	if (!json_object_object_get_ex(json, "result", &result))
		return fail_set(err, EPROTO, "the agent sent neither a result nor an error");
	*answer = json_object_get(result);
	return 0;
}

int client_receive(struct client *client, int64_t *id, json_object **answer, bool *failed, struct error *err)
{
	size_t length;
	json_object *json;
	const char *line = lines_next(&client->in, &length);

	if (!line) {
		char *room;
		int result = buf_room(&client->in, 65536, &room);

		if (result < 0)
			return error_set(err, ERROR_HOST, -result, "the agent's answer");
		ssize_t got = recv(client->fd, room, 65536, MSG_DONTWAIT);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (got <= 0)
			return error_set(err, ERROR_HOST, got < 0 ? errno : EPIPE, "the agent closed the connection");
		buf_filled(&client->in, (size_t)got);
		line = lines_next(&client->in, &length);
		if (!line)
			return 0;
	}
	int result = take_line(client, line, length, &json, err);
	if (result < 0)
		return result;
	*failed = open_answer(client, json, id, answer, err) < 0;
	json_object_put(json);
	return 1;
}

/* 0, or -EINTR at the second signal. */
static int look_for_signal(struct client *client, struct error *err)
{
	int signal = interrupt_wanted(client->interrupt);

	if (!signal)
		return 0;
	if (client->signal)
		return fail_set(err, EINTR, "given up at SIG%s, without waiting for the agent", sigabbrev_np(signal));
	client->signal = signal;
	fprintf(stderr, "coffer: SIG%s: stopping when the agent's current step has ended; a second signal does not wait for that\n",
		sigabbrev_np(signal));
	return 0;
}

/* Reads one line by slices, so that the progress line moves on and signals are seen. */
static int read_line(struct client *client, int64_t end, const char **line, size_t *length, struct error *err)
{
	for (;;) {
		int64_t slice = process_now() + PROGRESS_TICK_MS;
		int result = lines_read(client->fd, &client->in, slice < end ? slice : end, line, length, err);

		if (client->progress)
			progress_tick(client->progress);
		if (result == -ETIMEDOUT && look_for_signal(client, err) < 0)
			return -EINTR;
		if (result != -ETIMEDOUT || process_now() >= end)
			return result;
	}
}

/* For a person: what was asked, what was being done, and the field to blame where the message is about one. */
static int name_call(struct error *err, const char *method)
{
	bool field = err->field[0] && (err->code == ERROR_PARAMS || err->code == ERROR_UNSUPPORTED_FIELD);
	char place[sizeof(err->step) + sizeof(err->field) + 4];

	snprintf(place, sizeof(place), "%s%s%s%s", err->step[0] ? ": " : "", err->step, field ? ": " : "", field ? err->field : "");
	err->step[0] = err->field[0] = '\0';
	return error_wrap(err, "%s%s", method, place);
}

int client_call_within(struct client *client, int milliseconds, const char *method, const char *params, json_object **answer,
		       struct error *err)
{
	int64_t end = milliseconds < 0 ? INT64_MAX : process_now() + milliseconds, got = 0;
	int64_t id = client_send(client, method, params, err);
	json_object *json = NULL, *result_json = NULL;
	const char *line;
	size_t length;
	int result = id < 0 ? (int)id : 0;

	if (result < 0)
		return error_wrap(err, "%s", method);
	/* The answer with another id belongs to a request that was given up. */
	while (got != id) {
		json_object_put(result_json);
		result = read_line(client, end, &line, &length, err);
		if (result == 0)
			result = take_line(client, line, length, &json, err);
		if (result < 0)
			return error_wrap(err, "%s", method);
		result = open_answer(client, json, &got, &result_json, err);
		json_object_put(json);
		if (result < 0 && got == 0)
			return error_wrap(err, "%s", method);
	}
	if (result < 0)
		return name_call(err, method);
	if (answer)
		*answer = result_json;
	else
		json_object_put(result_json);
	return 0;
}

int client_call(struct client *client, const char *method, const char *params, json_object **answer, struct error *err)
{
	return client_call_within(client, -1, method, params, answer, err);
}
