/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_CLIENT_H
#define QEMU_CLIENT_H

#include <json-c/json.h>

#include "base/buf.h"
#include "qemu/progress.h"
#include "qemu/vm.h"

/* A control connection to the agent: docs/PROTOCOL.md, the host's side. */
struct client {
	int fd;
	struct buf in;
	int64_t next_id;
	json_object *hello;        /* params of agent.hello */
	json_object *error;        /* the error object of the last call that the agent refused */
	struct progress *progress; /* ticks while a call waits; NULL: none */
	/*
	 * A descriptor of interrupt_open, or -1.  The first signal lets the call end, since the agent goes on with it in any
	 * case, and is left in `signal` for the caller; a second one gives the call up: -EINTR.
	 */
	int interrupt;
	int signal;
};

#define CLIENT_NONE                                                                                                                \
	{                                                                                                                          \
		.fd = -1, .interrupt = -1                                                                                          \
	}

/* Connects and reads the hello; all within `end` (process_now).  After a failure nothing is held. */
must_check int client_open(const struct vm *vm, int64_t end, struct client *client, struct error *err);
void client_close(struct client *client);

/*
 * One request and its answer.  `params` is the text of one JSON object, or NULL.  *answer is the result, the caller's to put; it
 * may be NULL for one that is not needed.  An error of the agent's comes back in `err` with its code and errno, step and field
 * within the message, and as it stood on the wire in client->error.  Answers to client_send'ed requests must not be outstanding.
 */
must_check int client_call(struct client *client, const char *method, const char *params, json_object **answer, struct error *err);
/* The same with a time limit. */
must_check int client_call_within(struct client *client, int milliseconds, const char *method, const char *params,
				  json_object **answer, struct error *err);

/* Sends a request and returns its id (> 0) without waiting for its answer. */
must_check int64_t client_send(struct client *client, const char *method, const char *params, struct error *err);
/*
 * Takes the next answer that has arrived, after the caller's poll reported the socket readable.  Returns 1 with the *id, 0 when
 * there is no whole line yet.  *failed: the answer was an error, which is in `err`.  Call until it returns 0.
 */
must_check int client_receive(struct client *client, int64_t *id, json_object **answer, bool *failed, struct error *err);

/* Members of an answer; the default when it is not there or of another type. */
const char *client_string(json_object *json, const char *key);
int64_t client_number(json_object *json, const char *key, int64_t missing);
bool client_bool(json_object *json, const char *key);          /* false by default */
json_object *client_array(json_object *json, const char *key); /* NULL when missing */

#endif
