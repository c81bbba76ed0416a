/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_UNPACK_H
#define LAYER_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * A stream without its packing: gzip (RFC 1952) by zlib, zstd (RFC 8878) by libzstd, one member or frame after the other to the
 * stream's very end; whatever begins otherwise is as it is.  The sums and lengths that the formats have are checked, and nothing
 * may follow that is no further member or frame, nor may what comes out be packed again: other readers would see another stream.
 * Errors are ERROR_LAYER, and ERROR_INTERNAL for what is the machine's.
 */

/* As much as this may come out before a ratio is looked at: a small stream says little. */
#define UNPACK_RATIO_FROM (64ull * 1024 * 1024)

struct unpack;

/* Opens libraries, and reads nothing.  The descriptor stays the caller's.  `most_ratio`: at most so many bytes may come out for
 * each one that went in; 0: any number. */
must_check int unpack_open(struct unpack **unpack, int from, uint64_t most_ratio, struct error *err);
/* NULL is nothing. */
void unpack_close(struct unpack *unpack);

/* 1: some more bytes, good until the next call.  0: there are no more. */
must_check int unpack_read(struct unpack *unpack, const void **bytes, size_t *size, struct error *err);

#endif
