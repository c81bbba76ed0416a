/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void wipe(const struct buf *buf, size_t from, size_t to)
{
	if (buf->wipe && to > from)
		explicit_bzero(buf->data + from, to - from);
}

/* realloc would leave a copy behind. */
static char *move_to_larger(struct buf *buf, size_t capacity)
{
	if (!buf->wipe)
		return realloc(buf->data, capacity);
	char *data = malloc(capacity);

	if (data && buf->data) {
		memcpy(data, buf->data, buf->end);
		wipe(buf, 0, buf->capacity);
		free(buf->data);
	}
	return data;
}

int buf_room(struct buf *buf, size_t size, char **room)
{
	size_t length = buf_length(buf);

	if (size > SIZE_MAX / 4 || (buf->limit && (length > buf->limit || size > buf->limit - length)))
		return -EMSGSIZE;
	if (buf->capacity - buf->end < size && buf->start > 0) {
		memmove(buf->data, buf->data + buf->start, length);
		wipe(buf, length, buf->end);
		buf->start = 0;
		buf->end = length;
	}
	if (buf->capacity - buf->end < size) {
		size_t capacity = buf->capacity ? buf->capacity : 256;

		while (capacity - buf->end < size)
			capacity *= 2;
		char *data = move_to_larger(buf, capacity);
		if (!data)
			return -ENOMEM;
		buf->data = data;
		buf->capacity = capacity;
	}
	*room = buf->data + buf->end;
	return 0;
}

void buf_filled(struct buf *buf, size_t size)
{
	buf->end += size;
}

int buf_append(struct buf *buf, const void *bytes, size_t size)
{
	char *room;
	int result;

	if (size == 0)
		return 0;
	result = buf_room(buf, size, &room);
	if (result < 0)
		return result;
	memcpy(room, bytes, size);
	buf_filled(buf, size);
	return 0;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	char *room;
	int result;

	va_start(args, format);
	va_copy(again, args);
	int size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	result = size < 0 ? -EINVAL : buf_room(buf, (size_t)size + 1, &room);
	if (result == 0) {
		vsnprintf(room, (size_t)size + 1, format, again);
		buf_filled(buf, (size_t)size);
	}
	va_end(again);
	return result;
}

void buf_consume(struct buf *buf, size_t size)
{
	wipe(buf, buf->start, buf->start + size);
	buf->start += size;
	if (buf->start != buf->end)
		return;
	buf->start = buf->end = 0;
	/* One megabyte request must not pin its buffer for the connection's life. */
	if (buf->capacity > 65536) {
		free(buf->data);
		buf->data = NULL;
		buf->capacity = 0;
	}
}

void buf_free(struct buf *buf)
{
	wipe(buf, 0, buf->capacity);
	free(buf->data);
	*buf = (struct buf){ .limit = buf->limit, .wipe = buf->wipe };
}
