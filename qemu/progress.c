/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "qemu/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "qemu/process.h"

void progress_begin(struct progress *progress, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(progress->text, sizeof(progress->text), format, args);
	va_end(args);
	progress->began = process_now();
	progress->shown = 0;
}

void progress_tick(struct progress *progress)
{
	if (progress->began == 0)
		return;
	int64_t seconds = (process_now() - progress->began) / 1000;
	if (seconds == progress->shown || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s ... %lld s\033[K", progress->text, (long long)seconds);
	progress->shown = seconds;
}

void progress_end(struct progress *progress)
{
	if (progress->began && progress->shown)
		fprintf(stderr, "\r\033[K");
	progress->began = 0;
	progress->shown = 0;
}
