/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ring.h"
#include "job.h"
#include "loop.h"
#include "service/objects.h"

struct events_sink;
struct transfer;

/* All that the agent knows; main.c owns the only one.  Everything in it belongs to PID 1: workers have a copy that dies with them.
 */
struct agent {
	struct loop *loop;
	struct jobs *jobs;
	struct objects objects;
	struct events_sink *event_sinks; /* service/events.h */
	struct transfer *transfers;      /* service/transfers.h */
	struct ring log;
	uint64_t boot_ms; /* from the kernel's start until requests were taken */
	bool closing;     /* no new work; the VM goes down when the objects are gone */
	bool reboot;
	bool old_layers;                        /* coffer.old_layers=allow: layers that nothing authenticates may be opened */
	bool plain_storage;                     /* coffer.plain_storage=allow: what cannot be verified may be attached */
	void (*shut_down)(struct agent *agent); /* shutdown_begin: what a request may ask for lies above it */
	const char *listen;                     /* NULL: vsock; else a directory for Unix sockets (tests) */
};

#define AGENT_DESCRIPTORS 65536 /* the agent's own limit; a container starts with a soft limit of 1024 */
#define AGENT_VERSION     "0.1.0"

#endif
