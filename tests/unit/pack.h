/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef UNIT_PACK_H
#define UNIT_PACK_H

#include "unit/test.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "unit/tar.h"

/* Bytes packed as one member of gzip, or as one frame of zstd with a checksum, at the end of `out`. */

static inline void pack_gzip(struct tar *out, const void *bytes, size_t size)
{
	size_t room = compressBound(size) + 64;
	unsigned char *packed = malloc(room);
	z_stream z = { .next_in = (unsigned char *)(uintptr_t)bytes,
		       .avail_in = (unsigned)size,
		       .next_out = packed,
		       .avail_out = (unsigned)room };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	tar_append(out, packed, z.total_out);
	deflateEnd(&z);
	free(packed);
}

static inline void pack_zstd(struct tar *out, const void *bytes, size_t size, int window)
{
	size_t room = ZSTD_compressBound(size);
	char *packed = malloc(room);
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_outBuffer to = { packed, room, 0 };
	ZSTD_inBuffer from = { bytes, size, 0 };

	/* Without the content's size the window is what was asked for, however small the content. */
	ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	if (window)
		ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window);
	assert_int_equal(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush), 0);
	assert_int_equal(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0);
	tar_append(out, packed, to.pos);
	ZSTD_freeCCtx(context);
	free(packed);
}

#endif
