/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "qemu/client.h"
#include "qemu/commands.h"
#include "qemu/fail.h"
#include "qemu/lines.h"
#include "qemu/output.h"

#define EVENTS_CONNECT_MS 10000

static void print_event(json_object *event)
{
	int64_t when = client_number(event, "time_ms", 0), code = client_number(event, "exit_code", -1);
	int64_t signal = client_number(event, "signal", 0), count = client_number(event, "count", -1);
	const char *exec = client_string(event, "exec");
	time_t seconds = (time_t)(when / 1000);
	struct tm broken;
	char clock[32];

	strftime(clock, sizeof(clock), "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &broken));
	printf("%s.%03d %s%s%s %s", clock, (int)(when % 1000), client_string(event, "id"), exec && exec[0] ? "/" : "",
	       exec ? exec : "", client_string(event, "event"));
	if (code >= 0)
		printf(" code %" PRId64, code);
	if (signal > 0)
		printf(" signal %" PRId64, signal);
	if (count >= 0)
		printf(" count %" PRId64, count);
	printf("\n");
}

static int print_line(const char *line, size_t length, bool as_json, struct error *err)
{
	json_tokener *tokener = json_tokener_new();
	json_object *json = tokener ? json_tokener_parse_ex(tokener, line, (int)length) : NULL, *params;
	bool good = json_object_is_type(json, json_type_object) && json_object_object_get_ex(json, "params", &params) &&
		    json_object_is_type(params, json_type_object);

	if (tokener)
		json_tokener_free(tokener);
	if (good && as_json)
		output_json(params);
	else if (good)
		print_event(params);
	json_object_put(json);
	if (!good)
		return fail_set(err, EPROTO, "the agent sent something that is no event");
	return fflush(stdout) == 0 ? 0 : error_set(err, ERROR_HOST, errno, "write the events");
}

/* Until the VM ends or the connection does. */
int events_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct client client = CLIENT_NONE;
	const char *line;
	size_t length;
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0)
		result = client_open(&vm, process_now() + EVENTS_CONNECT_MS, &client, err);
	if (result == 0)
		result = client_call(&client, "events.subscribe", NULL, NULL, err);
	while (result == 0) {
		result = lines_read(client.fd, &client.in, INT64_MAX, &line, &length, err);
		if (result < 0)
			break;
		result = print_line(line, length, options->json, err);
		buf_consume(&client.in, length + 1);
	}
	client_close(&client);
	return result == -EPIPE || result == -ECONNRESET ? 0 : result;
}
