/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void output_cell(struct output_table *table, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	/* Without memory a cell is lost from the screen: nothing better can be done about it there. */
	(void)!buf_append(&table->cells, text, strlen(text) + 1);
}

void output_print(struct output_table *table)
{
	size_t width[OUTPUT_COLUMNS] = { 0 }, column = 0;
	const char *cell = table->cells.data ? buf_bytes(&table->cells) : NULL;
	const char *end = cell ? cell + buf_length(&table->cells) : NULL;

	for (const char *c = cell; c < end; c += strlen(c) + 1) {
		if (strlen(c) > width[column])
			width[column] = strlen(c);
		column = (column + 1) % table->columns;
	}
	column = 0;
	for (const char *c = cell; c < end; c += strlen(c) + 1) {
		bool last = ++column == table->columns;

		printf("%-*s%s", last ? 0 : (int)width[column - 1], c, last ? "\n" : "  ");
		if (last)
			column = 0;
	}
	buf_free(&table->cells);
}

void output_json(json_object *json)
{
	puts(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

void output_buf(const struct buf *buf)
{
	if (buf->data)
		fwrite(buf_bytes(buf), 1, buf_length(buf), stdout);
	putchar('\n');
}

void output_size(uint64_t bytes, char *text, size_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t unit = 0;
	double value = (double)bytes;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	bool whole = unit == 0 || value >= 100 || value == (double)(uint64_t)value;
	snprintf(text, size, whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void output_time(uint64_t microseconds, char *text, size_t size)
{
	if (microseconds < 1000)
		snprintf(text, size, "%u us", (unsigned)microseconds);
	else if (microseconds < 1000000)
		snprintf(text, size, "%.1f ms", (double)microseconds / 1e3);
	else
		snprintf(text, size, "%.2f s", (double)microseconds / 1e6);
}
