/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COFFER_PROTOCOL_H
#define COFFER_PROTOCOL_H

#include <stdint.h>

/*
 * The wire contract between a host (a shim) and coffer-agent, in numbers.  docs/PROTOCOL.md says the rest.
 * Everything that the host sends is bounded by a number on this page.
 */

#define COFFER_PROTOCOL_VERSION 1

#define COFFER_PORT_CONTROL 1024u /* vsock port: JSON-RPC 2.0, one object a line */
#define COFFER_PORT_STREAM  1025u /* vsock port: one JSON-RPC line, then frames */

#define COFFER_LINE_MAX        (1024u * 1024u) /* bytes of one line, its newline included */
#define COFFER_DEPTH_MAX       16              /* nesting of arrays and objects; a request's own object is depth 1 */
#define COFFER_MEMBERS_MAX     1024            /* members of one JSON object */
#define COFFER_ID_MAX          64              /* bytes of an object id: [A-Za-z0-9][A-Za-z0-9_.-]* */
#define COFFER_SERIAL_MAX      64              /* bytes of a device serial; virtio-blk itself carries 20 */
#define COFFER_PATH_MAX        4095            /* bytes of a path */
#define COFFER_PASSPHRASE_MAX  512             /* bytes of a passphrase */
#define COFFER_LOWER_MAX       500             /* volumes in one root file system */
#define COFFER_ARGS_MAX        4096            /* elements of args, and of env */
#define COFFER_STRING_MAX      (128u * 1024u)  /* bytes of one element of args or env: the kernel's MAX_ARG_STRLEN */
#define COFFER_CONNECTIONS_MAX 128             /* open at once, control and stream together */
#define COFFER_REQUESTS_MAX    256             /* in flight on one connection; more are answered `busy` */
#define COFFER_JOBS_MAX        64              /* workers at once in the whole agent; more wait in a queue */
#define COFFER_EXECS_MAX       256             /* in one container, ended ones that nobody has waited for included */
#define COFFER_OBJECTS_MAX     1024            /* volumes, scratches, root file systems, containers: of each */

/* A frame on a stream connection, after the opening line and its answer.  Integers are little-endian. */
struct coffer_frame {
	uint8_t channel;   /* enum coffer_channel */
	uint8_t kind;      /* enum coffer_frame_kind */
	uint16_t reserved; /* zero; anything else closes the connection */
	uint32_t length;   /* bytes that follow; at most COFFER_FRAME_MAX */
};

#define COFFER_FRAME_HEADER 8u
#define COFFER_FRAME_MAX    (64u * 1024u)
#define COFFER_WINDOW       (128u * 1024u) /* bytes of stdin that may be under way: sent, and not yet told as taken */

enum coffer_channel {
	COFFER_STDIN = 0,  /* host to guest; a terminal's keys too */
	COFFER_STDOUT = 1, /* guest to host; a terminal's screen too */
	COFFER_STDERR = 2, /* guest to host; not used with a terminal */
	COFFER_LOG = 3,    /* guest to host: the agent's log, one record a line */
};

enum coffer_frame_kind {
	COFFER_DATA = 0,  /* 1..COFFER_FRAME_MAX bytes */
	COFFER_EOF = 1,   /* length 0: nothing more will come on this channel in this direction */
	COFFER_TAKEN = 2, /* guest to host, on channel 0, length 4: so many more bytes of stdin have been taken (u32) */
};

#endif
