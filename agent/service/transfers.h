/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SERVICE_TRANSFERS_H
#define SERVICE_TRANSFERS_H

#include "agent.h"

/*
 * Requests that need a stream: they wait until the host has opened one for the layer (stream.open), and their worker then has the
 * connection to itself.  One request of a layer at a time.
 */

/* The front end's side, which hands its connection over. */
struct transfer_peer {
	int fd;
	const char *early; /* what came behind the opening line */
	size_t early_length;
	void (*ended)(void *context); /* the worker has ended */
	void *context;
};

struct transfer {
	/* Set by the owner, who must keep it until one of these is called. */
	const char *layer;
	bool outwards;                              /* to the host */
	void (*begin)(struct transfer *transfer);   /* peer.fd is there: start the worker, and call transfers_end at its end */
	void (*expired)(struct transfer *transfer); /* nobody has opened a stream; it is in the list no more */
	void *context;
	/* Its own. */
	struct agent *agent;
	struct loop_timer timer;
	struct transfer_peer peer; /* fd -1: not yet; else it and `early` are its own */
	struct transfer *next;
};

/* ERROR_IN_USE: another request of the layer has, or waits for, a stream. */
must_check int transfers_wait(struct agent *agent, struct transfer *transfer, unsigned wait_ms, struct error *err);
/* Out of the list; the peer is told. */
void transfers_end(struct transfer *transfer);

/* For the front end.  Is there one that waits?  ERROR_NOT_FOUND, ERROR_IN_USE. */
must_check int transfers_find(const struct agent *agent, const char *layer, struct transfer **transfer, struct error *err);
/* Hands a copy of the connection over, and calls begin(). */
must_check int transfers_take(struct transfer *transfer, const struct transfer_peer *peer, struct error *err);
/* The front end's connection goes before the worker has ended: `ended` is not called any more. */
void transfers_abandon(struct transfer *transfer);

#endif
