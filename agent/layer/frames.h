/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_FRAMES_H
#define LAYER_FRAMES_H

#include <stddef.h>

#include "base/error.h"

/*
 * A stream connection in a worker's hands: frames (docs/PROTOCOL.md, "Stream connections") on the one side, plain bytes on the
 * other. Both return when the stream has ended as it should.  The connection may be non-blocking.  Errors are ERROR_LAYER: the host
 * went away, broke the protocol, or (-EPIPE) nobody takes the bytes any more.
 */

/* Data from the host, up to its end of file, into `out`.  `early` are bytes that came before. */
must_check int frames_receive(int connection, const char *early, size_t early_length, int out, struct error *err);
/* What can be read from `in`, to its end, as data on channel 1 and an end of file. */
must_check int frames_send(int connection, int in, struct error *err);

#endif
