/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_LINES_H
#define QEMU_LINES_H

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Lines on a socket, each with a moment (process_now, milliseconds) by which it must have happened; INT64_MAX: no limit.
 * -ETIMEDOUT after it, -EPIPE when the other side has closed.
 */

/* Waits until poll reports something on `fd`. */
must_check int lines_wait(int fd, short events, int64_t end, struct error *err);

/*
 * One line.  It stays in `in`, without its newline: consume length + 1 bytes when done with it.  What follows the line stays
 * there too.
 */
must_check int lines_read(int fd, struct buf *in, int64_t end, const char **line, size_t *length, struct error *err);
must_check int lines_write(int fd, const char *bytes, size_t size, int64_t end, struct error *err);
/* A line that has arrived whole in `in`, or NULL.  Reads nothing. */
const char *lines_next(const struct buf *in, size_t *length);

#endif
