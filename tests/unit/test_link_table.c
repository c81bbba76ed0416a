/* SPDX-License-Identifier: GPL-2.0-or-later */
/* links: agent/layer/link_table.c */
#include "unit/test.h"

#include "layer/link_table.h"

static struct error err;

static const char *add(struct link_table *table, dev_t device, ino_t inode, const char *name)
{
	const struct stat status = { .st_dev = device, .st_ino = inode };
	const char *first;

	assert_worked(link_table_add(table, &status, name, &first, &err), &err);
	return first;
}

static void every_file_has_its_first_name(void **state)
{
	struct link_table table = { 0 };
	char name[32];

	(void)state;
	/* Twice as many as there are: the same number on two devices is two files. */
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 20000; i++) {
			for (unsigned device = 0; device < 2; device++) {
				snprintf(name, sizeof(name), "%u/%u", device, i);
				const char *first = add(&table, device, i * 64ul, round ? "another" : name);
				check_row(round ? first && strcmp(first, name) == 0 : !first, "%s: %s", name,
					  first ? first : "none");
			}
		}
	}
	assert_int_equal(table.count, 40000);
	link_table_free(&table);
	assert_null(add(&table, 0, 0, ""));
	assert_string_equal(add(&table, 0, 0, "x"), "");
	link_table_free(&table);
}

static size_t size_of(const struct link_table *table)
{
	return table->size * 24 + table->room;
}

static void its_memory_is_bounded(void **state)
{
	static const struct {
		size_t length, least;
	} rows[] = { { 0, 700000 }, { 60, 250000 }, { 4000, 7000 }, { LINK_TABLE_MAX / 2, 1 }, { LINK_TABLE_MAX + 1, 0 } };

	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		struct link_table table = { 0 };
		struct stat status = { .st_ino = 1 };
		auto_free char *name = calloc(1, rows[i].length + 1);
		const char *first;
		int result;

		assert_non_null(name);
		memset(name, 'n', rows[i].length);
		while ((result = link_table_add(&table, &status, name, &first, &err)) == 0) {
			assert_null(first);
			status.st_ino++;
		}
		check_row(result == -E2BIG && err.code == ERROR_LAYER, "row %zu: %d", i, result);
		check_row(status.st_ino > rows[i].least, "row %zu: %lu", i, (unsigned long)status.st_ino);
		check_row(size_of(&table) <= LINK_TABLE_MAX, "row %zu: %zu bytes", i, size_of(&table));
		/* What is in it stays. */
		if (rows[i].least > 0)
			assert_string_equal(add(&table, 0, 1, "x"), name);
		link_table_free(&table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_has_its_first_name),
		cmocka_unit_test(its_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
