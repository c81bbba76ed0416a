/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_THROWAWAY_H
#define QEMU_THROWAWAY_H

#include <stdbool.h>

#include "base/error.h"

/* A VM for one run, made and ended by this program's own `vm start` and `vm stop`. */

/* `interrupt`: of interrupt_open.  After a failure throwaway_stop is still to be called. */
must_check int throwaway_start(const char *name, int interrupt, struct error *err);

/* At once, since nothing in it is kept.  `started`: it has run, so a failure is told. */
void throwaway_stop(const char *name, bool started);

#endif
