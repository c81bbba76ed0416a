/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_IMAGE_H
#define QEMU_IMAGE_H

#include "base/error.h"

/*
 * What `image build FOLDER OUT` does, for other commands: a verified image at `out` and its volume at `out`.json, for a use that is
 * over soon, so not compressed.  `interrupt` is a descriptor of interrupt_open.  Prints nothing.
 */
must_check int image_make(const char *folder, const char *out, int interrupt, struct error *err);

#endif
