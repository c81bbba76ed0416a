/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "qemu/client.h"
#include "qemu/commands.h"
#include "qemu/fail.h"
#include "qemu/file.h"

#define UPDATE_CONNECT_MS 10000

/* What is wrong in the limits is the agent's to say; only what would not be one line of JSON is looked for here. */
static int read_limits(const char *given, struct buf *limits, struct error *err)
{
	int result = 0;

	if (strcmp(given, "-") == 0)
		result = file_read("-", COFFER_LINE_MAX, limits, err);
	else if (buf_append(limits, given, strlen(given)) < 0)
		result = error_set(err, ERROR_HOST, ENOMEM, "limits");
	if (result < 0)
		return result;
	json_tokener *tokener = json_tokener_new();
	json_object *json =
		tokener ? json_tokener_parse_ex(tokener, buf_length(limits) ? buf_bytes(limits) : "", (int)buf_length(limits))
			: NULL;
	bool good = json_object_is_type(json, json_type_object);
	json_object_put(json);
	if (tokener)
		json_tokener_free(tokener);
	if (!good)
		return fail_set(err, EINVAL, "the limits must be a JSON object, as {\"memory\":67108864}");
	file_join_lines(limits->data + limits->start, buf_length(limits));
	return 0;
}

int update_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct client client = CLIENT_NONE;
	struct buf limits = { 0 }, buf = { 0 };
	struct encode e = { .buf = &buf };
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0)
		result = read_limits(options->words[2], &limits, err);
	if (result == 0) {
		encode_open(&e, NULL, '{');
		encode_string(&e, "id", options->words[1]);
		encode_raw(&e, "resources", buf_bytes(&limits), buf_length(&limits));
		encode_close(&e, '}');
		if (encode_result(&e) < 0 || buf_append(&buf, "", 1) < 0)
			result = error_set(err, ERROR_HOST, ENOMEM, "container.update");
	}
	if (result == 0)
		result = client_open(&vm, process_now() + UPDATE_CONNECT_MS, &client, err);
	if (result == 0)
		result = client_call(&client, "container.update", buf_bytes(&buf), NULL, err);
	client_close(&client);
	buf_free(&buf);
	buf_free(&limits);
	return result;
}
