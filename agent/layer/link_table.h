/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAYER_LINK_TABLE_H
#define LAYER_LINK_TABLE_H

#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

/* The files of several names that a walk has met, and the first name of each. */

#define LINK_TABLE_MAX (32u << 20) /* bytes, names included: about 300 000 files with names of 60 bytes; beyond that E2BIG */

/* Zero-initialised is empty. */
struct link_table {
	struct link_slot *slots;
	size_t count, size; /* in use; a power of two */
	char *names;
	size_t used, room;
};

/*
 * Files that have one name need not come here.  *first: the name with which this file came before, till the next call; NULL: it did
 * not, and is in the table now.  `name` may be "" for all.  ERROR_LAYER at the limit, ERROR_INTERNAL.
 */
must_check int link_table_add(struct link_table *table, const struct stat *status, const char *name, const char **first,
			      struct error *err);
void link_table_free(struct link_table *table);

#endif
