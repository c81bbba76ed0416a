/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/sparse_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

#define BUFFER_SIZE (1024u * 1024u)

static int read_piece(int from, char *buffer, size_t size, uint64_t offset, struct error *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(from, buffer + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(err, ERROR_FORMAT, errno, "read the image at %llu", (unsigned long long)(offset + done));
		if (got == 0)
			return error_set(err, ERROR_FORMAT, EIO, "the image ends early, at %llu",
					 (unsigned long long)(offset + done));
		done += (size_t)got;
	}
	return 0;
}

static int write_piece(int to, const char *buffer, size_t size, uint64_t offset, struct error *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t put = pwrite(to, buffer + done, size - done, (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return error_set(err, ERROR_FORMAT, errno, "write the disk at %llu", (unsigned long long)(offset + done));
		/* A short write that is not a whole number of blocks could not be continued under O_DIRECT. */
		if (put == 0 || (size_t)put % SPARSE_COPY_BLOCK != 0)
			return error_set(err, ERROR_FORMAT, EIO, "short write at %llu", (unsigned long long)(offset + done));
		done += (size_t)put;
	}
	return 0;
}

static int copy_extent(int from, int to, char *buffer, uint64_t start, uint64_t end, struct error *err)
{
	while (start < end) {
		size_t piece = end - start < BUFFER_SIZE ? (size_t)(end - start) : BUFFER_SIZE;
		int result = read_piece(from, buffer, piece, start, err);

		if (result == 0)
			result = write_piece(to, buffer, piece, start, err);
		if (result < 0)
			return result;
		start += piece;
	}
	return 0;
}

int sparse_copy(int from, int to, uint64_t size, uint64_t *copied, struct error *err)
{
	uint64_t at = 0;

	*copied = 0;
	if (size % SPARSE_COPY_BLOCK != 0 || size > INT64_MAX)
		return error_set(err, ERROR_FORMAT, EINVAL, "an image of %llu bytes", (unsigned long long)size);
	auto_free char *buffer = aligned_alloc(SPARSE_COPY_BLOCK, BUFFER_SIZE);
	if (!buffer)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "copy buffer");
	while (at < size) {
		off_t data = lseek(from, (off_t)at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			break; /* only a hole is left */
		if (data < 0)
			return error_set(err, ERROR_FORMAT, errno, "find data in the image");
		off_t hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return error_set(err, ERROR_FORMAT, errno, "find a hole in the image");
		/* Widened to whole blocks: what a hole next to the data reads as is zero. */
		uint64_t start = (uint64_t)data / SPARSE_COPY_BLOCK * SPARSE_COPY_BLOCK;
		uint64_t end = ((uint64_t)hole + SPARSE_COPY_BLOCK - 1) / SPARSE_COPY_BLOCK * SPARSE_COPY_BLOCK;
		if (start < at)
			start = at;
		if (end > size)
			end = size;
		if (start >= end)
			break;
		int result = copy_extent(from, to, buffer, start, end, err);
		if (result < 0)
			return result;
		*copied += end - start;
		at = end;
	}
	return 0;
}
