/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MKSWAP_H
#define STORAGE_MKSWAP_H

#include <stdint.h>

#include "base/error.h"

#define MKSWAP_PAGE 4096u /* bytes */

/*
 * Fills the first page of a swap space of `size` bytes (a multiple of MKSWAP_PAGE, at least ten pages), as mkswap(8) would: version
 * 1, no bad pages, a random UUID.  `page` has MKSWAP_PAGE bytes.  union swap_header of the kernel's include/linux/swap.h.
 */
must_check int mkswap_fill(void *page, uint64_t size, struct error *err);

/*
 * Writes it to `node` in one aligned write and flushes it.  Nothing is read, nothing else is written: the kernel reads a page of a
 * swap only after it has written it there.  ERROR_FORMAT.
 */
must_check int mkswap_write(const char *node, uint64_t size, struct error *err);

#endif
