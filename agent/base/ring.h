/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <stddef.h>
#include <stdint.h>

/* The last RING_SIZE bytes of an endless stream.  Readers keep their own position, counted from the stream's beginning. */
#define RING_SIZE 65536u

struct ring {
	uint64_t written; /* bytes ever written */
	char bytes[RING_SIZE];
};

void ring_write(struct ring *ring, const char *bytes, size_t size);
/* Copies at most `size` bytes at *position and moves it on; skips what has been overwritten.  Returns the count. */
size_t ring_read(const struct ring *ring, uint64_t *position, char *out, size_t size);

#endif
