/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/test.h"

#include "base/ram_size.h"

static const struct {
	const char *text;
	uint64_t bytes;
} sizes[] = {
	{ "0", 0 },
	{ "1", 1 },
	{ "32", 32 },
	{ "32b", 32 },
	{ "32B", 32 },
	{ "1i", 1 }, /* as the grammar has it */
	{ "1ib", 1 },
	{ "32k", 32768 },
	{ "32K", 32768 },
	{ "32kb", 32768 },
	{ "32KiB", 32768 },
	{ "32 kib", 32768 },
	{ "32Mb", 33554432 },
	{ "32MiB", 33554432 },
	{ "64m", 67108864 },
	{ "1.5 GiB", 1610612736 },
	{ "32.5 kB", 33280 },
	{ "0.1k", 102 },
	{ "0.999999999999999999", 0 },
	{ "2t", 2199023255552 },
	{ "1 pb", 1125899906842624 },
	{ "8191.999p", UINT64_C(9223370910954868965) },
	{ "9223372036854775807", INT64_MAX },
	{ "0000000000000000000000000000000000000005", 5 },
	{ "32 ", 32 }, /* a blank before a unit that is not there */
};

static void sizes_that_are_meant(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(sizes); i++) {
		uint64_t bytes = 42;
		int result = ram_size_parse(sizes[i].text, &bytes);

		check_row(result == 0, "\"%s\": %d", sizes[i].text, result);
		check_row(bytes == sizes[i].bytes, "\"%s\": %llu", sizes[i].text, (unsigned long long)bytes);
	}
}

static void what_is_no_size(void **state)
{
	static const char *const wrong[] = {
		"",         " ",      " 1",   "-1",    "+1",  "k",   "b",   ".5",   "1.",
		"1.k",      "1.2.3k", "1  k", "1\tk",  "1kk", "1bb", "1bi", "1kbi", "1x",
		"1e3",      "0x10",   "1,5",  "1 k b", "1k ", "1\n", "inf", "nan",  "1.0000000000000000001",
		"\xd9\xa1",
	};
	uint64_t bytes;
	struct error err;

	(void)state;
	for (size_t i = 0; i < array_count(wrong); i++) {
		check_row(ram_size_parse(wrong[i], &bytes) == -EINVAL, "\"%s\"", wrong[i]);
		assert_failed(ram_size_check(wrong[i], &err), &err, ERROR_PARAMS, "");
	}
}

/* The original wraps around silently. */
static void what_is_too_much(void **state)
{
	static const char *const large[] = {
		"9223372036854775808",
		"8192p",
		"8192.0p",
		"99999999999999999999999999999999999999999",
		"9223372036854775807k",
		"9223372036854775807p",
		"18446744073709551616",
	};
	uint64_t bytes;

	(void)state;
	for (size_t i = 0; i < array_count(large); i++)
		check_row(ram_size_parse(large[i], &bytes) == -ERANGE, "\"%s\"", large[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_that_are_meant),
		cmocka_unit_test(what_is_no_size),
		cmocka_unit_test(what_is_too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
