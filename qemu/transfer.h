/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_TRANSFER_H
#define QEMU_TRANSFER_H

#include "qemu/client.h"

/* A request about a layer with the stream that belongs to it: docs/PROTOCOL.md, "layer.import". */
struct transfer {
	const struct vm *vm;
	struct client *client;
	const char *layer, *method, *params;
	int file;         /* read to its end and sent; or written to */
	bool outwards;    /* from the guest */
	uint64_t size;    /* bytes that there are; 0: not known */
	const char *what; /* for the progress line: "import base" */
};

/*
 * *answer is the agent's result, the caller's to put.  At a signal (client->interrupt) the stream is broken off, client->signal is
 * set, and it fails unless the agent was done already.
 */
must_check int transfer_run(const struct transfer *transfer, json_object **answer, struct error *err);

#endif
