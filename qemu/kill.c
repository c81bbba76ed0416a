/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "qemu/client.h"
#include "qemu/commands.h"

#define KILL_CONNECT_MS 10000

int kill_run(const struct options *options, struct error *err)
{
	const char *signal = options->word_count > 2 ? options->words[2] : "TERM";
	struct vm vm;
	struct client client = CLIENT_NONE;
	struct buf buf = { 0 };
	struct encode e = { .buf = &buf };
	int result = vm_find(options->words[0], &vm, err);

	encode_open(&e, NULL, '{');
	encode_string(&e, "id", options->words[1]);
	/* The agent knows the names and the range. */
	if (signal[0] && strspn(signal, "0123456789") == strlen(signal) && strlen(signal) < 10)
		encode_int(&e, "signal", strtol(signal, NULL, 10));
	else
		encode_string(&e, "signal", signal);
	if (options->all)
		encode_bool(&e, "all", true);
	encode_close(&e, '}');
	if (result == 0 && (encode_result(&e) < 0 || buf_append(&buf, "", 1) < 0))
		result = error_set(err, ERROR_HOST, ENOMEM, "container.signal");
	if (result == 0)
		result = client_open(&vm, process_now() + KILL_CONNECT_MS, &client, err);
	if (result == 0)
		result = client_call(&client, "container.signal", buf_bytes(&buf), NULL, err);
	client_close(&client);
	buf_free(&buf);
	return result;
}
