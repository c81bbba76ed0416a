/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/*
 * A growing byte buffer with a reading end.  Zero-initialised is empty; buf_free returns it to that.
 * `limit` bounds what it may hold (0: no bound); growing past it is -EMSGSIZE and leaves the content as it was.
 * `wipe`: what has been consumed, moved or freed is overwritten, for content that may be secret.
 */
struct buf {
	char *data;
	size_t start; /* first byte that is not yet consumed */
	size_t end;   /* behind the last byte */
	size_t capacity;
	size_t limit;
	bool wipe;
};

static inline size_t buf_length(const struct buf *buf)
{
	return buf->end - buf->start;
}

static inline const char *buf_bytes(const struct buf *buf)
{
	return buf->data + buf->start;
}

/* Room for `size` more bytes at *room; the caller writes there and then calls buf_filled.  -ENOMEM, -EMSGSIZE. */
must_check int buf_room(struct buf *buf, size_t size, char **room);
void buf_filled(struct buf *buf, size_t size);
must_check int buf_append(struct buf *buf, const void *bytes, size_t size);
must_check int buf_printf(struct buf *buf, const char *format, ...) printf_like(2, 3);
void buf_consume(struct buf *buf, size_t size);
void buf_free(struct buf *buf);

#endif
