/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/ram_size.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define FRACTION_DIGITS 18

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* At most INT64_MAX times any power below can be held by 128 bits. */
static int read_whole(const char **at, unsigned __int128 *whole)
{
	if (!is_digit(**at))
		return -EINVAL;
	for (*whole = 0; is_digit(**at); ++*at) {
		*whole = *whole * 10 + (unsigned)(**at - '0');
		if (*whole > INT64_MAX)
			return -ERANGE;
	}
	return 0;
}

/* As so many `parts` of one. */
static int read_fraction(const char **at, uint64_t *fraction, uint64_t *parts)
{
	*fraction = 0;
	*parts = 1;
	if (**at != '.')
		return 0;
	const char *begin = ++*at;
	for (; is_digit(**at); ++*at) {
		if (*at - begin == FRACTION_DIGITS)
			return -EINVAL;
		*fraction = *fraction * 10 + (unsigned)(**at - '0');
		*parts *= 10;
	}
	return *at == begin ? -EINVAL : 0;
}

static unsigned read_shift(const char **at)
{
	static const char units[] = "kKmMgGtTpP";
	const char *unit = **at ? strchr(units, **at) : NULL;

	if (!unit)
		return 0;
	++*at;
	return 10 * (unsigned)((unit - units) / 2 + 1);
}

static void skip(const char **at, char lower, char upper)
{
	*at += **at == lower || **at == upper;
}

int ram_size_parse(const char *text, uint64_t *bytes)
{
	unsigned __int128 whole = 0;
	uint64_t fraction = 0, parts = 1;
	int result = read_whole(&text, &whole);

	if (result == 0)
		result = read_fraction(&text, &fraction, &parts);
	if (result < 0)
		return result;
	skip(&text, ' ', ' ');
	unsigned shift = read_shift(&text);
	skip(&text, 'i', 'I');
	skip(&text, 'b', 'B');
	if (*text)
		return -EINVAL;
	whole = (whole << shift) + ((unsigned __int128)fraction << shift) / parts;
	if (whole > INT64_MAX)
		return -ERANGE;
	*bytes = (uint64_t)whole;
	return 0;
}

int ram_size_check(const char *text, struct error *err)
{
	uint64_t bytes;
	int result = ram_size_parse(text, &bytes);

	if (result == -ERANGE)
		return error_field(err, "", "must be below 8 EiB");
	return result < 0 ? error_field(err, "", "must be a size such as 4096, 64m or 1.5 GiB") : 0;
}
