/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/report.h"

#include <stdio.h>

#include "qemu/client.h"
#include "qemu/output.h"

#define REPORT_WIDTH 52

static void print(unsigned indent, const char *what, int64_t microseconds, int64_t written)
{
	char took[32], bytes[32];

	output_time(microseconds > 0 ? (uint64_t)microseconds : 0, took, sizeof(took));
	output_size(written > 0 ? (uint64_t)written : 0, bytes, sizeof(bytes));
	fprintf(stderr, "%*s%-*.*s %10s", (int)indent, "", (int)(REPORT_WIDTH - indent), (int)(REPORT_WIDTH - indent), what, took);
	if (written > 0)
		fprintf(stderr, " %10s written", bytes);
	fputc('\n', stderr);
}

void report_step(const char *what, int64_t microseconds, json_object *answer)
{
	json_object *steps = answer ? client_array(answer, "steps") : NULL;
	size_t count = steps ? json_object_array_length(steps) : 0;
	int64_t written = 0;

	for (size_t i = 0; i < count; i++)
		written += client_number(json_object_array_get_idx(steps, i), "written", 0);
	print(0, what, microseconds, written);
	for (size_t i = 0; i < count; i++) {
		json_object *step = json_object_array_get_idx(steps, i);

		print(4, client_string(step, "name"), client_number(step, "us", 0), client_number(step, "written", 0));
	}
}
