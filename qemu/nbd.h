/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_NBD_H
#define QEMU_NBD_H

#include <stdbool.h>

#include "base/encode.h"
#include "base/error.h"

/*
 * Disks that another program serves by the NBD protocol on a Unix socket: "nbd+unix:///NAME?socket=PATH", as the NBD project's
 * doc/uri.md has it.  NAME is of [A-Za-z0-9_.-] and may be empty; PATH is absolute, and taken as it stands: no %XX.
 */
bool nbd_is_url(const char *text);
/* Its grammar, and that there is a socket. */
must_check int nbd_check(const char *url, struct error *err);
/* The members of QEMU's block driver for a URL that has been checked. */
void nbd_encode(struct encode *e, const char *url);

#endif
