/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_SCAN_H
#define BASE_SCAN_H

#include <stddef.h>

#include "base/error.h"

/*
 * Strict JSON check, made before json-c sees a byte.  json-c 0.16 takes duplicate keys (the last wins), single quotes,
 * NaN and \u0000 even in its strict mode, and saturates integers silently; this scanner refuses all of that.
 *
 * Accepts exactly one RFC 8259 value with optional white space around it, in well-formed UTF-8 (no surrogates, no overlong
 * forms), and in it: nesting <= COFFER_DEPTH_MAX; <= COFFER_MEMBERS_MAX members an object; no key twice in one object,
 * compared after unescaping; no \u0000; \u surrogates only as pairs; integers within -2^63..2^64-1; other numbers of
 * at most 32 characters and finite as double.
 *
 * On failure: ERROR_PARSE, with the byte offset in the message.  Allocates nothing for the text itself; needs memory in
 * proportion to the members of the objects that are open at once (bounded by the two limits).
 */
must_check int scan_json(const char *text, size_t length, struct error *err);

/*
 * Length, 2 to 4, of the well-formed UTF-8 sequence of a character beyond ASCII at `p` (RFC 3629, table 3-7 of the Unicode
 * standard), of which there are `left` bytes, at least one; 0 when it is none.
 */
size_t scan_utf8(const unsigned char *p, size_t left);

#endif
