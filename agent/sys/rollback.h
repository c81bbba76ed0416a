/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SYS_ROLLBACK_H
#define SYS_ROLLBACK_H

#include "base/undo.h"

/*
 * Plays the list backwards and leaves it unchanged, so that it can be played again.  Goes on after a failure, since most
 * records do not depend on each other; the first failure is the one in `err` (ERROR_TEARDOWN).  Blocks: for workers.
 */
must_check int rollback_run(const struct undo *undo, struct error *err);
/* The same for what was pushed when `records` were there already. */
must_check int rollback_since(const struct undo *undo, size_t records, struct error *err);

#endif
