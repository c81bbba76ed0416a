/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which claims on devices exclude each other. */
#include "unit/test.h"

#include <sys/sysmacros.h>

#include "base/claim.h"

static void texts(void **state)
{
	char text[CLAIM_MAX];

	(void)state;
	claim_format(text, makedev(254, 16), makedev(254, 16));
	assert_string_equal(text, "254:16");
	claim_format(text, makedev(254, 17), makedev(254, 16));
	assert_string_equal(text, "254:17@254:16");
	claim_format(text, makedev(4095, 1048575), makedev(4095, 1048574));
	assert_string_equal(text, "4095:1048575@4095:1048574");
}

static void conflicts(void **state)
{
	static const struct {
		const char *a, *b;
		bool conflict;
	} rows[] = {
		{ "254:16", "254:16", true },
		{ "254:16", "254:17", false },
		{ "254:1", "254:16", false },
		{ "254:16", "8:16", false },
		{ "254:17@254:16", "254:17@254:16", true },
		{ "254:17@254:16", "254:18@254:16", false },
		{ "254:17@254:16", "254:16", true },
		{ "254:17@254:16", "254:1", false },
		{ "254:17@254:16", "254:17", false }, /* never: a number is a disk or a partition */
		{ "254:17@254:16", "8:16", false },
		/* From a worker that has been taken over. */
		{ "", "", true },
		{ "@", "", true },
		{ "254:16", "", false },
		{ "@@", "@", true },
		{ "x", "y", false },
	};

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		check_row(claim_conflicts(rows[i].a, rows[i].b) == rows[i].conflict, "%s, %s", rows[i].a, rows[i].b);
		check_row(claim_conflicts(rows[i].b, rows[i].a) == rows[i].conflict, "%s, %s", rows[i].b, rows[i].a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(texts), cmocka_unit_test(conflicts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
