/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_RAM_SIZE_H
#define BASE_RAM_SIZE_H

#include <stdint.h>

#include "base/error.h"

/*
 * Sizes as container tools write them ("RAMInBytes" in github.com/docker/go-units): a number, with a fraction or without; a blank
 * or none; a unit or none, k m g t p in either case, always a power of 1024; "i" or none; "b" or none.  "64m", "1.5 GiB", "4096".
 *
 * Of a fraction of a byte nothing counts.  -EINVAL for what is not that (a sign, blanks around it, two fractions, more than 18
 * digits behind the point), -ERANGE for what does not fit an int64_t.
 */
must_check int ram_size_parse(const char *text, uint64_t *bytes);

/* For decode tables. */
must_check int ram_size_check(const char *text, struct error *err);

#endif
