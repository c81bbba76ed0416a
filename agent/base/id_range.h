/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_ID_RANGE_H
#define BASE_ID_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Uids or gids that are other ones elsewhere: in an archive and in the tree it becomes, in a tree and where it is mounted.  What
 * `from` and `to` are is for the owner of the list to say.  Numbers have the width of DECODE_UINT: a table decodes them in place.
 */
struct id_range {
	uint64_t from, to, count; /* `from` becomes `to`, `from` + 1 becomes `to` + 1, and so on */
};

#define ID_RANGE_MOST 340u /* in one list: what the kernel takes for a user namespace (user_namespaces(7)) */

/* For the schema of one, whose rows let in 32 bits each.  What is 2^32 - 1 or above is no id: ERROR_PARAMS naming "count". */
must_check int id_range_check(const void *range, struct error *err);

/*
 * What `id`, on the side of `from`, is on the side of `to`: by the first range that has it, and itself when there are no ranges.
 * False when there are some and none has it; then *mapped is left as it was.
 */
must_check bool id_range_map(const struct id_range *ranges, size_t count, uint32_t id, uint32_t *mapped);

#endif
