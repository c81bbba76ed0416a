/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RPC_STREAM_H
#define RPC_STREAM_H

#include "rpc/connection.h"

/* The stream port: one line each way, then frames (struct coffer_frame). */
extern const struct rpc_handler rpc_stream_handler;

/* Bytes that wait for the peer: when this many do, the process's pipe is not read until some are gone. */
#define RPC_STREAM_OUT_LIMIT (256u * 1024u)

#endif
