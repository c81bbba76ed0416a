/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/ring.h"

#include <string.h>

void ring_write(struct ring *ring, const char *bytes, size_t size)
{
	if (size > RING_SIZE) {
		ring->written += size - RING_SIZE;
		bytes += size - RING_SIZE;
		size = RING_SIZE;
	}
	size_t at = ring->written % RING_SIZE;
	size_t first = size < RING_SIZE - at ? size : RING_SIZE - at;

	memcpy(ring->bytes + at, bytes, first);
	memcpy(ring->bytes, bytes + first, size - first);
	ring->written += size;
}

size_t ring_read(const struct ring *ring, uint64_t *position, char *out, size_t size)
{
	if (ring->written > RING_SIZE && *position < ring->written - RING_SIZE)
		*position = ring->written - RING_SIZE;
	if (*position > ring->written)
		*position = ring->written;
	size_t ready = (size_t)(ring->written - *position);

	if (size > ready)
		size = ready;
	size_t at = *position % RING_SIZE;
	size_t first = size < RING_SIZE - at ? size : RING_SIZE - at;

	memcpy(out, ring->bytes + at, first);
	memcpy(out + first, ring->bytes, size - first);
	*position += size;
	return size;
}
