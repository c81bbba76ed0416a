/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "qemu/client.h"
#include "qemu/commands.h"
#include "qemu/fail.h"
#include "qemu/file.h"
#include "qemu/output.h"

#define CALL_CONNECT_MS 10000

/* The parameters as they were given: what is wrong in them is the agent's to say. */
static int read_params(const struct options *options, struct buf *params, struct error *err)
{
	const char *given = options->words[2];
	int result;

	if (strcmp(given, "-") == 0)
		result = file_read("-", COFFER_LINE_MAX, params, err);
	else
		result = buf_append(params, given, strlen(given)) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "parameters") : 0;
	if (result < 0)
		return result;
	if (buf_length(params) == 0)
		return fail_set(err, EINVAL, "the parameters are empty; give a JSON object");
	if (memchr(buf_bytes(params), '\0', buf_length(params)))
		return fail_set(err, EINVAL, "the parameters contain a NUL byte");
	file_join_lines(params->data + params->start, buf_length(params));
	return buf_append(params, "", 1) < 0 ? error_set(err, ERROR_HOST, ENOMEM, "parameters") : 0;
}

/* Both kinds of failure look alike to a script: the agent's own object, or one with the host's code. */
static int print_error(const struct client *client, const struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };

	if (client->error) {
		fprintf(stderr, "%s\n",
			json_object_to_json_string_ext(client->error, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
		return 1;
	}
	encode_error(&e, NULL, err);
	if (encode_result(&e) == 0)
		fprintf(stderr, "%.*s\n", (int)buf_length(&buf), buf_bytes(&buf));
	buf_free(&buf);
	return 1;
}

int call_run(const struct options *options, struct error *err)
{
	struct client client = CLIENT_NONE;
	struct progress progress = { 0 };
	struct buf params = { 0 };
	struct vm vm;
	json_object *answer = NULL;
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0 && options->words[2])
		result = read_params(options, &params, err);
	if (result == 0)
		result = client_open(&vm, process_now() + CALL_CONNECT_MS, &client, err);
	if (result == 0) {
		client.progress = &progress;
		progress_begin(&progress, "%s", options->words[1]);
		result = client_call_within(&client, options->timeout ? (int)options->timeout : -1, options->words[1],
					    params.data ? buf_bytes(&params) : NULL, &answer, err);
		progress_end(&progress);
	}
	if (result == 0)
		output_json(answer);
	else
		result = print_error(&client, err);
	json_object_put(answer);
	client_close(&client);
	buf_free(&params);
	return result;
}
