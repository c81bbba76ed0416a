/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/erofs_chunks.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "storage/erofs_format.h"

#define BLOCK       4096u
#define WORTH       (64u * 1024u) /* bytes of holes: less is written out */
#define COPY_BUFFER (128u * 1024u)

bool erofs_chunks_likely(const struct stat *status)
{
	uint64_t size = (uint64_t)status->st_size, there = (uint64_t)status->st_blocks * 512;

	return size >= WORTH && there <= size - WORTH;
}

uint32_t erofs_chunks_count(const struct erofs_chunks *chunks)
{
	uint64_t chunk = (uint64_t)BLOCK << chunks->bits;

	return (uint32_t)((chunks->size + chunk - 1) / chunk);
}

/* Blocks of the n-th chunk: the last one may be shorter. */
static uint64_t blocks_of(const struct erofs_chunks *chunks, uint64_t n)
{
	uint64_t all = (chunks->size + BLOCK - 1) / BLOCK, before = n << chunks->bits, whole = (uint64_t)1 << chunks->bits;

	return all - before < whole ? all - before : whole;
}

/* The next data at or behind `at`.  1: there is some; 0: there is none; or an error. */
static int next_data(int file, uint64_t size, uint64_t at, uint64_t *start, uint64_t *end, struct error *err)
{
	if (at >= size)
		return 0;
	off_t data = lseek(file, (off_t)at, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		return 0;
	off_t hole = data < 0 ? -1 : lseek(file, data, SEEK_HOLE);
	if (hole < 0)
		return error_set(err, ERROR_INTERNAL, errno, "find the holes of a file");
	*start = (uint64_t)data;
	*end = (uint64_t)hole < size ? (uint64_t)hole : size;
	return *start < *end;
}

int erofs_chunks_measure(int file, uint64_t size, struct erofs_chunks *chunks, struct error *err)
{
	uint64_t at = 0, start, end, counted = 0; /* chunks before that one are counted */
	int result;

	*chunks = (struct erofs_chunks){ .size = size };
	while ((uint64_t)erofs_chunks_count(chunks) * sizeof(uint32_t) > EROFS_CHUNKS_INDEX_MAX ||
	       size >> 12 >> chunks->bits > EROFS_CHUNKS_INDEX_MAX)
		chunks->bits++;
	while ((result = next_data(file, size, at, &start, &end, err)) > 0) {
		uint64_t last = (end - 1) / BLOCK >> chunks->bits;

		for (uint64_t n = start / BLOCK >> chunks->bits; n <= last; n++) {
			if (n < counted)
				continue;
			chunks->blocks += blocks_of(chunks, n);
			counted = n + 1;
		}
		at = end;
	}
	if (result < 0)
		return result;
	if (chunks->blocks * BLOCK + (uint64_t)erofs_chunks_count(chunks) * sizeof(uint32_t) + WORTH <= size)
		return 1;
	*chunks = (struct erofs_chunks){ .size = size, .blocks = (size + BLOCK - 1) / BLOCK };
	return 0;
}

int erofs_chunks_write(int file, const struct erofs_chunks *chunks, int image, uint32_t block, uint32_t *index, struct error *err)
{
	uint64_t chunk = (uint64_t)BLOCK << chunks->bits, at = 0, start, end, used = 0;
	int result;

	memset(index, 0xff, erofs_chunks_count(chunks) * sizeof(*index)); /* EROFS_NO_BLOCK */
	while ((result = next_data(file, chunks->size, at, &start, &end, err)) > 0) {
		while (start < end) {
			uint64_t n = start / chunk, stop = (n + 1) * chunk < end ? (n + 1) * chunk : end;

			if (index[n] == EROFS_NO_BLOCK) {
				if (used + blocks_of(chunks, n) > chunks->blocks)
					return error_set(err, ERROR_INTERNAL, ESTALE, "a file's holes change");
				index[n] = htole32(block + (uint32_t)used);
				used += blocks_of(chunks, n);
			}
			uint64_t to = (uint64_t)le32toh(index[n]) * BLOCK + start % chunk;
			result = erofs_chunks_copy(file, start, image, to, stop - start, err);
			if (result < 0)
				return result;
			start = stop;
		}
		at = end;
	}
	if (result == 0 && used != chunks->blocks)
		return error_set(err, ERROR_INTERNAL, ESTALE, "a file's holes change");
	return result;
}

/* For what the kernel does not copy by itself: from one file system to another. */
static int copy_by_hand(int from, off_t from_at, int to, off_t to_at, uint64_t size, struct error *err)
{
	auto_free char *buffer = malloc(COPY_BUFFER);

	if (!buffer)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "copy a file");
	while (size > 0) {
		ssize_t got = pread(from, buffer, size < COPY_BUFFER ? (size_t)size : COPY_BUFFER, from_at);

		if (got <= 0)
			return error_set(err, ERROR_INTERNAL, got < 0 ? errno : ESTALE, "read a file");
		for (ssize_t done = 0, put; done < got; done += put) {
			put = pwrite(to, buffer + done, (size_t)(got - done), to_at + done);
			if (put <= 0)
				return error_set(err, ERROR_INTERNAL, put < 0 ? errno : EIO, "write the image");
		}
		from_at += got;
		to_at += got;
		size -= (uint64_t)got;
	}
	return 0;
}

int erofs_chunks_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size, struct error *err)
{
	off_t from_at = (off_t)from_offset, to_at = (off_t)to_offset;

	while (size > 0) {
		ssize_t done = copy_file_range(from, &from_at, to, &to_at, (size_t)size, 0);

		if (done < 0 && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS)
			return error_set(err, ERROR_INTERNAL, errno, "copy into the image");
		/* Some file systems copy nothing and say no error. */
		if (done <= 0)
			return copy_by_hand(from, from_at, to, to_at, size, err);
		size -= (uint64_t)done;
	}
	return 0;
}
