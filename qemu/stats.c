/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/encode.h"
#include "qemu/client.h"
#include "qemu/commands.h"
#include "qemu/output.h"

#define STATS_CONNECT_MS 10000

static json_object *member(json_object *json, const char *key)
{
	json_object *value = NULL;

	json_object_object_get_ex(json, key, &value);
	return value;
}

/* "17.2 MiB", or what stands for a number that is not there. */
static void size_text(json_object *json, const char *key, const char *missing, char *text, size_t size)
{
	int64_t value = client_number(json, key, -1);

	if (value < 0)
		snprintf(text, size, "%s", missing);
	else
		output_size((uint64_t)value, text, size);
}

static void print_text(json_object *stats)
{
	json_object *cpu = member(stats, "cpu"), *memory = member(stats, "memory"), *pids = member(stats, "pids");
	json_object *io = client_array(stats, "io");
	int64_t limit = client_number(pids, "limit", -1);
	char used[32], user[32], system[32], most[32], peak[32];

	output_time((uint64_t)client_number(cpu, "usage_us", 0), used, sizeof(used));
	output_time((uint64_t)client_number(cpu, "user_us", 0), user, sizeof(user));
	output_time((uint64_t)client_number(cpu, "system_us", 0), system, sizeof(system));
	printf("cpu     %s (user %s, system %s), held back in %" PRId64 " of %" PRId64 " periods\n", used, user, system,
	       client_number(cpu, "throttled", 0), client_number(cpu, "periods", 0));
	size_text(memory, "current", "unknown", used, sizeof(used));
	size_text(memory, "limit", "no limit", most, sizeof(most));
	size_text(memory, "peak", "unknown", peak, sizeof(peak));
	printf("memory  %s of %s, at most %s so far, %" PRId64 " killed for want of it\n", used, most, peak,
	       client_number(memory, "oom_kill", 0));
	printf("pids    %" PRId64 " of ", client_number(pids, "current", 0));
	if (limit < 0)
		printf("no limit\n");
	else
		printf("%" PRId64 "\n", limit);
	for (size_t i = 0; io && i < json_object_array_length(io); i++) {
		json_object *device = json_object_array_get_idx(io, i);

		size_text(device, "rbytes", "0", used, sizeof(used));
		size_text(device, "wbytes", "0", most, sizeof(most));
		printf("disk    %" PRId64 ":%" PRId64 " read %s in %" PRId64 ", wrote %s in %" PRId64 "\n",
		       client_number(device, "major", 0), client_number(device, "minor", 0), used, client_number(device, "rios", 0),
		       most, client_number(device, "wios", 0));
	}
}

int stats_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct client client = CLIENT_NONE;
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	json_object *answer = NULL;
	int result = vm_find(options->words[0], &vm, err);

	encode_open(&e, NULL, '{');
	encode_string(&e, "id", options->words[1]);
	encode_close(&e, '}');
	if (result == 0 && (encode_result(&e) < 0 || buf_append(&buf, "", 1) < 0))
		result = error_set(err, ERROR_HOST, ENOMEM, "container.stats");
	if (result == 0)
		result = client_open(&vm, process_now() + STATS_CONNECT_MS, &client, err);
	if (result == 0)
		result = client_call(&client, "container.stats", buf_bytes(&buf), &answer, err);
	client_close(&client);
	buf_free(&buf);
	if (result < 0)
		return result;
	if (options->json)
		output_json(answer);
	else
		print_text(answer);
	json_object_put(answer);
	return 0;
}
