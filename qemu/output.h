/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef QEMU_OUTPUT_H
#define QEMU_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/buf.h"

/* What people and scripts read on standard output. */

#define OUTPUT_COLUMNS 8

/* A table: rows of cells, each column as wide as its widest cell.  Zero-initialised with `columns` set is empty. */
struct output_table {
	size_t columns;
	size_t rows;
	struct buf cells; /* each ended by a NUL */
};

/* Adds a cell; the table's `columns` cells make a row.  Control characters become '?'. */
void output_cell(struct output_table *table, const char *format, ...) printf_like(2, 3);
/* Prints the table and empties it. */
void output_print(struct output_table *table);

/* One line of JSON. */
void output_json(json_object *json);
/* The text of a JSON value that buf holds, and a newline. */
void output_buf(const struct buf *buf);

/* "512 MiB", "64 GiB", "417 KiB", "12 B" into text. */
void output_size(uint64_t bytes, char *text, size_t size);
/* "480 us", "12.3 ms", "1.42 s" */
void output_time(uint64_t microseconds, char *text, size_t size);

#endif
