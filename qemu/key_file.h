/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_KEY_FILE_H
#define QEMU_KEY_FILE_H

#include "base/encode.h"
#include "base/error.h"
#include "qemu/options.h"

/*
 * The member `key` of a request, from --key-file (32 to 64 bytes, as they are) or --passphrase-file (a line of text); none when
 * neither is given.  The key goes into the request as it is, so it is seen by whoever carries that (docs/PROTOCOL.md, "Keys").
 */
must_check int key_file_encode(struct encode *e, const struct options *options, struct error *err);
/* Was one of them given? */
bool key_file_wanted(const struct options *options);

#endif
