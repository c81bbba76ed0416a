/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "coffer/protocol.h"

/*
 * Frames from the host: struct coffer_frame and its bytes.  A host may send data and one kind of end on stdin, and nothing else.
 */
struct frame {
	const char *bytes; /* within the input */
	size_t length;     /* 0: end of file */
};

/*
 * Reads the frame at the beginning of `size` bytes.  Its whole length (header and bytes), 0 when more bytes are needed, or
 * -EPROTO when no bytes that follow could make this a frame.
 */
long frame_read(const char *input, size_t size, struct frame *frame);

/* Writes a header for `length` bytes; `header` has room for COFFER_FRAME_HEADER. */
void frame_header(char *header, uint8_t channel, uint8_t kind, size_t length);

#endif
