/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "base/encode.h"
#include "qemu/client.h"
#include "qemu/commands.h"

#define PAUSE_CONNECT_MS 10000

static int ask(const struct options *options, const char *method, struct error *err)
{
	struct vm vm;
	struct client client = CLIENT_NONE;
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	int result = vm_find(options->words[0], &vm, err);

	encode_open(&e, NULL, '{');
	encode_string(&e, "id", options->words[1]);
	encode_close(&e, '}');
	if (result == 0 && (encode_result(&e) < 0 || buf_append(&buf, "", 1) < 0))
		result = error_set(err, ERROR_HOST, ENOMEM, "%s", method);
	if (result == 0)
		result = client_open(&vm, process_now() + PAUSE_CONNECT_MS, &client, err);
	if (result == 0)
		result = client_call(&client, method, buf_bytes(&buf), NULL, err);
	client_close(&client);
	buf_free(&buf);
	return result;
}

int pause_run(const struct options *options, struct error *err)
{
	return ask(options, "container.pause", err);
}

int pause_resume(const struct options *options, struct error *err)
{
	return ask(options, "container.resume", err);
}
