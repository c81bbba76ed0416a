/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_CLAIM_H
#define BASE_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * What an undo record of the kind CLAIM says: "254:16" for a whole disk, "254:17@254:16" for a partition and its disk.  A disk and
 * one of its partitions exclude each other, two partitions of a disk do not.
 */

#define CLAIM_MAX 64

/* `disk` is `device` itself when that is no partition. */
void claim_format(char text[CLAIM_MAX], dev_t device, dev_t disk);
/* Can these two not be held at once?  A text that is no claim conflicts with its equal alone. */
bool claim_conflicts(const char *a, const char *b);

#endif
