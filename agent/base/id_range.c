/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/id_range.h"

int id_range_check(const void *range, struct error *err)
{
	const struct id_range *ids = range;

	if (ids->count == 0 || ids->from + ids->count > UINT32_MAX || ids->to + ids->count > UINT32_MAX)
		return error_field(err, "count", "ids are below 2^32 - 1, and there is one at least");
	return 0;
}

bool id_range_map(const struct id_range *ranges, size_t count, uint32_t id, uint32_t *mapped)
{
	for (size_t i = 0; i < count; i++) {
		if (id >= ranges[i].from && id - ranges[i].from < ranges[i].count) {
			*mapped = (uint32_t)(ranges[i].to + (id - ranges[i].from));
			return true;
		}
	}
	if (count == 0)
		*mapped = id;
	return count == 0;
}
