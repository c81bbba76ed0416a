/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

long text_from_hex(const char *hex, uint8_t *bytes, size_t size)
{
	size_t length = strlen(hex);

	if (length % 2 != 0)
		return -EINVAL;
	if (length / 2 > size)
		return -EMSGSIZE;
	for (size_t i = 0; i < length / 2; i++) {
		int high = text_hex_digit(hex[2 * i]), low = text_hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return (long)(length / 2);
}

void text_to_hex(const uint8_t *bytes, size_t count, char *hex)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * count] = '\0';
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_value(char c)
{
	const char *found = c ? strchr(alphabet, c) : NULL;

	return found ? (int)(found - alphabet) : -1;
}

long text_from_base64(const char *base64, size_t length, uint8_t *bytes, size_t size)
{
	size_t used = 0, padding = 0;

	if (length % 4 != 0)
		return -EINVAL;
	if (length > 0 && base64[length - 1] == '=')
		padding = base64[length - 2] == '=' ? 2 : 1;
	if (length / 4 * 3 - padding > size)
		return -EMSGSIZE;
	for (size_t i = 0; i < length; i += 4) {
		size_t digits = i + 4 == length ? 4 - padding : 4;
		uint32_t group = 0;

		for (size_t j = 0; j < 4; j++) {
			int value = j < digits ? base64_value(base64[i + j]) : 0;

			if (value < 0)
				return -EINVAL;
			group = group << 6 | (uint32_t)value;
		}
		if ((digits == 3 && (group & 0xff)) || (digits == 2 && (group & 0xffff)))
			return -EINVAL;
		for (size_t j = 0; j < digits - 1; j++)
			bytes[used++] = (uint8_t)(group >> (16 - 8 * j));
	}
	return (long)used;
}

void text_to_base64(const uint8_t *bytes, size_t count, char *base64)
{
	for (size_t i = 0; i < count; i += 3) {
		size_t have = count - i < 3 ? count - i : 3;
		uint32_t group = (uint32_t)bytes[i] << 16;

		if (have > 1)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (have > 2)
			group |= bytes[i + 2];
		*base64++ = alphabet[group >> 18];
		*base64++ = alphabet[group >> 12 & 63];
		*base64++ = have > 1 ? alphabet[group >> 6 & 63] : '=';
		*base64++ = have > 2 ? alphabet[group & 63] : '=';
	}
	*base64 = '\0';
}

int text_format(char *out, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = vsnprintf(out, size, format, args);
	va_end(args);
	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

long text_read_file(const char *path, char *out, size_t size)
{
	fd_auto fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;

	if (fd < 0)
		return -errno;
	for (;;) {
		/* The last byte is the NUL's in the end; until then it shows that the file is longer. */
		ssize_t got = read(fd, out + used, size - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
		if (used == size)
			return -EMSGSIZE;
	}
	while (used > 0 && out[used - 1] == '\n')
		used--;
	out[used] = '\0';
	return (long)used;
}
