/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Small codecs between text and bytes.  All bounded by the caller's array; none allocates. */

/* The value of one hex digit, either case; -1: none. */
int text_hex_digit(char c);
/* Hex digits, either case, an even number of them.  Returns the number of bytes; -EINVAL, -EMSGSIZE. */
must_check long text_from_hex(const char *hex, uint8_t *bytes, size_t size);
/* Lower case; `hex` has room for 2 * count + 1. */
void text_to_hex(const uint8_t *bytes, size_t count, char *hex);

/* RFC 4648 section 4: standard alphabet, padding required, no white space, unused bits zero.  Returns the number of bytes. */
must_check long text_from_base64(const char *base64, size_t length, uint8_t *bytes, size_t size);
/* `base64` has room for (count + 2) / 3 * 4 + 1. */
void text_to_base64(const uint8_t *bytes, size_t count, char *base64);

/* snprintf that fails (-ENAMETOOLONG) instead of truncating; returns 0. */
must_check int text_format(char *out, size_t size, const char *format, ...) printf_like(3, 4);

/* The whole of a small file (at most size - 1 bytes), NUL-terminated, last newline dropped.  Returns its length or -errno. */
must_check long text_read_file(const char *path, char *out, size_t size);

#endif
