/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/step.h"

#include <stdio.h>
#include <time.h>

#include "qemu/report.h"

int64_t step_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int step_params(struct encode *e, const char *method, const char **params, struct error *err)
{
	int result = encode_result(e);

	if (result == 0)
		result = buf_append(e->buf, "", 1);
	if (result < 0) {
		buf_free(e->buf);
		return error_set(err, ERROR_HOST, -result, "the request %s", method);
	}
	*params = buf_bytes(e->buf);
	return 0;
}

int step_call(struct client *client, bool verbose, const char *method, const char *what, struct encode *e, struct error *err)
{
	json_object *answer = NULL;
	int64_t began = step_clock();
	const char *params;
	int result = step_params(e, method, &params, err);

	if (result < 0)
		return result;
	if (client->progress)
		progress_begin(client->progress, "%s", method);
	result = client_call(client, method, params, &answer, err);
	if (client->progress)
		progress_end(client->progress);
	buf_free(e->buf);
	if (result == 0 && verbose) {
		char line[256];

		snprintf(line, sizeof(line), "%s %s", method, what);
		report_step(line, step_clock() - began, answer);
	}
	json_object_put(answer);
	return result;
}
