/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layer/unpack.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/libraries.h"

#define PIECE (64u * 1024)
#define MAGIC sizeof(uint32_t)

/* zlib: the largest window there is, and a gzip header and trailer that are checked. */
#define GZIP_WINDOW (15 + 16)

/* A frame's window is memory that the archive asks for: 8 MiB is what RFC 8878 wants every decoder to take, and 128 MiB zstd's own
 * limit. */
#define ZSTD_WINDOW_LOG 23

struct unpack {
	struct libraries lib;
	int from;
	const struct packing *packing; /* NULL: not known yet */
	uint64_t most_ratio, taken, given;
	bool ended;   /* `from` has */
	bool within;  /* a member or frame has begun and is not complete */
	bool pending; /* the last step filled all the room: there may be more without further input */
	bool inflating;
	z_stream gzip;
	ZSTD_DCtx *zstd;
	size_t at, filled; /* of `in` */
	unsigned char in[PIECE], out[PIECE];
};

/* How one kind of stream is recognized and unpacked.  `step` puts more behind the first *made bytes of `out`, and takes from `in`.
 */
struct packing {
	const char *name;
	bool (*begins)(const unsigned char *bytes, size_t size);
	int (*open)(struct unpack *unpack, struct error *err);
	int (*step)(struct unpack *unpack, size_t *made, struct error *err);
};

static int damaged(const struct packing *packing, const char *why, struct error *err)
{
	return error_set(err, ERROR_LAYER, 0, "the archive is damaged: %s: %s", packing->name, why ? why : "no reason given");
}

static int too_much_memory(struct error *err)
{
	return error_set(err, ERROR_LAYER, 0, "unpacking it takes more memory than a layer is given");
}

/* ---- input ---- */

/* Until there are `size` bytes in one piece, or all that are left. */
static int need(struct unpack *unpack, size_t size, struct error *err)
{
	if (unpack->filled - unpack->at >= size)
		return 0;
	memmove(unpack->in, unpack->in + unpack->at, unpack->filled - unpack->at);
	unpack->filled -= unpack->at;
	unpack->at = 0;
	while (!unpack->ended && unpack->filled < size) {
		ssize_t got = read(unpack->from, unpack->in + unpack->filled, PIECE - unpack->filled);

		if (got < 0 && errno != EINTR)
			return error_set(err, ERROR_INTERNAL, errno, "read the layer's stream");
		if (got > 0)
			unpack->filled += (size_t)got;
		unpack->ended = got == 0;
	}
	return 0;
}

/* ---- gzip ---- */

/* The third byte is the method: there is one. */
static bool gzip_begins(const unsigned char *bytes, size_t size)
{
	return size >= 3 && memcmp(bytes, "\x1f\x8b\x08", 3) == 0;
}

static int gzip_open(struct unpack *unpack, struct error *err)
{
	int result = unpack->lib.inflateInit2_(&unpack->gzip, GZIP_WINDOW, ZLIB_VERSION, (int)sizeof(unpack->gzip));

	unpack->inflating = result == Z_OK;
	return result == Z_OK ? 0 : too_much_memory(err);
}

static int gzip_step(struct unpack *unpack, size_t *made, struct error *err)
{
	z_stream *gzip = &unpack->gzip;

	if (!unpack->within && unpack->lib.inflateReset(gzip) != Z_OK)
		return error_set(err, ERROR_INTERNAL, EINVAL, "zlib");
	gzip->next_in = unpack->in + unpack->at;
	gzip->avail_in = (unsigned)(unpack->filled - unpack->at);
	gzip->next_out = unpack->out + *made;
	gzip->avail_out = (unsigned)(PIECE - *made);
	int result = unpack->lib.inflate(gzip, Z_NO_FLUSH);
	unpack->at = unpack->filled - gzip->avail_in;
	*made = PIECE - gzip->avail_out;
	unpack->within = result != Z_STREAM_END;
	if (result == Z_MEM_ERROR)
		return too_much_memory(err);
	/* Z_BUF_ERROR: nothing could be done with what there was. */
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
		return damaged(unpack->packing, gzip->msg, err);
	return 0;
}

/* ---- zstd ---- */

static bool zstd_begins(const unsigned char *bytes, size_t size)
{
	uint32_t magic;

	if (size < sizeof(magic))
		return false;
	memcpy(&magic, bytes, sizeof(magic));
	magic = le32toh(magic);
	return magic == ZSTD_MAGICNUMBER || (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static int zstd_open(struct unpack *unpack, struct error *err)
{
	const struct libraries *lib = &unpack->lib;

	unpack->zstd = lib->ZSTD_createDCtx();
	if (!unpack->zstd || lib->ZSTD_isError(lib->ZSTD_DCtx_setParameter(unpack->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)))
		return too_much_memory(err);
	return 0;
}

static int zstd_step(struct unpack *unpack, size_t *made, struct error *err)
{
	const struct libraries *lib = &unpack->lib;
	ZSTD_inBuffer in = { unpack->in, unpack->filled, unpack->at };
	ZSTD_outBuffer out = { unpack->out, PIECE, *made };
	size_t result = lib->ZSTD_decompressStream(unpack->zstd, &out, &in);

	unpack->at = in.pos;
	*made = out.pos;
	unpack->within = result != 0;
	if (!lib->ZSTD_isError(result))
		return 0;
	ZSTD_ErrorCode code = lib->ZSTD_getErrorCode(result);
	if (code == ZSTD_error_memory_allocation || code == ZSTD_error_frameParameter_windowTooLarge)
		return too_much_memory(err);
	return damaged(unpack->packing, lib->ZSTD_getErrorName(result), err);
}

/* ---- */

static const struct packing packings[] = {
	{ "gzip", gzip_begins, gzip_open, gzip_step },
	{ "zstd", zstd_begins, zstd_open, zstd_step },
};
static const struct packing plain = { .name = "plain" };

static const struct packing *packing_of(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
		if (packings[i].begins(bytes, size))
			return &packings[i];
	}
	return &plain;
}

static int begin(struct unpack *unpack, struct error *err)
{
	int result = need(unpack, MAGIC, err);

	if (result < 0)
		return result;
	unpack->packing = packing_of(unpack->in + unpack->at, unpack->filled - unpack->at);
	return unpack->packing->open ? unpack->packing->open(unpack, err) : 0;
}

/* One packing: what is packed twice has a diff_id that nobody else would come to. */
static int check_given(const struct unpack *unpack, size_t made, struct error *err)
{
	if (unpack->given == made && packing_of(unpack->out, made) != &plain)
		return error_set(err, ERROR_LAYER, 0, "the stream is packed more than once");
	if (unpack->most_ratio && unpack->given > UNPACK_RATIO_FROM && (unpack->given - 1) / unpack->most_ratio >= unpack->taken)
		return error_set(err, ERROR_LAYER, 0, "the archive expands more than %llu times",
				 (unsigned long long)unpack->most_ratio);
	return 0;
}

/* 1: there is something to unpack.  0: the stream has ended, where it may. */
static int ready(struct unpack *unpack, struct error *err)
{
	size_t wanted = unpack->within ? 1 : MAGIC;

	if (unpack->within && unpack->pending)
		return 1;
	int result = need(unpack, wanted, err);
	size_t left = unpack->filled - unpack->at;
	if (result < 0)
		return result;
	if (unpack->within)
		return left > 0 ? 1 : damaged(unpack->packing, "it ends too early", err);
	if (left > 0 && !unpack->packing->begins(unpack->in + unpack->at, left))
		return damaged(unpack->packing, "something else follows its end", err);
	return left > 0;
}

/* A whole piece, if there is so much: libarchive copies what lies in two. */
static int unpack_packed(struct unpack *unpack, size_t *made, struct error *err)
{
	int result = 0;

	*made = 0;
	while (*made < PIECE && (result = ready(unpack, err)) > 0) {
		size_t before = unpack->at;

		result = unpack->packing->step(unpack, made, err);
		if (result < 0)
			return result;
		unpack->taken += unpack->at - before;
		unpack->pending = *made == PIECE;
	}
	if (result < 0 || *made == 0)
		return result;
	unpack->given += *made;
	return check_given(unpack, *made, err);
}

int unpack_read(struct unpack *unpack, const void **bytes, size_t *size, struct error *err)
{
	int result = unpack->packing ? 0 : begin(unpack, err);

	if (result < 0)
		return result;
	if (unpack->packing->step) {
		result = unpack_packed(unpack, size, err);
		*bytes = unpack->out;
	} else {
		result = need(unpack, 1, err);
		*bytes = unpack->in + unpack->at;
		*size = unpack->filled - unpack->at;
		unpack->at = unpack->filled;
	}
	return result < 0 ? result : *size > 0;
}

int unpack_open(struct unpack **unpack, int from, uint64_t most_ratio, struct error *err)
{
	struct unpack *made = calloc(1, sizeof(*made));

	*unpack = NULL;
	if (!made)
		return error_set(err, ERROR_INTERNAL, ENOMEM, "a layer's stream");
	made->from = from;
	made->most_ratio = most_ratio;
	int result = libraries_open(&made->lib, LIBRARY_archive, err);
	if (result < 0)
		unpack_close(made);
	else
		*unpack = made;
	return result;
}

void unpack_close(struct unpack *unpack)
{
	if (!unpack)
		return;
	if (unpack->inflating)
		unpack->lib.inflateEnd(&unpack->gzip);
	if (unpack->zstd)
		unpack->lib.ZSTD_freeDCtx(unpack->zstd);
	free(unpack);
}
