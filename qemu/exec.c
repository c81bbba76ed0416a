/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/text.h"
#include "qemu/commands.h"
#include "qemu/config.h"
#include "qemu/interrupt.h"
#include "qemu/pump.h"

#define EXEC_CONNECT_MS   10000
#define EXEC_KILL_MS      10000
#define EXEC_NOT_FOUND    127
#define EXEC_NOT_RUNNABLE 126

static int make_id(char *id, size_t size, struct error *err)
{
	uint8_t random[6];
	char hex[2 * sizeof(random) + 1];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return error_set(err, ERROR_HOST, errno, "getrandom");
	text_to_hex(random, sizeof(random), hex);
	return text_format(id, size, "exec-%s", hex);
}

static int begin(const struct options *options, const char *id, struct client *client, struct error *err)
{
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };

	encode_open(&e, NULL, '{');
	encode_string(&e, "id", options->words[1]);
	encode_string(&e, "exec", id);
	int result = config_process(&e, options, false, err);
	encode_close(&e, '}');
	if (result == 0 && (encode_result(&e) < 0 || buf_append(&buf, "", 1) < 0))
		result = error_set(err, ERROR_HOST, ENOMEM, "container.exec");
	if (result == 0)
		result = client_call(client, "container.exec", buf_bytes(&buf), NULL, err);
	buf_free(&buf);
	return result;
}

/* Nobody would take its output or wait for it any more. */
static void end(const struct vm *vm, const char *container, const char *id)
{
	struct client client;
	struct error ignored;
	char params[2 * COFFER_ID_MAX + 64];

	if (client_open(vm, process_now() + EXEC_KILL_MS, &client, &ignored) < 0)
		return;
	snprintf(params, sizeof(params), "{\"id\":\"%s\",\"exec\":\"%s\",\"signal\":%d}", container, id, SIGKILL);
	int result = client_call_within(&client, EXEC_KILL_MS, "container.signal", params, NULL, &ignored);
	snprintf(params, sizeof(params), "{\"id\":\"%s\",\"exec\":\"%s\"}", container, id);
	/* The wait makes the agent forget it. */
	if (result == 0)
		result = client_call_within(&client, EXEC_KILL_MS, "container.wait", params, NULL, &ignored);
	client_close(&client);
}

int exec_run(const struct options *options, struct error *err)
{
	struct vm vm;
	struct client client = CLIENT_NONE;
	struct stream stream = STREAM_NONE;
	char id[COFFER_ID_MAX + 1];
	fd_auto interrupt = -1;
	int result = vm_find(options->words[0], &vm, err);

	if (result == 0)
		result = make_id(id, sizeof(id), err);
	if (result == 0)
		result = interrupt_open(&interrupt, err);
	if (result == 0)
		result = client_open(&vm, process_now() + EXEC_CONNECT_MS, &client, err);
	if (result < 0)
		return result;
	client.interrupt = interrupt;
	result = begin(options, id, &client, err);
	if (result == -EINTR)
		end(&vm, options->words[1], id);
	if (result == 0) {
		struct pump pump = { .client = &client,
				     .stream = &stream,
				     .container = options->words[1],
				     .exec = id,
				     .interrupt = interrupt,
				     .first_signal = client.signal };

		result = stream_open(&vm, options->words[1], id, &stream, err);
		if (result == 0)
			result = pump_run(&pump, err);
		stream_close(&stream);
		if (result < 0 || pump.given_up)
			end(&vm, options->words[1], id);
	}
	client_close(&client);
	if (result < 0 && err->code == ERROR_EXEC) {
		fprintf(stderr, "coffer: %s: %s\n", options->rest[0], err->message);
		return err->errnum == ENOENT ? EXEC_NOT_FOUND : EXEC_NOT_RUNNABLE;
	}
	return result;
}
