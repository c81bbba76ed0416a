/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/frame.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

long frame_read(const char *input, size_t size, struct frame *frame)
{
	struct coffer_frame header;

	if (size < COFFER_FRAME_HEADER)
		return 0;
	memcpy(&header, input, COFFER_FRAME_HEADER);
	size_t length = le32toh(header.length);
	if (header.channel != COFFER_STDIN || header.reserved != 0)
		return -EPROTO;
	if (header.kind == COFFER_DATA ? length == 0 || length > COFFER_FRAME_MAX : header.kind != COFFER_EOF || length != 0)
		return -EPROTO;
	if (size - COFFER_FRAME_HEADER < length)
		return 0;
	frame->bytes = input + COFFER_FRAME_HEADER;
	frame->length = length;
	return (long)(COFFER_FRAME_HEADER + length);
}

void frame_header(char *header, uint8_t channel, uint8_t kind, size_t length)
{
	const struct coffer_frame frame = { .channel = channel, .kind = kind, .length = htole32((uint32_t)length) };

	memcpy(header, &frame, COFFER_FRAME_HEADER);
}
